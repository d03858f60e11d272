"""How hidden units settle; the arithmetic is ``kernels.rule``, ``kernels.sweeps`` and ``kernels.backpropagation``."""

from __future__ import annotations

from teamnet.kernels import backpropagation, rule, sweeps
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import GAUSSIAN
from teamnet.kernels.memory import copy, flat, matrix
from teamnet.units.acting import find_error, predict
from teamnet.units.views import (
    ACTIVATION,
    ERROR,
    FORCE,
    MEAN,
    SECOND_ERROR,
    SIGNALLED,
    SLOPE,
    above,
    shipped,
    state,
    write_activation,
    write_error,
)


@kernel
def _feed_back(unit, channel):
    """What comes down: the products that the unit above has shipped, or those of its errors with the unit's mirror."""
    if unit.ships:
        copy(flat(shipped(unit, channel)), flat(state(unit, FORCE)))
    else:
        mirror = matrix(unit.outgoing, unit.fan_out, unit.size)
        rule.feed_back(above(unit, channel), mirror, state(unit, FORCE))


@kernel
def settle(unit):
    """Move the activation towards its most probable value and publish it; all hidden layers at once."""
    _feed_back(unit, 0)
    rule.settle(state(unit, ACTIVATION), state(unit, MEAN), unit.variance, unit.step_size, state(unit, FORCE))
    write_activation(unit)


@kernel
def refresh(unit):
    """Find mean and error anew and publish the error."""
    predict(unit)
    find_error(unit)


@kernel
def chain(unit):
    """The feedback from above and the error by the chain rule, and in a second channel that of the entropy.

    It is backpropagation's way down, and that of a sweep.
    """
    _feed_back(unit, 0)
    backpropagation.chain(state(unit, SLOPE), state(unit, FORCE), state(unit, ERROR))
    if unit.channels == 2:
        _feed_back(unit, 1)
        backpropagation.chain(state(unit, SLOPE), state(unit, FORCE), state(unit, SECOND_ERROR))
    write_error(unit)


@kernel
def ascend(unit):
    """A sweep upwards: the mean anew, and the activation that balances it with the feedback."""
    predict(unit)
    sweeps.balance(state(unit, MEAN), unit.variance, state(unit, FORCE), state(unit, ACTIVATION))
    write_activation(unit)


@kernel
def solve(unit, first):
    """The top of a sweep: the output's error anew; a Gaussian output takes the secant step to its own answer."""
    predict(unit)
    if unit.family == GAUSSIAN:
        sweeps.secant(
            state(unit, ACTIVATION), state(unit, MEAN), unit.variance, first, state(unit, ERROR), state(unit, FORCE),
            state(unit, SIGNALLED),
        )
        write_error(unit)
    else:
        find_error(unit)
