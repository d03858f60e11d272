"""What a compiled phase sees of its unit: its own state, the slots that it was handed, and nothing else.

Slots of activations and errors hold two buffers that alternate with the publication; the observation, and what comes
with it, alternate with the step.
"""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import FLOAT64
from teamnet.kernels.memory import copy, fill, flat, matrix, vector
from teamnet.kernels.rule import feed_back
from teamnet.kernels.wire import encode
from teamnet.units.layout import STATE

(
    ACTIVATION, ERROR, MEAN, SLOPE, POTENTIAL, FORCE, SIGNALLED, ACTING_MEAN, SECOND_ERROR, UNSAID_ACTIVATION,
    UNSAID_ERROR,
) = range(len(STATE))


@kernel
def state(unit, index):
    """One array ``(rows, size)`` of the unit's working state."""
    return matrix(unit.state + 8 * index * unit.rows * unit.size, unit.rows, unit.size)


@kernel
def below(unit):
    """The activations ``(rows, fan_in)`` of the layer below, or the observation."""
    return matrix(unit.below + 8 * (unit.below_round & 1) * unit.rows * unit.fan_in, unit.rows, unit.fan_in)


@kernel
def above(unit, channel):
    """One channel ``(rows, fan_out)`` of the errors of the layer above."""
    place = (unit.above_round & 1) * unit.channels + channel
    return matrix(unit.above + 8 * place * unit.rows * unit.fan_out, unit.rows, unit.fan_out)


@kernel
def shipped(unit, channel):
    """One channel ``(rows, size)`` of the products that the unit above has shipped."""
    place = (unit.above_round & 1) * unit.channels + channel
    return matrix(unit.above + 8 * place * unit.rows * unit.size, unit.rows, unit.size)


@kernel
def keep(unit):
    """``(rows,)``: 0.0 where an episode has just begun; it comes with the observation."""
    return vector(unit.keep + 8 * (unit.step & 1) * unit.rows, unit.rows)


@kernel
def kept(unit):
    """``(rows,)``: 0.0 where a trace starts anew; it comes with the TD error."""
    return vector(unit.delta + 8 * unit.rows, unit.rows)


@kernel
def gate(unit):
    """The critic's output gate ``(rows,)``."""
    return vector(unit.gate, unit.rows)


@kernel
def _write(unit, slot, place, values):
    """Copy ``values (rows, size)`` to the unit's own neurons of one ``(rows, layer_size)`` piece of a slot."""
    layer = matrix(slot + 8 * place * unit.rows * unit.layer_size, unit.rows, unit.layer_size)
    offset = unit.offset
    if values.shape[1] == layer.shape[1]:
        copy(flat(values), flat(layer))
    else:
        for row in range(values.shape[0]):
            for j in range(values.shape[1]):
                layer[row, offset + j] = values[row, j]


@kernel
def _hold(unit, slot, place, values, still):
    """Numbers that have hardly moved since the publication before this one stay what they were.

    They have settled, and need not be said again. Returns how many these are.
    """
    said = matrix(slot + 8 * place * unit.rows * unit.layer_size, unit.rows, unit.layer_size)
    held = 0
    for row in range(values.shape[0]):
        for j in range(values.shape[1]):
            before = said[row, unit.offset + j]
            if abs(values[row, j] - before) <= still:
                values[row, j] = before
                held += 1
    return held


@kernel
def begin_messages(unit):
    """A new step: what messages about the last one left out is nobody's business any more."""
    if unit.error_feedback != 0:
        fill(flat(state(unit, UNSAID_ACTIVATION)), 0.0)
        fill(flat(state(unit, UNSAID_ERROR)), 0.0)
        if unit.ships:
            fill(vector(unit.unsaid_products, unit.rows * unit.fan_in), 0.0)


@kernel
def _encode(unit, index, unsaid):
    """The unit takes up what it says, so that both ends of a synapse know the same numbers."""
    encode(flat(state(unit, index)), flat(state(unit, unsaid)), unit.wire, unit.error_feedback != 0)


@kernel
def write_activation(unit):
    """Write the unit's activation to its slot, if this phase publishes it, and count it."""
    if unit.activation_round >= 0:
        unit.sent_activations += 1
        if unit.wire != FLOAT64 and not unit.last_layer:
            _encode(unit, ACTIVATION, UNSAID_ACTIVATION)
        if unit.still_activation >= 0.0 and unit.activation_round > unit.step * unit.activation_rounds:
            before = (unit.activation_round + 1) & 1
            held = _hold(unit, unit.own_activation, before, state(unit, ACTIVATION), unit.still_activation)
            unit.held_activations += held
            unit.silent_activations += held == unit.rows * unit.size
        _write(unit, unit.own_activation, unit.activation_round & 1, state(unit, ACTIVATION))


@kernel
def write_error(unit):
    """Write all channels of the unit's error to its slot, if this phase publishes it, and count it."""
    if unit.error_round >= 0:
        unit.sent_errors += 1
        if unit.ships:
            for channel in range(unit.channels):
                _ship(unit, channel)
        else:
            _say_error(unit)


@kernel
def _say_error(unit):
    if unit.wire != FLOAT64:
        _encode(unit, ERROR, UNSAID_ERROR)
    if unit.still_error >= 0.0 and unit.error_round > unit.step * unit.error_rounds:
        held = _hold(unit, unit.own_error, (unit.error_round + 1) & 1, state(unit, ERROR), unit.still_error)
        unit.held_errors += held
        unit.silent_errors += held == unit.rows * unit.size
    place = (unit.error_round & 1) * unit.channels
    _write(unit, unit.own_error, place, state(unit, ERROR))
    if unit.channels == 2:
        _write(unit, unit.own_error, place + 1, state(unit, SECOND_ERROR))


@kernel
def _ship(unit, channel):
    """Write ``e_l W_l^T (rows, fan_in)`` to the slot: the force on the layer below, which need not know ``W_l``."""
    place = (unit.error_round & 1) * unit.channels + channel
    products = matrix(unit.own_error + 8 * place * unit.rows * unit.fan_in, unit.rows, unit.fan_in)
    error = state(unit, ERROR if channel == 0 else SECOND_ERROR)
    feed_back(error, matrix(unit.transposed, unit.size, unit.fan_in), products)
    if channel == 0 and unit.wire != FLOAT64:
        encode(flat(products), vector(unit.unsaid_products, products.size), unit.wire, unit.error_feedback != 0)


@kernel
def take_noise(unit, width):
    """The next sample's noise ``(rows, width)``; after the last one other memory of the unit, and an error in Python.

    See :meth:`teamnet.units.unit.Unit.draw_noise`.
    """
    place = unit.noise + 8 * unit.noise_index * unit.rows * width
    if unit.noise_index >= unit.noise_count:
        place = unit.state
    unit.noise_index += 1
    return matrix(place, unit.rows, width)
