"""Eligibility traces and updates of synapses, including the mirrored outgoing ones.

    z   <- gamma lambda z + h^T e            trace
    W_l <- W_l + rate * Adam(mean over rows of delta z)

A unit keeps three groups of synapses: ``incoming`` ``(fan_in, size)``, ``biases`` ``(1, size)`` and, where it mirrors
the synapses that leave it, ``outgoing`` ``(fan_out, size)``, which is ``W_{l+1}^T``. Both ends of a synapse apply the
same update, so that a mirror stays equal to its original.
"""

from __future__ import annotations

from typing import Any

from teamnet.kernels.arithmetic import add_correlation, fma
from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel, kernel_with_plain_form
from teamnet.kernels.memory import copy, fill, flat, matrix, scratch, vector
from teamnet.operations.adam import ascend, ascend_part, count_update, rate_of, shrink


@kernel
def modulate(error, signal, share, result):
    """``signal e / share``: an error ``(rows, size)`` times a gate or a TD error ``(rows, 1)``."""
    compiled_once()
    for row in range(error.shape[0]):
        s = signal[row, 0]
        for j in range(error.shape[1]):
            result[row, j] = error[row, j] * s / share


@kernel
def through_gate(unit, error, gate, modulated):
    """The error times a critic's gate; ``gate`` has no elements where there is none."""
    if gate.size > 0:
        modulate(error, gate, 1.0, modulated)
        return modulated
    return error


@kernel
def accumulate(trace, decay, below, error):
    """``z <- gamma lambda z + h_{l-1}^T e_l``: the eligibility trace ``(rows, in, out)`` of synapses.

    ``decay (rows,)`` is ``gamma lambda``, and 0 where an episode has just begun.
    """
    compiled_once()
    for row in range(trace.shape[0]):
        kept = decay[row]
        for i in range(trace.shape[1]):
            h = below[row, i]
            for j in range(trace.shape[2]):
                trace[row, i, j] = fma(kept, trace[row, i, j], h * error[row, j])


@kernel
def accumulate_all(unit, inputs, above, gate):
    """The traces of all groups from the activations below, the unit's error, and the errors above."""
    error = through_gate(unit, unit.error, gate, unit.modulated_error)
    accumulate(unit.incoming.trace, unit.decay, inputs, error)
    accumulate(unit.biases.trace, unit.decay, unit.ones, error)
    if unit.mirrors:
        error_above = through_gate(unit, above, gate, unit.modulated_above)
        accumulate(unit.outgoing.trace, unit.decay, error_above, unit.activation)


@kernel
def trace(unit, inputs, above, gate, trace_mask):
    """Accumulate the traces of incoming synapses, of biases and of the mirrored outgoing synapses, once a step."""
    decay = unit.decay
    for row in range(unit.rows):
        decay[row] = unit.trace_decay * trace_mask[row, 0]
    accumulate_all(unit, inputs, above, gate)


@kernel
def reinforce(traces, stride, signal, gradient, count):
    """``g = mean over rows of delta z``: REINFORCE with the TD error ``(rows, 1)``, for ``count`` synapses.

    Their traces begin at the address ``traces``, those of the next row ``stride`` synapses later; ``gradient`` is an
    address too.
    """
    compiled_once()
    g, delta = vector(gradient, count), flat(signal)
    fill(g, 0.0)
    for row in range(delta.size):
        d, z = delta[row], vector(traces + 8 * row * stride, count)
        for k in range(count):
            g[k] += d * z[k]
    for k in range(count):
        g[k] /= delta.size


@kernel
def find_gradient(synapses, signal):
    """The gradient of a group of synapses from the TD error and the traces of the previous step."""
    size = synapses.gradient.size
    reinforce(synapses.trace.ctypes.data, size, signal, synapses.gradient.ctypes.data, size)


@kernel
def find_gradients(unit, signal):
    """The gradients of all groups from the TD error and the traces of the previous step."""
    find_gradient(unit.incoming, signal)
    find_gradient(unit.biases, signal)
    if unit.mirrors:
        find_gradient(unit.outgoing, signal)


@kernel
def ascend_all(unit):
    """One update of all groups along their gradients, and weight decay."""
    count_update(unit)
    ascend(unit, unit.incoming)
    ascend(unit, unit.biases)
    if unit.mirrors:
        ascend(unit, unit.outgoing)
    shrink_all(unit)


@kernel
def shrink_all(unit):
    """Weight decay: both ends of the synapses between two layers by the same share, so that they converge."""
    shrink(unit.incoming)
    if unit.mirrors:
        shrink(unit.outgoing)


def _plain_reinforce_and_ascend(unit: Any, synapses: Any, signal: Any) -> None:
    find_gradient(synapses, signal)
    ascend(unit, synapses)


_STRETCH = 1024
"""Synapses whose gradients the first-level cache holds until they are used."""
_memory = scratch(_STRETCH)


@kernel_with_plain_form(_plain_reinforce_and_ascend)
def reinforce_and_ascend(unit, synapses, signal):
    """:func:`find_gradient` and :func:`ascend`, a stretch of synapses after the other: one pass over the memory."""
    compiled_once()
    gradient, begin = _memory(), 0
    for part in range(synapses.parts):
        rate, end = rate_of(unit, synapses, part), begin + int(synapses.rates[part, 0])
        while begin < end:
            count = min(_STRETCH, end - begin)
            reinforce(synapses.trace.ctypes.data + 8 * begin, synapses.value.size, signal, gradient, count)
            ascend_part(unit, synapses, gradient, rate, 8 * begin, count)
            begin += count


@kernel
def learn(unit, signal):
    """REINFORCE with the TD error and the traces of the previous step; nothing in the first step."""
    if unit.step > 0:
        count_update(unit)
        reinforce_and_ascend(unit, unit.incoming, signal)
        reinforce_and_ascend(unit, unit.biases, signal)
        if unit.mirrors:
            reinforce_and_ascend(unit, unit.outgoing, signal)
        shrink_all(unit)


@kernel
def correlate(below, error, gradient):
    """``g = h^T e``, summed over rows."""
    fill(flat(gradient), 0.0)
    add_correlation(gradient, below, error)


@kernel
def find_batch_gradients(unit, inputs, above, gate, signal):
    """``g = h^T e delta / rows`` of all groups: the gradient of a single-step task, which needs no trace."""
    rows = float(unit.rows)
    modulate(through_gate(unit, unit.error, gate, unit.modulated_error), signal, rows, unit.modulated_error)
    correlate(inputs, unit.modulated_error, unit.incoming.gradient)
    correlate(unit.ones, unit.modulated_error, unit.biases.gradient)
    if unit.mirrors:
        modulate(through_gate(unit, above, gate, unit.modulated_above), signal, rows, unit.modulated_above)
        correlate(unit.modulated_above, unit.activation, unit.outgoing.gradient)


@kernel
def learn_at_once(unit, inputs, above, gate, signal):
    """The end of a step in a single-step task: REINFORCE with the reward of the same step, without traces."""
    find_batch_gradients(unit, inputs, above, gate, signal)
    ascend_all(unit)


@kernel
def note(array, target):
    """Copy an array to ``target``; nothing if it has no elements."""
    if array.size > 0:
        copy(flat(array), flat(target))


@kernel_with_plain_form(lambda array, first, rows: array[first : first + rows])
def part(array, first, rows):
    """Rows of a C-ordered array, without copying."""
    return matrix(array.ctypes.data + 8 * first * array.shape[1], rows, array.shape[1])
