"""One node of a run: its board, and its links to the boards of the other nodes. A plain class, like the workers."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from teamnet.board.board import Board, board_size
from teamnet.board.link import Emulation, LinkEnd
from teamnet.board.routes import Routes
from teamnet.board.segment import create_segment, map_segment, path_of
from teamnet.dataflow.graph import Dataflow, Teams
from teamnet.dataflow.layers import UnitSpec
from teamnet.kernels.constants import ENDED, GARBLED, LATE_AT
from teamnet.kernels.native import native
from teamnet.team.listener import Listener, reach
from teamnet.team.pinning import Pinning
from teamnet.units.code import compile_all

_CONNECT_SECONDS = 30.0
_SET_TIMER_SLACK = 29  # see prctl(2)
SENDING, RECEIVING = ("teamnet.board.relay", "send_rounds"), ("teamnet.board.relay", "receive_rounds")
"""Module and name of the kernels of a link."""

Endpoint = tuple[str, int]


def _sleep_punctually() -> None:
    """Reduce the timer slack of this thread: by default, Linux wakes it up to 50 microseconds too late."""
    ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, 1)


@dataclass
class _Link:
    peer: int
    socket: socket.socket
    ends: tuple[LinkEnd, LinkEnd]
    threads: list[threading.Thread]


class Node:
    """The board of one node, in a shared-memory segment that its workers map, and its links to the other nodes.

    Args:
        teams: the layers of every team.
        units: all units in canonical order.
        places: each unit's node; the coordinator is at node 0.
        number: of this node.
        key: of the run, with which nodes prove that they belong to it; needed for more than one node.
        host: the address at which the other nodes reach this one.
        emulation: of a slower network.
        free_running: whether units run without a common tick.
    """

    def __init__(
        self, teams: Teams, units: Sequence[UnitSpec], places: Sequence[int], number: int = 0,
        key: bytes = b"", host: str = "", emulation: Emulation | None = None, *, free_running: bool = False,
    ) -> None:
        flow = Dataflow(teams, free_running=free_running)
        self.routes = Routes(flow, units, places)
        self._number, self._key, self._emulation = number, key, emulation
        self._links: list[_Link] = []
        self._failure = ""
        self._listener = None
        self._segment: int | None = create_segment(board_size(flow))
        try:
            self.board = Board(flow, map_segment(path_of(self._segment)))
            self._wake_all = native("teamnet.team.coordinator_kernels", "wake_all")
            self._counters = np.array(self.board.counters(), np.int64)
            if self.routes.count > 1:
                self._run = {entry: native(*entry) for entry in (SENDING, RECEIVING)}
                self._listener = Listener(host, key, number, self.routes.count)
        except BaseException:
            self._release()
            raise
        self.routes.connect(self.board, number)
        self._pinning = Pinning("none", (), (), (), self.board.control, 0)

    def where(self) -> tuple[Path, Endpoint]:
        """The segment for this node's workers, and the address and port for other nodes."""
        assert self._segment is not None, "called before it is closed"
        return path_of(self._segment), self._listener.endpoint if self._listener else ("", 0)

    def compile(self, module: str, name: str) -> None:
        """Compile the kernels of this node's workers into the cache, before many workers need them at once."""
        compile_all(self.routes.flow, module, name)

    def _release(self) -> None:
        """Close the segment: its memory now lives as long as the processes that have mapped it."""
        if self._segment is not None:
            os.close(self._segment)
            self._segment = None

    def connect(self, endpoints: Sequence[Endpoint], step: int = 0) -> None:
        """Begin at ``step``, linked to all other nodes, which have disconnected; returns once all links are up.

        Args:
            endpoints: of all nodes, in their order.
            step: steps that are complete.

        Raises:
            LinkLost, LinkRefused: another node cannot be reached, or does not belong to the run.
        """
        self.board.begin_at(step)
        self._failure = ""
        for peer, endpoint in enumerate(endpoints):
            if peer == self._number or not self._listener:
                continue
            if peer < self._number:
                connection = reach(endpoint, self._key, self._number, peer, _CONNECT_SECONDS)
            else:
                connection = self._listener.peer(peer, _CONNECT_SECONDS)
            self._link(peer, connection, step)

    def _link(self, peer: int, connection: socket.socket, step: int) -> None:
        outwards, inwards = (
            self.routes.between(self.board, *pair) for pair in ((self._number, peer), (peer, self._number))
        )
        number = connection.fileno()
        sender = LinkEnd(self.board, outwards, number, step, sending=True, emulation=self._emulation)
        receiver = LinkEnd(self.board, inwards, number, step, sending=False)
        link = _Link(peer, connection, (sender, receiver), [])
        for entry, end in ((SENDING, sender), (RECEIVING, receiver)):
            thread = threading.Thread(
                target=self._carry, args=(entry, end, peer), daemon=True, name=f"relay {entry[1]} {peer}"
            )
            link.threads.append(thread)
            thread.start()
        self._links.append(link)

    def _carry(self, entry: tuple[str, str], end: LinkEnd, peer: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # otherwise a signal looks like a lost link
        if self._emulation:
            _sleep_punctually()
        status = self._run[entry](end.record.ctypes.data)
        if status != ENDED and not self._failure and not end.stopped:
            reason = "what it sent makes no sense" if status == GARBLED else "the connection is closed"
            self._failure = f"node {self._number} lost node {peer}: {reason}"
            self.set_control(0, 1)

    def set_control(self, place: int, value: int) -> None:
        """Set a word of the control line, ``place`` bytes from its start, and wake all sleeping threads."""
        self.board.control[place // 4] = value % 2**32
        self._wake_all(self._counters.ctypes.data, self._counters.size)

    def pin(self, pin: str, threads: Sequence[int]) -> None:
        """Pin the units of this node, anew if they are pinned already.

        Args:
            pin: see :class:`teamnet.team.pinning.Pinning`.
            threads: of all units of the run.

        Raises:
            SpecError: a map does not fit the run or this machine.
        """
        self._pinning.close()
        own = [number for number, node in enumerate(self.routes.nodes) if node == self._number]
        units = [self.routes.units[number] for number in own]
        spare = int(self._number == 0)  # for the coordinator
        run = self.routes.units
        self._pinning = Pinning(pin, units, run, [threads[number] for number in own], self.board.control, spare)

    def pinning(self) -> str:
        """How the units of this node are pinned."""
        return self._pinning.describe()

    def aborted(self) -> bool:
        """Whether the run has been aborted here: by a unit, by a lost link or by the coordinator."""
        return bool(self.board.control[0])

    def failure(self) -> str:
        """The failure of a link; empty if there is none."""
        return self._failure

    def traffic(self) -> dict[int, dict[str, int]]:
        """What this node has sent to each other node since they were linked: messages, bytes and writes."""
        return {
            link.peer: {name: int(link.ends[0].record[name][0]) for name in ("messages", "bytes", "writes")}
            for link in self._links
        }

    def late_wakeups(self) -> int:
        """How often a sleeper of this node was not woken by a publication, and saw it only when it looked again."""
        return int(self.board.control[LATE_AT // 4])

    def refused(self) -> int:
        """The number of connections refused at the relay's port."""
        return self._listener.refused if self._listener else 0

    def disconnect(self) -> None:
        """End all links, including those that another node has begun."""
        links, self._links = self._links, []
        for link in links:
            for end in link.ends:
                end.stop()
            with suppress(OSError):
                link.socket.shutdown(socket.SHUT_RDWR)
        for link in links:
            for thread in link.threads:
                thread.join()
            link.socket.close()
        if self._listener:
            self._listener.forget()

    def close(self) -> None:
        """End all links, stop listening, and let the cores go."""
        self._pinning.close()
        self.disconnect()
        if self._listener:
            self._listener.close()
        self._release()
