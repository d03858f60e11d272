"""The points of a scaling experiment: one factor grows from point to point, all else is constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import SpecError
from teamnet.spec.check import MOST_LAYERS, whole_numbers
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Configuration
from teamnet.study.plan.cluster import Cluster
from teamnet.team.address import cluster_address
from teamnet.team.cores import usable_cores
from teamnet.team.limits import processors
from teamnet.values import check_choice, check_count

WEAK = ("width", "depth")
"""Weak scaling in which a step has more work, and more actors for it. With the factors ``batch`` and ``weak-nodes`` a
step has more environments, which its rate counts. The others are strong scaling."""
_USUAL = {
    "actors": ("layer", "block:32", "block:16", "block:8"), "cores": ("1", "2", "4", "8", "16"),
    **dict.fromkeys(("nodes", "weak-nodes"), ("1", "2", "4", "8", "16", "32")),
    "width": ("1", "2", "4"), "depth": ("1", "2", "3", "4"), "batch": ("1", "4", "16", "64"),
}


@dataclass(frozen=True)
class Point:
    """One point of a scaling experiment.

    Args:
        value: of the factor.
        configuration: of the run.
        cluster: the nodes of the run.
        launch: of the run.
        cores: that the run may use; 0 for all.
        possible: whether it can be measured on the available cluster.
    """

    value: str
    configuration: Configuration
    cluster: Cluster
    launch: LaunchSpec
    cores: int = 0
    possible: bool = True


def points_of(
    factor: str, values: Sequence[str], base: Configuration, cluster: Cluster, launch: LaunchSpec
) -> list[Point]:
    """The points of a factor.

    Args:
        factor: ``actors`` (grains, from coarse to fine), ``cores`` (of one machine), ``nodes``, ``weak-nodes`` (as many
            times the environments as nodes), ``width`` (multiples of the hidden layers), ``depth`` (hidden layers, all
            like the first) or ``batch`` (multiples of the preset's environments).
        values: of the factor; usual ones if there are none.
        base: the configuration in which the factor varies.
        cluster: the nodes, available or hypothetical.
        launch: of the runs.

    Raises:
        SpecError: the factor is unknown or cannot vary in one process, or a value is invalid.
    """
    check_choice("factor", factor, tuple(_USUAL))
    if not values and factor in ("nodes", "weak-nodes") and launch.address:
        counts = sorted({*(2**power for power in range(cluster.nodes.bit_length())), cluster.nodes})
        values = [str(count) for count in counts]
    values = values or _USUAL[factor]
    if factor == "actors":
        return [Point(value, replace(base, grains=value), cluster, launch) for value in values]
    numbers = whole_numbers(factor, values)
    if factor in ("cores", "nodes", "weak-nodes") and launch.backend == "local":
        raise SpecError(
            "backend", expected=f"ray, as {factor} are scaled", found="local", remedy="Leave --backend out.",
        )
    if factor == "cores":
        return [_on_cores(number, base, cluster, launch) for number in numbers]
    if factor == "nodes":
        return [_on_nodes(number, base, cluster, launch) for number in numbers]
    if factor == "weak-nodes":
        return [
            _on_nodes(number, replace(base, batches=number * base.batches), cluster, launch) for number in numbers
        ]
    if factor == "batch":
        return [Point(str(number), replace(base, batches=number * base.batches), cluster, launch) for number in numbers]
    if not base.sizes:
        raise SpecError("hidden", expected="a hidden layer to scale", found="none", remedy="Give --hidden 64-32.")
    points = []
    for number in numbers:
        if factor == "depth":
            check_count("depth", number, 1, MOST_LAYERS)
        sizes = [base.sizes[0]] * number if factor == "depth" else [number * size for size in base.sizes]
        points.append(Point(str(number), replace(base, hidden="-".join(map(str, sizes))), cluster, launch))
    return points


def _on_nodes(count: int, base: Configuration, cluster: Cluster, launch: LaunchSpec) -> Point:
    """On one node all units are packed; on several, units go to all in turn, which needs a cluster of that size."""
    if count == 1:  # there are no links to emulate
        alone = replace(launch, link_latency=0.0, link_bandwidth=0.0, max_nodes=int(bool(launch.address)))
        return Point("1", replace(base, placements="pack"), replace(cluster, nodes=1), alone)
    placement = base.placements if base.placements != "pack" else "spread"
    possible = count <= cluster.nodes and bool(launch.address)
    its_cluster = cluster if possible else replace(cluster, nodes=count)
    return Point(
        str(count), replace(base, placements=placement), its_cluster, replace(launch, max_nodes=count),
        possible=possible,
    )


def _on_cores(count: int, base: Configuration, cluster: Cluster, launch: LaunchSpec) -> Point:
    """On one machine, of which a private cluster may use only some cores."""
    if cluster.nodes > 1 or cluster_address(launch.address):
        raise SpecError(
            "factor", expected="one that can vary on a cluster", found="cores",
            remedy="Leave --address and --nodes out: the cores of a running cluster cannot be taken away.",
        )
    possible = count <= min(len(usable_cores()), processors())
    return Point(str(count), base, replace(cluster, cpus=count), launch, count, possible)


def synapses(teams: Sequence[Sequence[LayerSpec]]) -> int:
    """The synapses of all teams, biases included: the work of a step grows with their number."""
    return sum((layer.fan_in + 1) * layer.size for team in teams for layer in team)
