"""What only asynchronous MAP propagation does: values go on from step to step, and outputs look again."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import copy, flat
from teamnet.units.acting import find_error, predict, sample
from teamnet.units.views import ACTIVATION, MEAN, begin_messages, keep, state, write_activation


@kernel
def begin(unit):
    """The first look at a new observation; where an episode has just begun, values start anew."""
    kept = keep(unit)
    for row in range(unit.rows):
        if kept[row] == 0.0:
            forget(unit, row)
    look(unit)


@kernel
def forget(unit, row):
    """Values of a row start anew."""
    activation = state(unit, ACTIVATION)
    for j in range(unit.size):
        activation[row, j] = 0.0


@kernel
def look(unit):
    """Mean and error for a new observation, with the values that there are."""
    begin_messages(unit)
    predict(unit)
    write_activation(unit)
    find_error(unit)


@kernel
def resample(unit, expecting):
    """An output unit looks again and acts once more; ``expecting``: it takes its mean."""
    predict(unit)
    if expecting:
        copy(flat(state(unit, MEAN)), flat(state(unit, ACTIVATION)))
        write_activation(unit)
    else:
        sample(unit)
    find_error(unit)
