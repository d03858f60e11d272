#!/usr/bin/env bash
# Build the wheel (from the sdist), install it in a fresh environment without the checkout, and use it there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${1:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m build --outdir "$work/dist" "$root"  # the sdist, and from that the wheel
cp "$root/examples/own_rule.py" "$work"
cd "$work"
python3 -m venv fresh
fresh/bin/python -m pip install --quiet --disable-pip-version-check "$(echo dist/*.whl)[report]"
export TEAMNET_CACHE="$work/cache"  # compiles from nothing, as on a machine that never saw it
fresh/bin/teamnet --version
fresh/bin/teamnet train cartpole --episodes 20 --out runs/map
fresh/bin/teamnet train cartpole --rule own_rule.py --backend local --episodes 20 --out runs/own
fresh/bin/teamnet resume runs/own --episodes 30
fresh/bin/teamnet report runs --out report.html
test "$(wc -c < report.html)" -gt 100000
fresh/bin/python - <<'PY'
from teamnet import TeamAgent, TrainedPolicy

assert "fresh" in __import__("teamnet").__file__
with TeamAgent.load("runs/own") as agent:
    print(agent.learn(episodes=2).summary()["episodes"])
print(TrainedPolicy.load("runs/map").predict([0.0, 0.1, 0.0, -0.1]))
PY
