"""Phases that all rules share: predict, sample, and find the error of the unit's own policy."""

from __future__ import annotations

from teamnet.kernels import backpropagation, rule
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import CATEGORICAL, GAUSSIAN
from teamnet.kernels.memory import copy, flat, matrix, vector
from teamnet.units.views import (
    ACTING_MEAN,
    ACTIVATION,
    ERROR,
    MEAN,
    POTENTIAL,
    SECOND_ERROR,
    SLOPE,
    begin_messages,
    below,
    gate,
    state,
    take_noise,
    write_activation,
    write_error,
)


@kernel
def predict(unit):
    """Find the mean and slope from the layer below."""
    rule.predict(
        below(unit), matrix(unit.incoming, unit.fan_in, unit.size), vector(unit.biases, unit.size), unit.function,
        unit.family, unit.temperature, state(unit, POTENTIAL), state(unit, MEAN), state(unit, SLOPE),
    )


@kernel
def find_error(unit):
    """Find the error of the unit's own policy and publish it."""
    rule.find_error(
        state(unit, ACTIVATION), state(unit, MEAN), state(unit, SLOPE), unit.variance, unit.family,
        unit.temperature, state(unit, ERROR),
    )
    write_error(unit)


@kernel
def sample(unit):
    """Sample the activation and publish it; a critic's output also shows its mean, the value estimate."""
    copy(flat(state(unit, MEAN)), flat(state(unit, ACTING_MEAN)))
    noise = take_noise(unit, unit.size if unit.family == GAUSSIAN else 1)
    rule.sample(state(unit, MEAN), unit.variance, unit.family, noise, state(unit, ACTIVATION))
    write_activation(unit)
    if unit.value != 0:
        mean, value = state(unit, MEAN), vector(unit.value, unit.rows)
        for row in range(unit.rows):
            value[row] = mean[row, 0]


@kernel
def act(unit):
    """Sample the activation from the layer below and publish it, with its error."""
    begin_messages(unit)
    predict(unit)
    sample(unit)
    if unit.entropy > 0.0 and unit.family == CATEGORICAL:
        backpropagation.ascend_entropy(
            state(unit, POTENTIAL), state(unit, MEAN), unit.temperature, state(unit, SECOND_ERROR)
        )
    find_error(unit)


@kernel
def show_gate(unit):
    """Write the critic's output gate ``1 / (H_L - m_L)`` to the gate slot ``(rows,)``; critics' outputs only."""
    activation, mean, shown = state(unit, ACTIVATION), state(unit, MEAN), gate(unit)
    unit.sent_gates += 1
    for row in range(unit.rows):
        shown[row] = 1.0 / (activation[row, 0] - mean[row, 0])


@kernel
def show_solved_gate(unit):
    """The same where sweeps have found the error: ``1 / (v_L e_L)``, which is ``1 / (H_L - m_L)`` at its solution.

    Errors that carry it are published with it.
    """
    write_error(unit)
    error, shown = state(unit, ERROR), gate(unit)
    unit.sent_gates += 1
    for row in range(unit.rows):
        shown[row] = 1.0 / (unit.variance * error[row, 0])
