"""Routes between the boards of several nodes: only slots that one node writes and another reads are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from teamnet.board.board import Board
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import COORDINATOR, Group, Key, Slot
from teamnet.kernels.constants import BELL, DTYPES, EVERY, FLOAT64, NODES, NUMBER_BYTES, WHOLE, packed_size

Columns = tuple[int, int]


class Piece(NamedTuple):
    """Bytes of a slot: their offset on the board in its first buffer, their number, and its buffers, ``stride`` apart.

    ``dtype`` is their message dtype, an index in :data:`teamnet.kernels.constants.DTYPES`; ``stride`` is in bytes.
    """

    offset: int
    size: int
    buffers: int
    stride: int
    dtype: int = FLOAT64

    @property
    def packed(self) -> int:
        """Bytes that are sent."""
        return packed_size(self.size // NUMBER_BYTES, self.dtype)


@dataclass(frozen=True)
class Route:
    """The route of one slot from one node to another.

    Args:
        slot: its key.
        source: offset of the counter that shows at the source that the part of the slot written there is complete.
        target: offset of the counter of the whole slot at the target.
        arrivals: nodes that arrive at the target's counter.
        every: publications of which one is sent.
        pieces: the bytes that are sent.
    """

    slot: Key
    source: int
    target: int
    arrivals: int
    every: int
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of one publication, as they are sent."""
        return sum(piece.packed for piece in self.pieces)


class Routes:
    """The slots that are sent between nodes when units are placed on several; node 0 has the coordinator.

    Args:
        flow: the dataflow of the run.
        units: all units in canonical order.
        nodes: each unit's node.
    """

    def __init__(self, flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int]) -> None:
        self.flow, self.units, self.nodes = flow, tuple(units), tuple(nodes)
        self._groups: dict[Group, dict[int, list[UnitSpec]]] = {COORDINATOR: {0: []}}
        for unit, node in zip(units, nodes, strict=True):
            of_group = self._groups.setdefault(unit.layer.group, {})
            of_group.setdefault(node, []).append(unit)

    @property
    def count(self) -> int:
        """Nodes."""
        return max(self.nodes, default=0) + 1

    def peers(self, number: int) -> int:
        """Units of a unit's layer on its own node, itself included."""
        layer = self.units[number].layer
        return len(self._groups[layer.group][self.nodes[number]])

    def shared(self, unit: UnitSpec) -> bool:
        """Whether units of its layer are on several nodes."""
        return len(self._groups[unit.layer.group]) > 1

    def writers(self, slot: Slot) -> list[int]:
        """The nodes that write a slot."""
        return list(self._groups[slot.writer])

    def readers(self, slot: Slot) -> set[int]:
        """The nodes that read a slot."""
        return {node for group in self.flow.readers(slot.key) for node in self._groups[group]}

    def between(self, board: Board, source: int, target: int) -> list[Route]:
        """The routes from one node to another; ``board`` can be any node's, as all have the same layout."""
        if source == target:
            return []
        return [
            Route(
                slot.key, board.counter(slot.key, part=self._has_parts(slot)), board.counter(slot.key),
                len(self.writers(slot)), self.flow.travelling(slot.key),
                tuple(self._pieces(board, slot, source, target)),
            )
            for slot in self.flow.published()
            if source in self.writers(slot) and target in self.readers(slot)
        ]

    def connect(self, board: Board, node: int) -> None:
        """Write into the counters of a node's board where each new publication is sent."""
        for slot in self.flow.published():
            if node not in self.writers(slot):
                continue
            readers, counter = self.readers(slot), board.counter(slot.key, part=self._has_parts(slot))
            line = board.line(slot.key, part=self._has_parts(slot))
            if readers - {node}:
                line[BELL] = board.doorbell - counter
            if self._has_parts(slot) and node in readers:
                line[WHOLE] = board.counter(slot.key) - counter
                line[NODES], line[EVERY] = len(self.writers(slot)), self.flow.travelling(slot.key)

    def _has_parts(self, slot: Slot) -> bool:
        return len(self.writers(slot)) > 1

    def _pieces(self, board: Board, slot: Slot, source: int, target: int) -> Iterator[Piece]:
        """The pieces of a publication, and of the slots that it carries, that readers at the target use."""
        groups = [group for group in self.flow.readers(slot.key) if target in self._groups[group]]
        needed = {key for group in groups for key in self.flow.taken(slot.key, group)}
        for part in (slot, *self.flow.carried_with(slot)):
            if part.key in needed:
                yield from self._columns(board, part, source if part.writer == slot.writer else 0)

    def packed_bytes(self, slot: Slot, node: int) -> int:
        """Bytes of one publication of a node's units in a slot, with the carried slots that any reader uses."""
        groups = self.flow.readers(slot.key)
        needed = {key for group in groups for key in self.flow.taken(slot.key, group)}
        return sum(
            packed_size(numbers, DTYPES.index(part.channel.dtype))
            for part in (slot, *self.flow.carried_with(slot)) if part.key in needed
            for _, numbers in self._runs(part, node if part.writer == slot.writer else 0)
        )

    def _runs(self, slot: Slot, node: int) -> Iterator[tuple[int, int]]:
        """The start and the length of each run of numbers that a node writes in a buffer of a slot."""
        for begin, end in self.columns(slot, node):
            if (begin, end) == (0, slot.size):
                yield 0, slot.numbers
            else:
                yield from ((row * slot.size + begin, end - begin) for row in range(slot.rows))

    def _columns(self, board: Board, slot: Slot, source: int) -> Iterator[Piece]:
        start, stride = board.offset(slot.key), NUMBER_BYTES * slot.numbers
        dtype = DTYPES.index(slot.channel.dtype)
        for first, numbers in self._runs(slot, source):
            yield Piece(start + NUMBER_BYTES * first, NUMBER_BYTES * numbers, slot.buffers, stride, dtype)

    def columns(self, slot: Slot, node: int) -> list[Columns]:
        """The columns of a slot that the units of a node write.

        Adjacent units form one run of columns, unless each has a scale of its own.
        """
        if not slot.split:
            return [(0, slot.size)]
        found: list[Columns] = []
        for unit in self._groups[slot.writer][node]:
            if found and found[-1][1] == unit.start and slot.channel.dtype != "int8":
                found[-1] = found[-1][0], unit.stop
            else:
                found.append((unit.start, unit.stop))
        return found
