"""Slot addresses of a unit: those that its steps read, and those that it writes."""

from __future__ import annotations

import numpy as np

from teamnet.board.board import Board
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import Key, Read, Slot, Step
from teamnet.kernels.constants import DTYPES, NUMBER_BYTES
from teamnet.units.addresses import Addresses
from teamnet.units.layout import OWN, READ


def addresses_of(board: Board, unit: UnitSpec, peers: int = 1, *, shared: bool = False) -> Addresses:
    """The slot addresses that a unit can access.

    Args:
        board: of the unit's node.
        unit: the unit.
        peers: units of its layer on this node, itself included.
        shared: whether other nodes have units of its layer, so that each node counts its own publications first.
    """
    flow, group = board.flow, unit.layer.group
    joined: dict[tuple[int, int], np.ndarray] = {}
    reads = [_reads(board, step, joined) for step in flow.steps[group]]
    own = {}
    for slot in flow.written_by(group):
        record = np.zeros(1, OWN.dtype)
        _fill(record[0], _own(board, slot, unit, peers, shared=shared))
        own[slot.kind] = record
    return Addresses(reads, list(joined.values()), own, board.start)


def _reads(board: Board, step: Step, joined: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
    """The read records of a step: one for each parameter, then the parts of parameters that have several.

    Args:
        board: of the unit's node.
        step: of the unit.
        joined: memory for concatenated publications, by parameter index and width; the steps share it.
    """
    parameters = [read.parts if read else () for read in step.reads]
    several = [parts for parts in parameters if len(parts) > 1]
    records = np.zeros(len(parameters) + sum(map(len, several)), READ.dtype)
    free = len(parameters)
    for place, parts in enumerate(parameters):
        if len(parts) == 1:
            _fill(records[place], _read(board, parts[0]))
        elif parts:
            slots = [board.flow.slots[part.slot] for part in parts]
            shape = slots[0].rows, sum(slot.size for slot in slots)
            memory = joined.setdefault((place, shape[1]), np.zeros(shape))
            _fill(records[place], {
                "address": memory.ctypes.data, "rows": shape[0], "width": shape[1], "parts": free,
                "part_count": len(parts),
            })
            for part in parts:
                _fill(records[free], _read(board, part))
                free += 1
    return records


def _fill(record: np.void, values: dict[str, float]) -> None:
    for name, value in values.items():
        record[name] = value


def _where(board: Board, slot: Slot) -> dict[str, float]:
    return {
        "address": board.start + board.offset(slot.key), "mask": slot.buffers - 1,
        "stride": NUMBER_BYTES * slot.numbers, "rows": slot.rows, "width": slot.size,
    }


def _read(board: Board, read: Read) -> dict[str, float]:
    key, number = read.awaited
    return _where(board, board.flow.slots[read.slot]) | {
        "counter": board.start + board.counter(key), "rounds": board.flow.rounds(key), "number": number,
    }


def _own(board: Board, slot: Slot, unit: UnitSpec, peers: int, *, shared: bool) -> dict[str, float]:
    key: Key = slot.key
    counter = board.counter(key, part=shared)
    return _where(board, slot) | {
        "counter": board.start + counter if counter else 0, "rounds": board.flow.rounds(key),
        "first": unit.start if slot.split else 0, "columns": unit.size if slot.split else slot.size, "peers": peers,
        "dtype": DTYPES.index(slot.channel.dtype), "error_feedback": slot.channel.error_feedback,
        "threshold": slot.channel.threshold,
    }
