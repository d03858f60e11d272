"""The memory layout of a run: the place of every slot and every round counter.

Each slot has ``buffers`` buffers, used in turn by its publications; all numbers are float64, with one row for each
parallel environment. A slot that is published by itself has a round counter, and a second one for the units of this
node alone, which counts first where several nodes write the same slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.ports import ACTION_MASK, EPISODE_MASK, OBSERVATION, TD_ERROR, TRACE_MASK
from teamnet.dataflow.slots import Key, Slot
from teamnet.kernels.constants import LATE_AT, LINE, NUMBER_BYTES, WHOLE

_CONTROL, _DOORBELL = 0, LINE


class _Place(NamedTuple):
    """Byte offsets of a slot and of its counters on the board; 0 for a counter that does not exist."""

    slot: int
    counter: int
    part: int


class Board:
    """Slots and counters of all teams of a run, laid out in one block of memory.

    Args:
        flow: the dataflow of the run.
        memory: uint8 bytes, at least :func:`board_size` of them.
    """

    def __init__(self, flow: Dataflow, memory: np.ndarray) -> None:
        self.flow = flow
        self._memory = memory
        self._places, _ = _lay_out(flow)

    @property
    def start(self) -> int:
        """The address that offsets are relative to."""
        return self._memory.ctypes.data

    @property
    def control(self) -> np.ndarray:
        """The control line, uint32.

        Whether the run is aborted, the step before which it pauses, and, for a free-running team, the number of
        observations that have been published; from byte ``SPIN_AT`` on, how waiters of this node wait.
        """
        return self._line(_CONTROL).view(np.uint32)

    @property
    def doorbell(self) -> int:
        """Offset of the doorbell, the counter that wakes the relay."""
        return _DOORBELL

    def offset(self, key: Key) -> int:
        """Byte offset of a slot from the start of the board; the same on every node."""
        return self._places[key].slot

    def counter(self, key: Key, *, part: bool = False) -> int:
        """Offset of a slot's round counter, or of the counter of this node's part of it if ``part``."""
        place = self._places[key]
        return place.part if part else place.counter

    def line(self, key: Key, *, part: bool = False) -> np.ndarray:
        """The line of a slot's round counter, as int64."""
        return self._line(self.counter(key, part=part))

    def _line(self, offset: int) -> np.ndarray:
        return self._memory[offset : offset + LINE].view(np.int64)

    def slot(self, key: Key) -> np.ndarray:
        """All buffers of a slot, float64 ``(buffers, rows, size)``."""
        slot = self.flow.slots[key]
        start = self.offset(key)
        numbers = slot.buffers * slot.numbers
        array = self._memory[start : start + NUMBER_BYTES * numbers].view(np.float64)
        return array.reshape(slot.buffers, slot.rows, slot.size)

    @property
    def observations(self) -> np.ndarray:
        """Both buffers of the observation, ``(2, rows, observation)``."""
        return self.slot(OBSERVATION)

    @property
    def episode_masks(self) -> np.ndarray:
        """Both buffers of the mask carried by the observation, ``(2, rows)``; other memory if no unit reads it."""
        return self._vectors(EPISODE_MASK, 2)

    @property
    def action_masks(self) -> np.ndarray:
        """Both buffers of the valid actions carried by the observation, ``(2, rows, size)``; no rows if all are."""
        return self.slot(ACTION_MASK) if ACTION_MASK in self.flow.slots else np.zeros((2, 0, 0))

    @property
    def signals(self) -> tuple[np.ndarray, np.ndarray]:
        """The TD error and the trace mask, ``(rows,)`` each; the latter is other memory if no unit reads it."""
        return self._vectors(TD_ERROR, 1)[0], self._vectors(TRACE_MASK, 1)[0]

    def _vectors(self, key: Key, buffers: int) -> np.ndarray:
        return self.slot(key)[..., 0] if key in self.flow.slots else np.zeros((buffers, self.observations.shape[1]))

    def published(self, unit: UnitSpec) -> np.ndarray:
        """The latest activations that a unit has published, ``(buffers, rows, neurons)``."""
        return self.slot(self.flow.activation(unit.layer).key)[..., unit.start : unit.stop]

    def counters(self) -> list[int]:
        """The addresses of all round counters."""
        return [self.start + offset for _, offset in self._counters()]

    def _counters(self) -> Iterator[tuple[Key, int]]:
        for key, place in self._places.items():
            if place.counter:
                yield key, place.counter
                yield key, place.part

    def begin_at(self, step: int) -> None:
        """Set every counter to its value after ``step`` complete environment steps, with no process waiting."""
        for key, offset in self._counters():
            line = self._line(offset).view(np.uint32)
            line[: 2 * WHOLE] = 0
            line[0] = step * self.flow.rounds(key) % 2**32
        control = self.control
        control[0] = control[LATE_AT // 4] = 0
        control[1] = (step - 1) % 2**32
        control[2] = step % 2**32


def board_size(flow: Dataflow) -> int:
    """The bytes that a board needs."""
    return _lay_out(flow)[1]


def slot_bytes(slot: Slot) -> int:
    """Bytes of all buffers of a slot."""
    return NUMBER_BYTES * slot.buffers * slot.numbers


def _lay_out(flow: Dataflow) -> tuple[dict[Key, _Place], int]:
    counted = {slot.key: number for number, slot in enumerate(flow.published())}
    end = 2 * LINE * (1 + len(counted))
    places = {}
    for key, slot in flow.slots.items():
        counter = 2 * LINE * (1 + counted[key]) if key in counted else 0
        places[key] = _Place(end, counter, counter + LINE if counter else 0)
        end += -(-slot_bytes(slot) // LINE) * LINE
    return places, end
