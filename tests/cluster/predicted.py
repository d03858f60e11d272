"""``make bench-plan``: predictions beside measurements of twenty runs that no fit has seen.

Twelve on one node and eight on two hosts, which are network namespaces with a late link and share the machine's cores;
wide layers, many environments and a user's rule are among them. Each is predicted from a quick calibration, which
measures what the run needs, and from a full one. Nothing else should run meanwhile; it takes some twenty minutes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cluster.hosts import BIN, Hosts

ROOT = Path(__file__).parent.parent.parent
OWN = str(ROOT / "examples" / "own_rule.py")
LINK = 1e-3
"""Seconds by which the link between the two hosts is late."""
Run = dict[str, Any]
ONE_NODE: tuple[Run, ...] = (
    {"preset": "map", "hidden": (48, 24)}, {"preset": "tuned", "hidden": (96, 48)}, {"preset": "frugal"},
    {"preset": "backprop", "hidden": (32, 32)}, {"preset": "map", "grain": "block:32"},
    {"preset": "frugal", "grain": "block:16"}, {"preset": "tuned", "num_envs": 8},
    {"preset": "map", "hidden": (512, 512)}, {"preset": "tuned", "hidden": (1024, 1024), "num_envs": 8},
    {"preset": "backprop", "hidden": (2048, 512)}, {"preset": "weight-max"}, {"preset": OWN},
)
TWO_HOSTS: tuple[Run, ...] = (
    {"preset": "map", "placement": "by-team"}, {"preset": "frugal", "placement": "by-layer"},
    {"preset": "backprop", "placement": "spread"}, {"preset": "frugal", "placement": "spread", "grain": "block:16"},
    {"preset": "tuned", "placement": "by-layer", "num_envs": 8},
    {"preset": "map", "placement": "by-layer", "hidden": (512, 512)},
    {"preset": "frugal", "placement": "by-team", "hidden": (1024, 256)}, {"preset": OWN, "placement": "by-team"},
)


def predict_and_measure(runs: list[Run], quick: str, full: str, address: str, probe: str) -> None:
    """Print a line of JSON for each run: the predictions from two calibrations, and the measurement."""
    from teamnet.cli.plan_command import Planning, cluster_of, machine_of
    from teamnet.spec.change import changed
    from teamnet.spec.presets import preset
    from teamnet.spec.run import LaunchSpec
    from teamnet.study.plan.predict import predict
    from teamnet.study.rates import ENDLESS, median_rate, timings
    from teamnet.training.run import Run as Started

    for run in runs:
        own = {name: value for name, value in run.items() if name in ("hidden", "num_envs")}
        spec = changed(preset("cartpole", run["preset"]), env_steps=ENDLESS, episodes=None, **own)
        launch = LaunchSpec(address=address, **{name: run[name] for name in ("grain", "placement") if name in run})
        planning = Planning(probe=Path(probe) if probe else None, reserved_cpus=4 if probe else 0)
        cluster = cluster_of(planning, launch)
        rates = [
            predict(spec, launch, machine_of(Path(path), cluster, [(spec, launch)], full=False), cluster)
            .env_steps_per_second for path in (quick, full)
        ]
        started = Started(spec, launch)
        try:
            found = timings(started, 1.5, 3)
        finally:
            started.close()
        print(json.dumps({
            "run": run, "quick": rates[0], "full": rates[1], "measured": median_rate(found),
            "stolen": statistics.median(timing.stolen for timing in found),
        }), flush=True)


def _table(place: str, lines: list[str]) -> list[tuple[float, float]]:
    errors = []
    for line in lines:
        row = json.loads(line)
        ratios = [row[name] / row["measured"] for name in ("quick", "full")]
        errors.append(tuple(abs(ratio - 1.0) for ratio in ratios))
        name = ", ".join(Path(str(value)).name for value in row["run"].values())
        print(
            f"| {place} | {name} | {row['measured']:,.1f} | {row['quick']:,.1f} | {ratios[0]:.2f} | "
            f"{row['full']:,.1f} | {ratios[1]:.2f} | {100 * row['stolen']:.0f} % |", flush=True,
        )
    return errors


def _arguments(runs: tuple[Run, ...], folder: Path, address: str = "", probe: str = "") -> list[str]:
    files = [str(folder / f"{name}.json") for name in ("quick", "full")]
    return ["-m", "tests.cluster.predicted", json.dumps(runs), *files, address, probe]


def main() -> None:
    """Calibrate, and print the table."""
    with Hosts(2, seconds=[[0.0, LINK], [LINK, 0.0]]) as hosts:
        command = [str(BIN / "teamnet"), "plan", "cartpole", "--machine", str(hosts.folder / "full.json")]
        subprocess.run([*command, "--calibrate"], check=True, stdout=subprocess.DEVNULL)
        print("| where | run | measured steps/s | quick | quick / measured | full | full / measured | stolen |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        here = subprocess.run(
            [sys.executable, *_arguments(ONE_NODE, hosts.folder)], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        errors = _table("one node", here.splitlines())
        probe = hosts.folder / "probe"
        hosts.teamnet("probe", "--out", str(probe))
        there = hosts.run_inside(0, [
            sys.executable, *_arguments(TWO_HOSTS, hosts.folder, hosts.address, str(probe / "probe.json"))
        ], seconds=1200)
        errors += _table("two hosts", [line for line in there.splitlines() if line.startswith("{")])
    for name, values in zip(("quick", "full"), zip(*errors, strict=True), strict=True):
        print(f"\n{name}: median error {100 * statistics.median(values):.0f} %, largest {100 * max(values):.0f} %")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        given = json.loads(sys.argv[1])
        predict_and_measure([{**run, "hidden": tuple(run["hidden"])} if "hidden" in run else run for run in given],
                            *sys.argv[2:])
    else:
        main()
