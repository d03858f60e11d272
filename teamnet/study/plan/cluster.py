"""The description of a cluster: identical nodes, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass

from teamnet.errors import SpecError
from teamnet.team.placement import Host, Need


@dataclass(frozen=True)
class Cluster:
    """The nodes and links of a planned run.

    Args:
        nodes: machines; the coordinator is on the first.
        cpus: cores of each.
        memory: bytes of each.
        link_latency: seconds of a message between two nodes, without the costs at its two ends.
        link_bandwidth: bytes per second that a node sends at most; 0 for no limit.
        shared_cpus: whether all nodes are on one machine with ``cpus`` cores in all, as network namespaces are.
        reserved_cpus: CPUs that each node declares to Ray; 0 for ``cpus``.
    """

    nodes: int = 1
    cpus: int = 1
    memory: int = 8 << 30
    link_latency: float = 0.0
    link_bandwidth: float = 0.0
    shared_cpus: bool = False
    reserved_cpus: int = 0

    def __post_init__(self) -> None:
        least = {"nodes": 1, "cpus": 1, "memory": 1, "link_latency": 0.0, "link_bandwidth": 0.0, "reserved_cpus": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if not bound <= value < float("inf"):
                raise SpecError(name, expected=f"{bound} or more", found=str(value), remedy="Give such a number.")

    def hosts(self) -> list[Host]:
        """The nodes as the hosts of a placement."""
        free = Need(float(self.reserved_cpus or self.cpus), self.memory)
        return [Host(f"node-{number}", f"node-{number}", free) for number in range(1, self.nodes + 1)]

    def pools(self) -> tuple[list[int], list[int]]:
        """The set of cores of each node, and the number of cores in each set."""
        if self.shared_cpus:
            return [0] * self.nodes, [self.cpus]
        return list(range(self.nodes)), [self.cpus] * self.nodes
