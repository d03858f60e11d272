"""One environment step of one unit, phase by phase; who calls the phases decides where the unit runs.

Each phase reads the slots that the unit was handed and writes its own; the arithmetic is ``kernels.rule``. Slots of
activations and errors hold two buffers that alternate with the round, ``step * (settle_steps + 1) + k`` for the
``k``-th settle step; the observation alternates with the step.
"""

from __future__ import annotations

from teamnet.kernels import adam, rule
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BETA1, BETA2, CORRECTED_UPDATES, GAUSSIAN
from teamnet.kernels.memory import copy, cube, flat, matrix, vector
from teamnet.units.layout import STATE, SYNAPSES

ACTIVATION, ERROR, MEAN, SLOPE, POTENTIAL, FORCE, SIGNALLED, ACTING_MEAN = range(len(STATE))
VALUE, FIRST, SECOND, GRADIENT = range(len(SYNAPSES))


@kernel
def _state(unit, index):
    return matrix(unit.state + 8 * index * unit.rows * unit.size, unit.rows, unit.size)


@kernel
def _below(unit):
    buffer = (unit.step if unit.first_layer else unit.round) & 1
    return matrix(unit.below + 8 * buffer * unit.rows * unit.fan_in, unit.rows, unit.fan_in)


@kernel
def _above(unit):
    return matrix(unit.above + 8 * (unit.round & 1) * unit.rows * unit.fan_out, unit.rows, unit.fan_out)


@kernel
def _write(unit, slot, values):
    """Copy ``values (rows, size)`` to the unit's own neurons of a slot ``(2, rows, layer_size)``."""
    layer = matrix(slot + 8 * (unit.round & 1) * unit.rows * unit.layer_size, unit.rows, unit.layer_size)
    offset = unit.offset
    if values.shape[1] == layer.shape[1]:
        copy(flat(values), flat(layer))
    else:
        for row in range(values.shape[0]):
            for j in range(values.shape[1]):
                layer[row, offset + j] = values[row, j]


@kernel
def _predict(unit):
    rule.predict(
        _below(unit), matrix(unit.incoming, unit.fan_in, unit.size), vector(unit.biases, unit.size), unit.function,
        unit.family, unit.temperature, _state(unit, POTENTIAL), _state(unit, MEAN), _state(unit, SLOPE),
    )


@kernel
def _find_error(unit):
    rule.find_error(
        _state(unit, ACTIVATION), _state(unit, MEAN), _state(unit, SLOPE), unit.variance, unit.family,
        unit.temperature, _state(unit, ERROR),
    )
    if not unit.first_layer:
        _write(unit, unit.own_error, _state(unit, ERROR))


@kernel
def act(unit):
    """Phase 1: sample the activation from the layer below and publish it, with its error."""
    unit.round = unit.step * (unit.settle_steps + 1)
    _predict(unit)
    copy(flat(_state(unit, MEAN)), flat(_state(unit, ACTING_MEAN)))
    width = unit.size if unit.family == GAUSSIAN else 1
    noise = matrix(unit.noise + 8 * unit.noise_index * unit.rows * width, unit.rows, width)
    rule.sample(_state(unit, MEAN), unit.variance, unit.family, noise, _state(unit, ACTIVATION))
    unit.noise_index += 1
    _write(unit, unit.own_activation, _state(unit, ACTIVATION))
    _find_error(unit)


@kernel
def publish_value(unit):
    """Write the critic's value estimate, its output's mean, to the value slot ``(rows,)``; critics' outputs only."""
    mean, value = _state(unit, MEAN), vector(unit.value, unit.rows)
    for row in range(unit.rows):
        value[row] = mean[row, 0]


@kernel
def settle(unit):
    """Phase 3, first half: move the activation towards its most probable value and publish it; hidden units only."""
    rule.settle(
        _state(unit, ACTIVATION), _state(unit, MEAN), unit.variance, unit.step_size, _above(unit),
        matrix(unit.outgoing, unit.fan_out, unit.size), _state(unit, FORCE),
    )
    _write_next(unit)


@kernel
def _write_next(unit):
    unit.round += 1
    _write(unit, unit.own_activation, _state(unit, ACTIVATION))


@kernel
def refresh(unit):
    """Phase 3, second half: find mean and error anew and publish the error.

    What the first layer sees does not change while the team settles, so its mean stays after the first settle step;
    and as nobody reads its error, its own trace needs only the last one.
    """
    if unit.last_layer:
        unit.round += 1
    settled = unit.round - unit.step * (unit.settle_steps + 1)
    if not unit.first_layer or settled == 1:
        _predict(unit)
    if not unit.first_layer or settled == unit.settle_steps:
        _find_error(unit)


@kernel
def publish_gate(unit):
    """Write the critic's output gate ``1 / (H_L - m_L)`` to the gate slot ``(rows,)``; critics' outputs only."""
    activation, mean, gate = _state(unit, ACTIVATION), _state(unit, MEAN), vector(unit.gate, unit.rows)
    for row in range(unit.rows):
        gate[row] = 1.0 / (activation[row, 0] - mean[row, 0])


@kernel
def _through_gate(unit, error, gated):
    if unit.gated:
        rule.broadcast(error, vector(unit.gate, unit.rows), 1.0, gated)
        return gated
    return error


@kernel
def _own_error(unit):
    return _through_gate(unit, _state(unit, ERROR), _state(unit, SIGNALLED))


@kernel
def _error_above(unit):
    return _through_gate(unit, _above(unit), matrix(unit.signalled_above, unit.rows, unit.fan_out))


@kernel
def _accumulate(unit, synapses, below, error):
    inputs, outputs = below.shape[1], error.shape[1]
    traces = cube(synapses + 8 * len(SYNAPSES) * inputs * outputs, unit.rows, inputs, outputs)
    rule.accumulate(traces, vector(unit.decay, unit.rows), below, error)


@kernel
def trace(unit):
    """Phase 4: accumulate the traces of incoming synapses, of biases and of the mirrored outgoing synapses."""
    keep, decay = vector(unit.keep, unit.rows), vector(unit.decay, unit.rows)
    for row in range(unit.rows):
        decay[row] = unit.trace_decay * keep[row]
    error = _own_error(unit)
    _accumulate(unit, unit.incoming, _below(unit), error)
    _accumulate(unit, unit.biases, matrix(unit.ones, unit.rows, 1), error)
    if not unit.last_layer:
        _accumulate(unit, unit.outgoing, _error_above(unit), _state(unit, ACTIVATION))


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
    adam.ascend(
        vector(synapses, size), vector(synapses + 8 * GRADIENT * size, size), vector(synapses + 8 * FIRST * size, size),
        vector(synapses + 8 * SECOND * size, size), rate, unit.power1, unit.power2,
    )


@kernel
def _learn_from_trace(unit, synapses, inputs, outputs, rate):
    size = inputs * outputs
    traces = cube(synapses + 8 * len(SYNAPSES) * size, unit.rows, inputs, outputs)
    rule.reinforce(traces, vector(unit.delta, unit.rows), matrix(synapses + 8 * GRADIENT * size, inputs, outputs))
    _ascend(unit, synapses, inputs, outputs, rate)


@kernel
def learn(unit):
    """Phase 2: REINFORCE with the broadcast TD error and the traces that the step before left."""
    _count_update(unit)
    own = _rate(unit, unit.rate_start, unit.rate_end)
    _learn_from_trace(unit, unit.incoming, unit.fan_in, unit.size, own)
    _learn_from_trace(unit, unit.biases, 1, unit.size, own)
    if not unit.last_layer:
        above = _rate(unit, unit.rate_above_start, unit.rate_above_end)
        _learn_from_trace(unit, unit.outgoing, unit.fan_out, unit.size, above)


@kernel
def _learn_from_batch(unit, synapses, below, error, rate):
    inputs, outputs = below.shape[1], error.shape[1]
    gradient = matrix(synapses + 8 * GRADIENT * inputs * outputs, inputs, outputs)
    rule.reinforce_at_once(below, error, gradient)
    _ascend(unit, synapses, inputs, outputs, rate)


@kernel
def learn_at_once(unit):
    """Phases 4 and 2 of a task of one step: REINFORCE with the reward of this very step, without traces."""
    _count_update(unit)
    delta = vector(unit.delta, unit.rows)
    error = _state(unit, SIGNALLED)
    rule.broadcast(_own_error(unit), delta, float(unit.rows), error)
    own = _rate(unit, unit.rate_start, unit.rate_end)
    _learn_from_batch(unit, unit.incoming, _below(unit), error, own)
    _learn_from_batch(unit, unit.biases, matrix(unit.ones, unit.rows, 1), error, own)
    if not unit.last_layer:
        above = matrix(unit.signalled_above, unit.rows, unit.fan_out)
        rule.broadcast(_error_above(unit), delta, float(unit.rows), above)
        rate = _rate(unit, unit.rate_above_start, unit.rate_above_end)
        _learn_from_batch(unit, unit.outgoing, above, _state(unit, ACTIVATION), rate)


@kernel
def finish(unit):
    """Count the step and return whether every activation and mean is finite."""
    unit.step += 1
    unfinished = 0
    for index in (ACTIVATION, MEAN):
        values = flat(_state(unit, index))
        for j in range(values.size):
            unfinished |= values[j] - values[j] != 0.0
    return unfinished == 0
