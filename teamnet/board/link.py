"""What the two compiled ends of a link know: the socket, the routes, and buffers; filled in by plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teamnet.board.board import Board
from teamnet.board.routes import Route
from teamnet.kernels.view import View

HEADER = 8
"""Bytes before each round of a route: its number among the link's routes, and the round, uint32 each."""
UNCHANGED = 1 << 31
"""In that number: the round says nothing that the one before did not say, and no bytes follow."""
BATCHES = 16
"""Batches that a link with a delay holds back at most."""

LINK = View("link", dict.fromkeys((
    "socket", "stop", "bell", "routes", "count", "buffer", "batch", "latency", "picoseconds", "due", "sizes",
    "messages", "bytes", "writes",
), "i"))
"""One direction of a link.

``socket`` is a file descriptor; ``stop`` is not 0 once the link is to end; ``bell``, ``routes``, ``buffer``, ``due``
and ``sizes`` are addresses; a ``batch`` is the most bytes that can be under way at once. An emulated link has a
``latency`` in nanoseconds and takes ``picoseconds`` for a byte. ``messages``, ``bytes`` and ``writes`` count what was
done.
"""

ROUTE = View("route", dict.fromkeys(("word", "peers", "every", "pieces", "count", "size", "done", "first"), "i"))
"""A route: its counter here, who arrives there and at which rounds, its pieces and bytes, the last round carried, and
that before the first one."""

PIECE = View("piece", dict.fromkeys(("address", "size", "buffers", "stride", "wire", "packed", "kept"), "i"))
"""Bytes of a slot; see :class:`teamnet.board.routes.Piece`. A sender has ``kept``, an address, those of the last round.
"""


@dataclass(frozen=True)
class Emulation:
    """A slower network than there is, for studies; with the values of ``Emulation()`` there is none.

    Args:
        latency: seconds that every message is late.
        bandwidth: bytes per second of each direction of a link between two nodes; 0 for no limit.
    """

    latency: float = 0.0
    bandwidth: float = 0.0


class LinkEnd:
    """Memory of one direction of a link: its ``record``, one ``LINK``, and all that hangs on it.

    Args:
        board: of this node.
        routes: what the direction carries.
        socket: an open file descriptor.
        step: steps that are complete.
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
        """Whether it was told to end."""
        return bool(self.record["stop"][0])

    def stop(self) -> None:
        """Tell the kernel to end; a receiving one ends with its socket."""
        self.record["stop"] = 1
