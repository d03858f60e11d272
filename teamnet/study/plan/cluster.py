"""A cluster as it is described: nodes that are all alike, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass

from teamnet.errors import SpecError
from teamnet.team.placement import Host, Need


@dataclass(frozen=True)
class Cluster:
    """What a run would have.

    Args:
        nodes: machines; the coordinator is on the first.
        cpus: cores of each.
        memory: bytes of each.
        link_latency: seconds of a message between two nodes, beside what its ends have to do.
        link_bandwidth: bytes per second that a node sends at most; 0 for no limit.
        shared_cpus: whether all nodes are on one machine with ``cpus`` cores in all, as network namespaces are.
        reserved_cpus: that each node says it has to Ray, if these are not its cores.
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
        """The nodes as a placement sees them."""
        free = Need(float(self.reserved_cpus or self.cpus), self.memory)
        return [Host(f"node-{number}", f"node-{number}", free) for number in range(1, self.nodes + 1)]

    def pools(self) -> tuple[list[int], list[int]]:
        """Which set of cores each node has, and how many are in each set."""
        if self.shared_cpus:
            return [0] * self.nodes, [self.cpus]
        return list(range(self.nodes)), [self.cpus] * self.nodes
