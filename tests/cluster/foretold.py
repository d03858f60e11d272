"""``make bench-plan``: predictions beside measurements on two hosts with emulated links, of runs that no fit has seen.

The hosts are network namespaces of this machine and share its cores. It is calibrated first, the links without any
delay; nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from tests.cluster.hosts import Hosts

LATENCIES = {1e-4: 2.0, 1e-3: 4.0, 1e-2: 8.0}
"""Seconds that a link is late, and that a timing takes at least."""
RUNS: tuple[dict[str, Any], ...] = (
    {"method": "map", "placement": "by-layer"}, {"method": "frugal", "placement": "by-layer"},
    {"method": "frugal", "placement": "spread", "grain": "block:16"},
    {"method": "map", "placement": "by-layer", "hidden": (128, 64)},
    {"method": "frugal", "placement": "by-layer", "batch": 8},
)


def measured(hosts: Hosts, run: dict[str, Any], latency: float) -> dict[str, Any]:
    """What ``teamnet comm`` finds."""
    out = hosts.teamnet(
        "comm", "cartpole", "--methods", run["method"], "--placements", run["placement"], "--grains",
        run.get("grain", "layer"), "--hidden", "-".join(map(str, run.get("hidden", (64, 32)))), "--batches",
        str(run.get("batch", 1)), "--link-latency", str(latency), "--seconds", str(LATENCIES[latency]), "--out",
        str(hosts.folder / "comm"), "--json",
    )
    return json.loads(out.splitlines()[-1])[0]


def predicted(hosts: Hosts, run: dict[str, Any], latency: float, *more: str) -> dict[str, Any]:
    """What ``teamnet plan`` says."""
    out = hosts.teamnet(
        "plan", "cartpole", "--preset", run["method"], "--placement", run["placement"], "--grain",
        run.get("grain", "layer"), "--hidden", *map(str, run.get("hidden", (64, 32))), "--num-envs",
        str(run.get("batch", 1)), "--link-latency", str(latency), "--nodes", str(len(hosts.addresses)),
        "--shared-cpus", "--reserved-cpus", "4", "--machine", str(hosts.folder / "machine.json"), "--json", *more,
        seconds=900,
    )
    return json.loads(out.splitlines()[-1])


def main() -> None:
    """Print the table."""
    with Hosts(2) as hosts:
        predicted(hosts, RUNS[0], 0.0, "--calibrate")
        print((hosts.folder / "machine.json").read_text().replace("\n", " "))
        print("| latency | run | measured steps/s | predicted | predicted / measured | the same of start-up | stolen |")
        print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
        errors: list[float] = []
        for latency in LATENCIES:
            rates: dict[str, float] = {}
            for run in RUNS:
                found, said = measured(hosts, run, latency), predicted(hosts, run, latency)
                ratio = said["env_steps_per_second"] / found["env_steps_per_second"]
                errors.append(abs(ratio - 1.0))
                start = said["startup_seconds"] / found["startup_seconds"]
                name = ", ".join(str(value) for value in run.values())
                rates[name] = found["env_steps_per_second"]
                print(
                    f"| {1e3 * latency:g} ms | {name} | {found['env_steps_per_second']:,.1f} | "
                    f"{said['env_steps_per_second']:,.1f} | {ratio:.2f} | {start:.2f} | "
                    f"{100 * found['stolen']:.0f} % |", flush=True,
                )
            gain = rates["frugal, by-layer"] / rates["map, by-layer"]
            print(f"| {1e3 * latency:g} ms | frugal by-layer / map by-layer | {gain:.2f} | | | | |", flush=True)
        print(f"\nmedian error {100 * statistics.median(errors):.0f} %, largest {100 * max(errors):.0f} %")


if __name__ == "__main__":
    main()
