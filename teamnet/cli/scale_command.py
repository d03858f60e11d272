"""``teamnet scale``: strong and weak scaling, the prediction compared with the measurement."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from teamnet.cli.plan_command import Planning, cluster_of, machine_of
from teamnet.cli.terminal import say
from teamnet.errors import SpecError
from teamnet.spec.presets import check_method
from teamnet.spec.run import USUAL_RULE, LaunchSpec
from teamnet.study.plan.machine import Machine
from teamnet.team.address import cluster_address
from teamnet.values import check_count

if TYPE_CHECKING:
    from teamnet.study.plan.cluster import Cluster
    from teamnet.study.scaling.points import Point

_CLUSTER = "cluster"


def scale(arguments: list[str]) -> int:
    """``teamnet scale FACTOR [TASK] [options]``."""

    def options(
        factor: Annotated[str, tyro.conf.Positional], task: Annotated[str, tyro.conf.Positional] = "cartpole",
        values: tuple[str, ...] = (), method: str = USUAL_RULE, hidden: str = "64-32", batch: int = 1,
        grain: str = "layer", transport: str = "board", placement: str = "pack", seconds: float = 0.8, repeats: int = 3,
        measure: bool = True, backend: str = "ray", address: str = "", nodes: int | None = None,
        probe: Path | None = None, cpus: int | None = None,
        node_memory: int = 64 << 30, shared_cpus: bool = False, reserved_cpus: int = 0, link_latency: float = 0.0,
        link_bandwidth: float = 0.0, machine: Path | None = None, out: Path = Path("runs/scale"),
        overwrite: bool = False, json: bool = False,
    ) -> int:
        """Scale a run over one factor: what more actors, nodes or work bring, and where communication costs more.

        Each point is also compared with the same run in one process, with the backend local.

        Started again with the same arguments, it does the points that are missing.

        Args:
            factor: actors, cores and nodes (strong scaling: the same work), width, depth, batch and weak-nodes (weak
                scaling: more work; weak-nodes has as many times the environments as nodes); or cluster: probe a running
                cluster, do both nodes and weak-nodes, and write a report.
            task: a preset's name.
            values: grains for actors, else numbers: cores, nodes, multiples of the hidden layers or the batch, layers.
            method: a preset, such as map, tuned, frugal, backprop or weight-max; or a rule of your own (FILE.py).
            hidden: neurons of the hidden layers from below, such as 64-32.
            batch: parallel environments, as a multiple of the preset's; scaled by the factor batch.
            grain: what one unit is: layer, block:K or neuron.
            transport: board or ray.
            placement: the nodes on which units are placed; spread, where nodes are scaled and nothing else is given.
            seconds: of one timing, at least.
            repeats: timings of a point, of which the median counts; those in which a virtual machine is
                slowed down by its host are repeated.
            measure: start runs; with --no-measure all is predicted.
            backend: ray or local.
            address: of a Ray cluster; $RAY_ADDRESS, or a private one on this machine, if left out.
            nodes: of the cluster; those that were probed if left out.
            probe: what teamnet probe has measured on the cluster; it replaces cpus, link_latency and link_bandwidth.
            cpus: cores of each node; those of this machine if left out.
            node_memory: bytes of each.
            shared_cpus: all nodes are on one machine, as network namespaces are.
            reserved_cpus: CPUs that each node reports to Ray, if these are not its cores.
            link_latency: seconds by which a link between two nodes is late, emulated where it is measured.
            link_bandwidth: bytes per second of a link between two nodes.
            machine: the file of a calibration; that of this machine in the user's cache if left out. What it lacks is
                measured.
            out: gets scale.jsonl, scale.md and scale.png; with cluster, folders with these, the probe and report.html.
            overwrite: replace the results of an earlier call in OUT.
            json: print the points as one JSON list on the last line of the standard output.
        """
        from teamnet.study.communication.grid import Configuration
        from teamnet.study.rates import Precision
        from teamnet.study.scaling.points import points_of
        from teamnet.study.scaling.session import run_scaling
        from teamnet.study.scaling.table import scaling_table

        precision = Precision(seconds, repeats)
        launch = LaunchSpec(
            backend, address=cluster_address(address) if backend == "ray" else "", link_latency=link_latency,
            link_bandwidth=link_bandwidth,
        )
        check_count("batch", batch, 1)
        check_method("method", method)
        base = Configuration(method, grain, transport, placement, batch, hidden)

        def described(probe: Path | None) -> Cluster:
            return cluster_of(Planning(nodes, probe, cpus, node_memory, shared_cpus, reserved_cpus), launch)

        def calibrated(cluster: Cluster, points: Sequence[Point]) -> Machine:
            runs = [point.configuration.specs(task, point.launch) for point in points]
            return machine_of(machine, cluster, runs, full=False)

        if factor == _CLUSTER:
            if not launch.address:
                raise SpecError(
                    "address", expected="a running Ray cluster", found="none",
                    remedy="Give --address, or scale over cores or actors of this machine.",
                )
            from teamnet.study.scaling.cluster import scale_cluster

            report, failed = scale_cluster(
                task, base, launch, precision, describe=described, calibrated=calibrated, out=out, overwrite=overwrite,
                say=say,
            )
            print(f"{report}\n\nwritten to {out}")
            return int(failed > 0)
        cluster = described(probe)
        points = points_of(factor, values, base, cluster, launch)
        rows, failed = run_scaling(
            task, factor, points, lambda: calibrated(cluster, points), precision, measured=measure, out=out,
            overwrite=overwrite, say=say,
        )
        print(json_format.dumps(rows) if json else f"{scaling_table(rows)}\n\nwritten to {out}")
        return int(failed > 0)

    return tyro.cli(options, prog="teamnet scale", args=arguments)
