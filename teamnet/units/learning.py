"""Phases in which parameters and traces change, the same under every rule."""

from __future__ import annotations

from teamnet.kernels import adam, rule
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BETA1, BETA2, CORRECTED_UPDATES
from teamnet.kernels.memory import copy, cube, fill, flat, matrix, vector
from teamnet.units.layout import SYNAPSES
from teamnet.units.timing import is_timed
from teamnet.units.views import (
    ACTIVATION,
    ERROR,
    MEAN,
    SECOND_ERROR,
    SIGNALLED,
    above,
    below,
    gate,
    kept,
    state,
)

VALUE, FIRST, SECOND, GRADIENT, BONUS = range(len(SYNAPSES))


@kernel
def _through_gate(unit, error, gated):
    if unit.gated:
        rule.broadcast(error, gate(unit), 1.0, gated)
        return gated
    return error


@kernel
def _own_error(unit):
    return _through_gate(unit, state(unit, ERROR), state(unit, SIGNALLED))


@kernel
def _error_above(unit):
    return _through_gate(unit, above(unit, 0), matrix(unit.signalled_above, unit.rows, unit.fan_out))


@kernel
def _accumulate(unit, synapses, below, error):
    inputs, outputs = below.shape[1], error.shape[1]
    traces = cube(synapses + 8 * len(SYNAPSES) * inputs * outputs, unit.rows, inputs, outputs)
    rule.accumulate(traces, vector(unit.decay, unit.rows), below, error)


@kernel
def _accumulate_all(unit):
    error = _own_error(unit)
    _accumulate(unit, unit.incoming, below(unit), error)
    _accumulate(unit, unit.biases, matrix(unit.ones, unit.rows, 1), error)
    if unit.mirrors:
        _accumulate(unit, unit.outgoing, _error_above(unit), state(unit, ACTIVATION))


@kernel
def _bonus(synapses, inputs, outputs):
    return matrix(synapses + 8 * BONUS * inputs * outputs, inputs, outputs)


@kernel
def _accumulate_bonuses(unit):
    second = state(unit, SECOND_ERROR)
    rule.accumulate_bonus(below(unit), second, _bonus(unit.incoming, unit.fan_in, unit.size))
    rule.accumulate_bonus(matrix(unit.ones, unit.rows, 1), second, _bonus(unit.biases, 1, unit.size))
    if unit.mirrors:
        rule.accumulate_bonus(above(unit, 1), state(unit, ACTIVATION), _bonus(unit.outgoing, unit.fan_out, unit.size))


@kernel
def trace(unit):
    """Accumulate the traces of incoming synapses, of biases and of the mirrored outgoing synapses, once a step."""
    keeps, decay = kept(unit), vector(unit.decay, unit.rows)
    for row in range(unit.rows):
        decay[row] = unit.trace_decay * keeps[row]
    _accumulate_all(unit)
    if unit.entropy > 0.0:
        _accumulate_bonuses(unit)


@kernel
def note_neighbours(unit):
    """Keep what neighbours say now: once a unit that runs free comes to its trace, they may be a step further."""
    copy(flat(below(unit)), vector(unit.noted_below, unit.rows * unit.fan_in))
    if unit.mirrors:
        copy(flat(above(unit, 0)), vector(unit.noted_above, unit.rows * unit.fan_out))
    if unit.gated:
        copy(gate(unit), vector(unit.noted_gate, unit.rows))
    unit.noted = unit.step + 1


@kernel
def accumulate_noted(unit):
    """The trace of a unit that runs free, of what it has noted; it owes the decay of all steps since the last time."""
    below_slot, above_slot, gate_slot, place = unit.below, unit.above, unit.gate, unit.below_round
    unit.below, unit.above, unit.gate, unit.below_round = unit.noted_below, unit.noted_above, unit.noted_gate, 0
    _accumulate_all(unit)
    unit.below, unit.above, unit.gate, unit.below_round = below_slot, above_slot, gate_slot, place
    fill(vector(unit.decay, unit.rows), 1.0)


@kernel
def _rate(unit, start, end):
    if unit.anneal_steps == 0:
        return end
    return start + (end - start) * min(unit.step, unit.anneal_steps) / unit.anneal_steps


@kernel
def _count_update(unit):
    unit.updates += 1
    corrected = unit.updates < CORRECTED_UPDATES
    unit.power1 = unit.power1 * BETA1 if corrected else 0.0
    unit.power2 = unit.power2 * BETA2 if corrected else 0.0


@kernel
def _ascend(unit, synapses, inputs, outputs, rate):
    size = inputs * outputs
    if unit.entropy > 0.0:
        gradient = matrix(synapses + 8 * GRADIENT * size, inputs, outputs)
        rule.add_bonus(gradient, unit.entropy, _bonus(synapses, inputs, outputs))
    adam.ascend(
        vector(synapses, size), vector(synapses + 8 * GRADIENT * size, size), vector(synapses + 8 * FIRST * size, size),
        vector(synapses + 8 * SECOND * size, size), rate, unit.power1, unit.power2,
    )


@kernel
def _forget_synapses(unit):
    """What lies between two layers shrinks by the same share at both ends, which brings them together."""
    if unit.forgetting > 0.0:
        adam.shrink(vector(unit.incoming, unit.fan_in * unit.size), unit.forgetting)
    if unit.forgetting_above > 0.0 and unit.mirrors:
        adam.shrink(vector(unit.outgoing, unit.fan_out * unit.size), unit.forgetting_above)


@kernel
def _transpose(unit):
    """What a unit that ships products multiplies its errors with, once its synapses have changed."""
    if unit.ships:
        weights, turned = matrix(unit.incoming, unit.fan_in, unit.size), matrix(unit.transposed, unit.size, unit.fan_in)
        for i in range(unit.fan_in):
            for j in range(unit.size):
                turned[j, i] = weights[i, j]


@kernel
def _learn_from_trace(unit, synapses, inputs, outputs, rate):
    size = inputs * outputs
    traces = cube(synapses + 8 * len(SYNAPSES) * size, unit.rows, inputs, outputs)
    rule.reinforce(traces, vector(unit.delta, unit.rows), matrix(synapses + 8 * GRADIENT * size, inputs, outputs))
    _ascend(unit, synapses, inputs, outputs, rate)


@kernel
def learn(unit):
    """REINFORCE with the broadcast TD error and the traces that the step before left; nothing in the first step."""
    if unit.step == 0:
        return
    _count_update(unit)
    own = _rate(unit, unit.rate_start, unit.rate_end)
    _learn_from_trace(unit, unit.incoming, unit.fan_in, unit.size, own)
    _learn_from_trace(unit, unit.biases, 1, unit.size, own)
    if unit.mirrors:
        rate = _rate(unit, unit.rate_above_start, unit.rate_above_end)
        _learn_from_trace(unit, unit.outgoing, unit.fan_out, unit.size, rate)
    _forget_synapses(unit)
    _transpose(unit)


@kernel
def _learn_from_batch(unit, synapses, below, error, rate):
    inputs, outputs = below.shape[1], error.shape[1]
    gradient = matrix(synapses + 8 * GRADIENT * inputs * outputs, inputs, outputs)
    rule.reinforce_at_once(below, error, gradient)
    _ascend(unit, synapses, inputs, outputs, rate)


@kernel
def learn_at_once(unit):
    """The end of a step in a task of one step: REINFORCE with the reward of this very step, without traces."""
    _count_update(unit)
    if unit.entropy > 0.0:
        _accumulate_bonuses(unit)
    delta = vector(unit.delta, unit.rows)
    error = state(unit, SIGNALLED)
    rule.broadcast(_own_error(unit), delta, float(unit.rows), error)
    own = _rate(unit, unit.rate_start, unit.rate_end)
    _learn_from_batch(unit, unit.incoming, below(unit), error, own)
    _learn_from_batch(unit, unit.biases, matrix(unit.ones, unit.rows, 1), error, own)
    if unit.mirrors:
        signalled = matrix(unit.signalled_above, unit.rows, unit.fan_out)
        rule.broadcast(_error_above(unit), delta, float(unit.rows), signalled)
        rate = _rate(unit, unit.rate_above_start, unit.rate_above_end)
        _learn_from_batch(unit, unit.outgoing, signalled, state(unit, ACTIVATION), rate)
    _forget_synapses(unit)
    _transpose(unit)


@kernel
def finish(unit):
    """Count the step and return whether every activation and mean is finite."""
    unit.timed_steps += is_timed(unit)
    unit.step += 1
    unfinished = 0
    for index in (ACTIVATION, MEAN):
        values = flat(state(unit, index))
        for j in range(values.size):
            unfinished |= values[j] - values[j] != 0.0
    return unfinished == 0
