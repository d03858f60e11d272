"""What travels between the boards of several nodes: the slots that a node writes and another reads, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from teamnet.board.board import Board, Team
from teamnet.kernels.constants import BELL, EVERY, FLOAT64, NODES, WHOLE, WIRE_FORMATS, packed_size
from teamnet.spec.layers import UnitSpec

Slot = tuple[object, ...]
Columns = tuple[int, int]
_ALONE = 0, 0
"""The columns of a slot that one writer fills alone."""


class Piece(NamedTuple):
    """Some bytes of a slot: where they lie in its first buffer, how many, and its buffers, ``stride`` bytes apart.

    ``wire`` is the format in which they travel, one of :data:`teamnet.kernels.constants.WIRE_FORMATS`.
    """

    offset: int
    size: int
    buffers: int
    stride: int
    wire: int = FLOAT64

    @property
    def packed(self) -> int:
        """Bytes that travel."""
        return packed_size(self.size // 8, self.wire)


@dataclass(frozen=True)
class Route:
    """One slot's way from a node to another.

    Args:
        slot: its name.
        source: offset of the counter that says at the source that the slot is complete, as far as it is written there.
        target: offset of the counter of the whole slot at the target.
        arrivals: nodes that arrive at the target's counter.
        every: rounds of which one travels: of a team's output the last of each step, all that the coordinator reads.
        pieces: the bytes.
    """

    slot: Slot
    source: int
    target: int
    arrivals: int
    every: int
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of one round, as they travel."""
        return sum(piece.packed for piece in self.pieces)


class Routes:
    """Who writes and who reads which slot, when units are spread over nodes; node 0 has the coordinator.

    Args:
        teams: the layers of every team.
        units: all units in canonical order.
        nodes: each unit's node.

    Attributes:
        writers: of each slot the columns that each node writes.
        readers: of each slot the nodes that read it.
    """

    def __init__(self, teams: Sequence[Team], units: Sequence[UnitSpec], nodes: Sequence[int]) -> None:
        self.teams, self.units, self.nodes = teams, tuple(units), tuple(nodes)
        coordinated: tuple[Slot, ...] = ("observation",), ("delta",)
        self.writers: dict[Slot, dict[int, list[Columns]]] = {slot: {0: [_ALONE]} for slot in coordinated}
        self.readers: dict[Slot, set[int]] = {slot: set() for slot in coordinated}
        for unit, node in zip(units, nodes, strict=True):
            layer, team, number = unit.layer, unit.layer.team, unit.layer.number
            for kind in ("activation", "error"):
                _add(self.writers.setdefault((kind, team, number), {}).setdefault(node, []), unit)
            above = ("error", team, number + 1)
            self.readers.setdefault(above, set()).add(node)
            if layer.is_first or layer.begins_anew:
                self.readers["observation",].add(node)
            if not layer.is_told_from_above:
                self.readers["delta",].add(node)
            if not layer.is_first:
                self.readers.setdefault(("activation", team, number - 1), set()).add(node)
            if layer.is_last:
                self.readers.setdefault(("activation", team, number), set()).add(0)
            if layer.gated:
                if not layer.is_told_from_above:
                    self.readers.setdefault(("gate", team), set()).add(node)
                if layer.is_last:
                    self.writers["gate", team] = {node: [_ALONE]}

    @property
    def count(self) -> int:
        """Nodes."""
        return max(self.nodes, default=0) + 1

    def peers(self, number: int) -> int:
        """Units of a unit's layer on its own node, itself included."""
        unit, node = self.units[number], self.nodes[number]
        return sum(
            other.layer is unit.layer and its == node for other, its in zip(self.units, self.nodes, strict=True)
        )

    def shared(self, unit: UnitSpec) -> bool:
        """Whether units of its layer are on several nodes."""
        return len(self.writers["activation", unit.layer.team, unit.layer.number]) > 1

    def between(self, board: Board, source: int, target: int) -> list[Route]:
        """The routes from one node to another; any node's board will do, as all are laid out alike."""
        return [
            Route(
                slot, board.offset(self._counter(slot), *slot), board.offset("word", *slot),
                len(columns), self._every(board, slot), tuple(self._pieces(board, slot, columns[source], target)),
            )
            for slot, columns in self.writers.items()
            if source in columns and self._is_read(slot, target) and board.published(*slot) and source != target
        ]

    def _is_read(self, slot: Slot, node: int) -> bool:
        return node in self.readers.get(slot, ())

    def connect(self, board: Board, node: int) -> None:
        """Write into the counters of a node's board where a new round goes from there."""
        for slot, columns in self.writers.items():
            if node not in columns:
                continue
            readers = self.readers.get(slot, set())
            line = board.line(self._counter(slot), *slot)
            here = board.offset(self._counter(slot), *slot)
            if readers - {node}:
                line[BELL] = board.offset("bell") - here
            if len(columns) > 1 and self._is_read(slot, node):
                line[WHOLE] = board.offset("word", *slot) - here
                line[NODES], line[EVERY] = len(columns), self._every(board, slot)

    def _every(self, board: Board, slot: Slot) -> int:
        last = {("activation", team[-1].team, team[-1].number) for team in self.teams}
        return board.published(*slot) if slot in last else 1

    def _counter(self, slot: Slot) -> str:
        return "part" if len(self.writers[slot]) > 1 else "word"

    def _pieces(self, board: Board, slot: Slot, columns: Sequence[Columns], target: int) -> Iterator[Piece]:
        first = self.teams[0][0]
        rows = first.rows
        start = board.offset(*slot)
        if slot == ("delta",):
            yield self._signals(board)
        elif slot == ("observation",):
            if first.begins_anew:
                yield Piece(board.offset("keep"), 8 * rows, 2, 8 * rows)
            if any(unit.layer.is_first for unit, node in zip(self.units, self.nodes, strict=True) if node == target):
                size = 8 * rows * first.fan_in
                yield Piece(start, size, 2, size)
        elif slot[0] == "gate":
            yield Piece(start, 8 * rows, board.published(*slot), 8 * rows)
        else:
            yield from self._block(board, slot, columns)

    def _signals(self, board: Board) -> Piece:
        first = self.teams[0][0]
        return Piece(board.offset("delta"), 8 * first.rows * first.signals, 1, 0)

    def _block(self, board: Board, slot: Slot, columns: Sequence[Columns]) -> Iterator[Piece]:
        """Some columns of a layer's activations or errors.

        A critic's value estimate goes with its output, and with errors what is passed down.
        """
        kind, team, number = slot
        layer = next(layer for its in self.teams for layer in its if (layer.team, layer.number) == (team, number))
        is_output = kind == "activation" and layer.is_last
        wire = FLOAT64 if is_output else WIRE_FORMATS[layer.wire]
        rows = layer.rows * (layer.channels if kind == "error" else 1)
        start, width = board.offset(*slot), 8 * (layer.error_size if kind == "error" else layer.size)
        for begin, end in columns:
            whole = (begin, end) == (0, layer.size)
            for row in range(1 if whole else rows):
                size = rows * width if whole else 8 * (end - begin)
                yield Piece(start + row * width + 8 * begin, size, 2, rows * width, wire)
        if is_output and layer.gated:
            yield Piece(board.offset("value", team), 8 * layer.rows, 1, 0)
        if kind == "error" and layer.passes_down:
            yield self._signals(board)
            if layer.gated:
                yield Piece(board.offset("gate", team), 8 * layer.rows, 1, 0)


def _add(columns: list[Columns], unit: UnitSpec) -> None:
    """Neighbouring units on a node are one run of columns, unless each has a scale of its own."""
    if columns and columns[-1][1] == unit.start and unit.layer.wire != "int8":
        columns[-1] = columns[-1][0], unit.stop
    else:
        columns.append((unit.start, unit.stop))
