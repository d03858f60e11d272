"""The part of a probe that runs on each node. A plain class, like the workers of a run."""

from __future__ import annotations

from pathlib import Path

from teamnet.study.plan.origin import this_machine
from teamnet.study.probe.computing import measure_copies, measure_products, measure_steps
from teamnet.study.probe.figures import Message, NodeProbe
from teamnet.study.probe.handover import measure_handovers
from teamnet.study.probe.messages import follow_messages, measure_messages, measure_within
from teamnet.team.limits import available_memory
from teamnet.team.listener import Listener, reach

_CONNECT_SECONDS = 30.0
Endpoint = tuple[str, int]


class ProbeNode:
    """One node of a probe.

    Args:
        host: the address at which other nodes reach this one.
        key: of the probe, with which nodes prove that they belong to it.
        number: of this node.
        count: of the nodes.
    """

    def __init__(self, host: str, key: bytes, number: int, count: int) -> None:
        self._host, self._key, self._number, self._count = host, key, number, count
        self._listener = Listener(host, key, number, count)

    def where(self) -> tuple[Endpoint, str]:
        """The endpoint for other nodes, and what tells one machine from another."""
        return self._listener.endpoint, Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def measure(self) -> NodeProbe:
        """Measure what is within this node; takes about ten seconds.

        Raises:
            TeamnetError: another process of this node does not answer, or there is no shared memory.
        """
        return NodeProbe(
            self._host, this_machine(), available_memory(), measure_within(self._host), measure_handovers(),
            measure_copies(), measure_products(), measure_steps(),
        )

    def lead(self, endpoint: Endpoint, other: int) -> tuple[Message, ...]:
        """Measure messages to another node, which follows."""
        with reach(endpoint, self._key, self._number, other, _CONNECT_SECONDS) as peer:
            return measure_messages(peer)

    def follow(self, other: int) -> None:
        """The other end of :meth:`lead`."""
        with self._listener.peer(other, _CONNECT_SECONDS) as peer:
            follow_messages(peer)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
