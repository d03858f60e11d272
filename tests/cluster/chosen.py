"""``make bench-best``: what ``teamnet plan --best --verify 3`` chooses, beside the best of all configurations measured.

On one node over granularity and schedule, on two hosts with a late link over placement, nodes and schedule. Nothing
else should run meanwhile; it takes some ten minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cluster.hosts import Hosts

LINK, VERIFIED = 1e-3, 3
ONE_NODE, TWO_HOSTS = "grain schedule", "placement nodes schedule"
_SECONDS, _REPEATS = 1.0, 3


def choose(factors: str, machine: str, address: str, probe: str) -> None:
    """Print each candidate with its prediction and its measurement, and which one is chosen."""
    from teamnet.cli.plan_command import Planning, cluster_of, machine_of
    from teamnet.spec.presets import preset
    from teamnet.spec.run import LaunchSpec
    from teamnet.study.plan.candidates_table import candidates_table
    from teamnet.study.plan.search import candidates, kinds_of_run, measured, ranked

    spec, launch = preset("cartpole"), LaunchSpec(address=address)
    cluster = cluster_of(Planning(probe=Path(probe) if probe else None, reserved_cpus=4 if probe else 0), launch)
    costs = machine_of(Path(machine), cluster, kinds_of_run(spec, launch, factors.split()), full=False)
    by_prediction = ranked(candidates(spec, launch, costs, cluster, factors.split()), "steps")
    found = [measured(each, _SECONDS, _REPEATS) for each in by_prediction]
    rates = [each.measured or 0.0 for each in found]
    chosen, best = max(rates[:VERIFIED]), max(rates)
    print("\n".join(candidates_table(found)))
    print(f"\n{len(found)} measured; chosen {chosen:,.0f} steps/s, best {best:,.0f}: {100 * chosen / best:.0f} %\n")


def main() -> None:
    """Choose on one node and on two hosts."""
    module = [sys.executable, "-m", "tests.cluster.chosen"]
    with Hosts(2, seconds=[[0.0, LINK], [LINK, 0.0]]) as hosts:
        machine, probe = str(hosts.folder / "machine.json"), hosts.folder / "probe"
        print("one node, over grain and schedule:\n", flush=True)
        subprocess.run([*module, json.dumps([ONE_NODE, machine, "", ""])], check=True)
        print("two hosts, over placement, nodes and schedule:\n", flush=True)
        hosts.teamnet("probe", "--out", str(probe))
        print(hosts.run_inside(0, [
            *module, json.dumps([TWO_HOSTS, machine, hosts.address, str(probe / "probe.json")])
        ], seconds=1200))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        choose(*json.loads(sys.argv[1]))
    else:
        main()
