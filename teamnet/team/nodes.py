"""The coordinator's interface to all nodes of a run: its own in this process, the others in a worker pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from teamnet.errors import ActorLost
from teamnet.team import executor
from teamnet.team.executor import silent
from teamnet.team.node import Node
from teamnet.team.worker_pool import WorkerPool


class Nodes:
    """The boards of a run.

    Args:
        here: the coordinator's node, node 0.
        others: hosts of one :class:`teamnet.team.node.Node` each, from node 1 on; none if there is one node only.
        pin: see :class:`teamnet.team.pinning.Pinning`.
    """

    def __init__(self, here: Node, others: WorkerPool | None = None, pin: str = "none") -> None:
        self._here, self._others, self._pin = here, others, pin
        self._patience = executor.SILENCE
        self._reports = [here.where(), *self._of_others("where")]
        self.board = here.board
        self.begin_at(0)

    def _of_others(self, method: str, *arguments: object) -> list:
        if self._others is None:
            return []
        calls = self._others.call(method, [arguments] * self._others.size)
        if not self._others.done(calls, self._patience):
            silence, self._patience = self._patience, executor.PATIENCE  # the next call waits less
            raise silent(silence)
        self._patience = executor.SILENCE
        return self._others.results(calls)

    def attach(self, pool: WorkerPool) -> None:
        """Have every worker map the board of its node."""
        routes = self._here.routes
        threads = pool.results(pool.call("attach", [
            (self._reports[node][0], routes.peers(number), routes.shared(unit))
            for number, (unit, node) in enumerate(zip(routes.units, routes.nodes, strict=True))
        ]))
        self._here.pin(self._pin, threads)
        self._of_others("pin", self._pin, threads)

    def pinning(self) -> list[str]:
        """How the units of each node are pinned."""
        return [self._here.pinning(), *self._of_others("pinning")]

    def begin_at(self, step: int) -> None:
        """Set all counters to their values after ``step`` complete steps, and link the nodes again.

        No node connects before all have closed their accepted connections: the other ends of these are closed.
        """
        self._of_others("disconnect")
        self._here.disconnect()
        endpoints = [endpoint for _, endpoint in self._reports]
        pending = self._others.call("connect", [(endpoints, step)] * self._others.size) if self._others else []
        self._here.connect(endpoints, step)
        if self._others:
            self._others.results(pending)

    def pause_before(self, step: int) -> None:
        """Have units end before this step, or, if it is past, have them run."""
        self._set_control(4, step)

    def abort(self) -> None:
        """Have units end at once."""
        self._set_control(0, 1)

    def _set_control(self, place: int, value: int) -> None:
        self._here.set_control(place, value)
        with suppress(ActorLost):  # a lost host has no units left, and the others have received the call
            self._of_others("set_control", place, value)

    def check(self) -> None:
        """Check that the host of every node answers.

        Raises:
            ActorLost: one is lost.
        """
        self._of_others("aborted")

    def aborted(self) -> bool:
        """Whether the run has been aborted on any node."""
        return self._here.aborted() or any(self._of_others("aborted"))

    @property
    def places(self) -> Sequence[int]:
        """Each unit's node."""
        return self._here.routes.nodes

    def traffic(self) -> dict[str, int]:
        """Traffic of all links between nodes since they were established: ``messages``, ``bytes`` and ``writes``."""
        sums: Counter[str] = Counter()
        for sent in (self._here.traffic(), *self._of_others("traffic")):
            for link in sent.values():
                sums.update(link)
        return dict(sums)

    def late_wakeups(self) -> int:
        """How often a sleeper of any node was woken too late."""
        return self._here.late_wakeups() + sum(self._of_others("late_wakeups"))

    def failure(self) -> str:
        """The failure of a link of this node; empty if there is none."""
        return self._here.failure()

    def close(self) -> None:
        """End all links, and the other nodes' hosts, some of which may be lost."""
        self._here.close()
        if self._others:
            with suppress(ActorLost):
                self._of_others("close")
            others, self._others = self._others, None
            others.close()
