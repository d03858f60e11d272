"""One tick of asynchronous MAP propagation; the arithmetic is ``kernels.rule`` and ``kernels.asynchronous``."""

from __future__ import annotations

from teamnet.kernels import asynchronous, rule
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import CATEGORICAL
from teamnet.kernels.memory import copy, flat, matrix, vector
from teamnet.units.acting import own_error, predict, sample
from teamnet.units.views import (
    ACTIVATION,
    CHANGE,
    ERROR,
    FORCE,
    MEAN,
    SECOND_ERROR,
    above,
    keep,
    state,
    write_activation,
    write_error,
)


@kernel
def begin(unit):
    """The first look at a new observation; where an episode has just begun, values start anew."""
    kept, decay = keep(unit), vector(unit.decay, unit.rows)
    for row in range(unit.rows):
        decay[row] = unit.trace_decay * kept[row]
        if kept[row] == 0.0:
            forget(unit, row)
    look(unit)


@kernel
def forget(unit, row):
    """Values of a row start anew."""
    activation, change = state(unit, ACTIVATION), state(unit, CHANGE)
    for j in range(unit.size):
        activation[row, j], change[row, j] = 0.0, 1.0


@kernel
def look(unit):
    """Mean and errors for a new observation, with the values that there are."""
    predict(unit)
    write_activation(unit)
    _find_errors(unit)


@kernel
def _find_errors(unit):
    own_error(unit)
    asynchronous.weigh(state(unit, ERROR), state(unit, CHANGE), state(unit, SECOND_ERROR))
    write_error(unit)


@kernel
def tick(unit):
    """A hidden unit moves towards its most probable value."""
    activation, force = state(unit, ACTIVATION), state(unit, FORCE)
    before = state(unit, SECOND_ERROR)  # free until the errors are found anew
    copy(flat(activation), flat(before))
    rule.settle(
        activation, state(unit, MEAN), unit.variance, unit.step_size, above(unit, 0),
        matrix(unit.outgoing, unit.fan_out, unit.size), force,
    )
    write_activation(unit)
    asynchronous.follow(before, activation, False, state(unit, CHANGE))


@kernel
def resample(unit, expecting):
    """An output unit looks again and acts once more; ``expecting``: it takes its mean."""
    activation, before = state(unit, ACTIVATION), state(unit, SECOND_ERROR)
    copy(flat(activation), flat(before))
    predict(unit)
    if expecting:
        copy(flat(state(unit, MEAN)), flat(activation))
        write_activation(unit)
    else:
        sample(unit)
    asynchronous.follow(before, activation, unit.family == CATEGORICAL, state(unit, CHANGE))
    _find_errors(unit)


@kernel
def confide(unit):
    """Mean and error anew, the error also weighed by how settled the unit is."""
    predict(unit)
    _find_errors(unit)


@kernel
def rest(unit):
    """The same for an output unit that keeps its action."""
    activation = state(unit, ACTIVATION)
    asynchronous.follow(activation, activation, False, state(unit, CHANGE))
    confide(unit)
