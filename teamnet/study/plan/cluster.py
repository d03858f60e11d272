"""The description of a cluster: its nodes, and the links between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from teamnet.errors import SpecError
from teamnet.study.probe.figures import Probe
from teamnet.team.limits import processors
from teamnet.team.placement import Host, Need


@dataclass(frozen=True)
class Cluster:
    """The nodes and links of a planned run: as a probe has measured them, or all alike.

    Args:
        nodes: machines; the coordinator is on the first.
        cpus: cores of each, unless a probe has counted them.
        memory: bytes of each.
        link_latency: seconds of a message between two nodes, without the costs at its two ends.
        link_bandwidth: bytes per second that a node sends at most; 0 for no limit.
        shared_cpus: whether all nodes are on one machine with ``cpus`` cores in all, as network namespaces are.
        reserved_cpus: CPUs that each node declares to Ray; 0 for its cores.
        probe: of at least as many nodes, of which the first are used; its links replace the latency and the bandwidth.

    Raises:
        SpecError: a value is out of range, or the probe has fewer nodes.
    """

    nodes: int = 1
    cpus: int = 1
    memory: int = 8 << 30
    link_latency: float = 0.0
    link_bandwidth: float = 0.0
    shared_cpus: bool = False
    reserved_cpus: int = 0
    probe: Probe | None = None

    def __post_init__(self) -> None:
        least = {"nodes": 1, "cpus": 1, "memory": 1, "link_latency": 0.0, "link_bandwidth": 0.0, "reserved_cpus": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if not bound <= value < float("inf"):
                raise SpecError(name, expected=f"{bound} or more", found=str(value), remedy="Give such a number.")
        if self.probe and self.nodes > len(self.probe.nodes):
            raise SpecError(
                "nodes", expected=f"at most {len(self.probe.nodes)}, which were probed", found=str(self.nodes),
                remedy="Leave --nodes out, or probe a larger cluster.",
            )

    @property
    def is_here(self) -> bool:
        """Whether it is this machine alone, with the cores that this process may use."""
        return self.nodes == 1 and self.probe is None and self.cpus == processors()

    def cores_of(self, node: int) -> int:
        """Cores of a node."""
        return self.probe.nodes[node].origin.cores if self.probe else self.cpus

    def hosts(self) -> list[Host]:
        """The nodes as the hosts of a placement; where a probe has measured them, with their addresses."""
        names = [f"node-{number}" for number in range(1, self.nodes + 1)]
        addresses = [node.address for node in self.probe.nodes] if self.probe else names
        return [
            Host(name, address, Need(float(self.reserved_cpus or self.cores_of(number)), self.memory))
            for number, (name, address) in enumerate(zip(names, addresses, strict=False))
        ]

    def pools(self) -> tuple[list[int], list[int]]:
        """The set of cores of each node, and the number of cores in each set."""
        if self.shared_cpus:
            return [0] * self.nodes, [self.cores_of(0)]
        return list(range(self.nodes)), [self.cores_of(node) for node in range(self.nodes)]

    def latencies(self) -> np.ndarray:
        """Seconds of a message from each node to each other one, without the costs at its two ends."""
        return self._of_pairs(self.link_latency, Probe.latency)

    def byte_seconds(self) -> np.ndarray:
        """Seconds that a byte takes from each node to each other one."""
        usual = 1.0 / self.link_bandwidth if self.link_bandwidth else 0.0
        return self._of_pairs(usual, lambda probe, source, target: 1.0 / probe.bandwidth(source, target))

    def slowness(self) -> np.ndarray:
        """How many times longer each node computes than the first one."""
        return np.array([1.0 / self.probe.speed(node) if self.probe else 1.0 for node in range(self.nodes)])

    def _of_pairs(self, usual: float, of_probe: Callable[[Probe, int, int], float]) -> np.ndarray:
        values = np.full((self.nodes, self.nodes), usual)
        if self.probe:
            for source, target in permutations(range(self.nodes), 2):
                values[source, target] = of_probe(self.probe, source, target)
        return values
