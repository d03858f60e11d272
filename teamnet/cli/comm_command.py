"""``teamnet comm``: what locality costs, over a grid of configurations."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import tyro

from teamnet.cli.terminal import say
from teamnet.spec.presets import check_method
from teamnet.spec.run import LaunchSpec
from teamnet.team.address import cluster_address


def comm(arguments: list[str]) -> int:
    """``teamnet comm [TASK] [options]``."""

    def options(
        task: Annotated[str, tyro.conf.Positional] = "cartpole", methods: tuple[str, ...] = (),
        grains: tuple[str, ...] = ("layer",), transports: tuple[str, ...] = ("board",),
        placements: tuple[str, ...] = ("pack",), batches: tuple[int, ...] = (1,), hidden: tuple[str, ...] = ("64-32",),
        settle_steps: tuple[int, ...] = (), cross: bool = False, seconds: float = 0.8, repeats: int = 3,
        backend: str = "ray", address: str = "", link_latency: float = 0.0, link_bandwidth: float = 0.0,
        out: Path = Path("runs/comm"), overwrite: bool = False, trace: bool = False, json: bool = False,
    ) -> int:
        """Measure what configurations send in a step, how fast they are, and how much of the time their units wait.

        The first value of each factor makes the first configuration; in each other one a single factor differs.
        Started again with the same arguments, it measures the configurations that are missing.

        Args:
            task: a preset's name.
            methods: presets, such as map, tuned, frugal, backprop or weight-max, and rules of your own (FILE.py); if
                left out, the first preset of each rule and schedule that fits the task.
            grains: layer, block:K, neuron.
            transports: board, ray.
            placements: pack, spread, by-team, by-layer, or maps.
            batches: parallel environments, as multiples of the preset's.
            hidden: neurons of the hidden layers from below, such as 64-32 or 128-64-32: depth and width.
            settle_steps: settle steps or sweeps; the preset's if left out.
            cross: measure all combinations.
            seconds: of one timing, at least.
            repeats: timings of a configuration, of which the median counts; those in which a virtual machine is
                slowed down by its host are repeated.
            backend: ray or local.
            address: of a Ray cluster; $RAY_ADDRESS, or a private one on this machine, if left out.
            link_latency: seconds by which an emulated link between two nodes is late.
            link_bandwidth: bytes per second of an emulated link in each direction.
            out: gets comm.jsonl, comm.md and comm.png.
            overwrite: replace the results of an earlier call in OUT.
            trace: leave 30 steps of each configuration in OUT in Chrome's trace format, for ui.perfetto.dev.
            json: print the results as one JSON list on the last line of the standard output.
        """
        from teamnet.spec.distinct import distinct_presets
        from teamnet.study.communication.grid import Grid
        from teamnet.study.communication.session import run_grid
        from teamnet.study.communication.table import comm_table
        from teamnet.study.rates import Precision

        for name in methods:
            check_method("methods", name)
        steps = tuple(settle_steps) or (None,)
        grid = Grid(methods or distinct_presets(task), grains, transports, placements, batches, hidden, steps)
        launch = LaunchSpec(
            backend, address=cluster_address(address) if backend == "ray" else "", link_latency=link_latency,
            link_bandwidth=link_bandwidth,
        )
        rows, failed = run_grid(
            task, grid, launch, Precision(seconds, repeats), cross=cross, out=out, trace=trace, overwrite=overwrite,
            say=say,
        )
        if json:
            print(json_format.dumps(rows))
        else:
            print(f"{comm_table(rows)}\n\nwritten to {out}")
        return int(failed > 0)

    return tyro.cli(options, prog="teamnet comm", args=arguments)
