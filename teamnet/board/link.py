"""Records of the two compiled ends of a link: the socket, the routes and the buffers; filled in by plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teamnet.board.board import Board
from teamnet.board.routes import Route
from teamnet.kernels.view import View

HEADER = 8
"""Bytes before each round of a route: the route's number in the link, and the round, uint32 each."""
UNCHANGED = 1 << 31
"""Flag in that number: the round is equal to the one before, and no bytes follow."""
BATCHES = 16
"""Maximum number of batches that a link with a delay queues."""

LINK = View("link", dict.fromkeys((
    "socket", "stop", "bell", "routes", "count", "buffer", "batch", "latency", "picoseconds", "due", "sizes",
    "messages", "bytes", "writes",
), "i"))
"""One direction of a link.

``socket`` is a file descriptor; ``stop`` is not 0 once the link must end; ``bell`` (of the doorbell), ``routes``,
``buffer``, ``due`` and ``sizes`` are addresses; ``batch`` is the maximum size of a batch in bytes. An emulated link has
a ``latency`` in nanoseconds and takes ``picoseconds`` for a byte. ``messages``, ``bytes`` and ``writes`` count the
traffic.
"""

ROUTE = View("route", dict.fromkeys(("word", "peers", "every", "pieces", "count", "size", "done", "first"), "i"))
"""A route: its counter on this node, how many nodes arrive there and at which rounds, its pieces and bytes, the last
round transferred, and the round before the first one."""

PIECE = View("piece", dict.fromkeys(("address", "size", "buffers", "stride", "wire", "packed", "kept"), "i"))
"""Bytes of a slot; see :class:`teamnet.board.routes.Piece`. In a sender, ``kept`` is the address of a copy of the last
round."""


@dataclass(frozen=True)
class Emulation:
    """An emulated slower network, for studies; the values of ``Emulation()`` emulate none.

    Args:
        latency: seconds by which every message is delayed.
        bandwidth: bytes per second of each direction of a link between two nodes; 0 for no limit.
    """

    latency: float = 0.0
    bandwidth: float = 0.0


class LinkEnd:
    """Memory of one direction of a link: its ``record``, one ``LINK``, and all that it refers to.

    Args:
        board: of this node.
        routes: of this direction.
        socket: an open file descriptor.
        step: number of complete environment steps.
        sending: whether this is the end that sends.
        emulation: of a slower network; sending ends only.
    """

    def __init__(
        self, board: Board, routes: Sequence[Route], socket: int, step: int, *, sending: bool,
        emulation: Emulation | None = None,
    ) -> None:
        start = board.start
        pieces = [piece for route in routes for piece in route.pieces]
        self._kept = np.zeros(sum(piece.size for piece in pieces) if sending else 0, np.uint8)
        places = self._kept.ctypes.data + np.cumsum([0, *(piece.size for piece in pieces)])
        self._pieces = np.array([
            (start + piece.offset, *piece[1:], piece.packed, place)
            for piece, place in zip(pieces, places[:-1], strict=True)
        ], PIECE.dtype)
        self._routes = np.zeros(len(routes), ROUTE.dtype)
        first = 0
        for record, route in zip(self._routes, routes, strict=True):
            counter = route.source if sending else route.target
            address = self._pieces[first:].ctypes.data
            done = step * board.flow.rounds(route.slot)
            for field, value in zip(
                ROUTE.scalars, (
                    start + counter, route.arrivals, route.every, address, len(route.pieces), route.size, done, done
                ), strict=True,
            ):
                record[field] = value
            first += len(route.pieces)
        batch = max(4096, 4 * sum(HEADER + route.size for route in routes))
        self._buffer = np.zeros(batch * (BATCHES if sending else 2), np.uint8)
        self._due = np.zeros((2, BATCHES), np.int64)
        self.record = np.zeros(1, LINK.dtype)
        slower = emulation or Emulation()
        values = {
            "socket": socket, "bell": start + board.doorbell, "routes": self._routes.ctypes.data, "count": len(routes),
            "buffer": self._buffer.ctypes.data, "batch": batch, "latency": round(1e9 * slower.latency),
            "picoseconds": round(1e12 / slower.bandwidth) if slower.bandwidth else 0,
            "due": self._due[0].ctypes.data, "sizes": self._due[1].ctypes.data,
        }
        for field, value in values.items():
            self.record[field] = value

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return bool(self.record["stop"][0])

    def stop(self) -> None:
        """Stop the kernel; a receiving one stops when its socket closes."""
        self.record["stop"] = 1
