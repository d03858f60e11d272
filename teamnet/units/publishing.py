"""A unit's publications: its private arrays, encoded as their slots specify, in its own columns."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import FLOAT64
from teamnet.kernels.memory import copy, fill, flat, matrix, vector
from teamnet.kernels.wire import encode
from teamnet.units.layout import OWN, WRITE

_WRITE = WRITE.size


@kernel
def write_slots(unit, step):
    """Write all that a step publishes to its slots, and count it."""
    for number in range(step.write_count):
        write = WRITE(step.writes + _WRITE * number)
        if write.puts:
            _write(unit, OWN(write.own), write.number)


@kernel
def _write(unit, own, number):
    values, place = matrix(own.source, own.rows, own.columns), unit.step * own.rounds + number
    own.sent += 1
    if own.dtype != FLOAT64:
        _encode(own, flat(values), number)
    if own.threshold >= 0.0 and number > 0:
        held = _hold(own, matrix(own.address + ((place + 1) & own.mask) * own.stride, own.rows, own.width), values)
        own.held += held
        own.silent += held == values.size
    _put(own, values, matrix(own.address + (place & own.mask) * own.stride, own.rows, own.width))


@kernel
def _encode(own, values, number):
    """The unit continues with the encoded numbers, so that both ends of a synapse use the same numbers.

    The rounding residual of the last environment step is not added to the messages of this one.
    """
    residual = vector(own.residual, values.size)
    if own.error_feedback and number == 0:
        fill(residual, 0.0)
    encode(values, residual, own.dtype, own.error_feedback != 0)


@kernel
def _hold(own, before, values):
    """Hold numbers that have changed by at most the send threshold since the last publication; returns how many."""
    held = 0
    for row in range(values.shape[0]):
        for j in range(values.shape[1]):
            last = before[row, own.first + j]
            if abs(values[row, j] - last) <= own.threshold:
                values[row, j] = last
                held += 1
    return held


@kernel
def _put(own, values, slot):
    """Copy values to the unit's own columns of a slot."""
    if values.shape[1] == slot.shape[1]:
        copy(flat(values), flat(slot))
    else:
        first = own.first
        for row in range(values.shape[0]):
            for j in range(values.shape[1]):
                slot[row, first + j] = values[row, j]
