"""Predict, sample, and the score of a unit's own policy.

    p_l = H_{l-1} W_l + b_l        H_l as the unit type defines, see teamnet.kernels.unit_types

Arrays are float64 with one row for each parallel environment; a unit is ``size`` neurons of one layer.
"""

from __future__ import annotations

import numpy as np

from teamnet.kernels.arithmetic import add_products
from teamnet.kernels.calls import call_function, compiled_once
from teamnet.kernels.compile import kernel, kernel_with_plain_form
from teamnet.kernels.functions import softmax
from teamnet.kernels.memory import copy, flat, matrix
from teamnet.kernels.unit_types import CATEGORICAL, GAUSSIAN, REFERENCE, SIGN, expect_two_values, sample_two_values

_FAR = 1e300
"""The preactivation of an invalid action is that far below any other."""


def _plain_function(function, preactivation, mean, derivative):
    mean[:], derivative[:] = function(preactivation)


@kernel_with_plain_form(_plain_function)
def _apply_function(function, preactivation, mean, derivative):
    """``m = f(p)`` and ``f'(p)``, by the compiled function at an address."""
    call_function(
        function, preactivation.ctypes.data, mean.ctypes.data, derivative.ctypes.data, preactivation.size
    )


@kernel
def _lowest_of(family):
    """The lower value of a unit that has two."""
    return -1.0 if family == SIGN else 0.0


@kernel
def _clear_last(array, ends):
    """Write 0 for the last category of each agent."""
    for j in range(array.shape[1]):
        if ends[0, j] == j + 1:
            for row in range(array.shape[0]):
                array[row, j] = 0.0


@kernel
def _softmax_of_agents(preactivation, temperature, ends, mean):
    first = 0
    while first < preactivation.shape[1]:
        end = int(ends[0, first])
        softmax(preactivation[:, first:end], temperature, mean[:, first:end])
        first = end


@kernel
def expect(family, function, temperature, ends, preactivation, mean, derivative):
    """The mean of units of a type, and its derivative, from their preactivation, all ``(rows, size)``.

    ``ends (1, size)`` has for each category of a categorical layer the place behind the last one of its agent.
    """
    if family == GAUSSIAN:
        _apply_function(function, preactivation, mean, derivative)
    elif family in (CATEGORICAL, REFERENCE):
        if family == REFERENCE:
            _clear_last(preactivation, ends)
        _softmax_of_agents(preactivation, temperature, ends, mean)
    else:
        expect_two_values(preactivation, temperature, _lowest_of(family), mean, derivative)


@kernel
def score(family, variance, temperature, ends, activation, mean, derivative, error):
    """``e = d log p(H) / d p``: ``(H - m) f'(p) / v`` of Gaussian units, ``(H - m) / T`` of all others."""
    h, m, s, e = flat(activation), flat(mean), flat(derivative), flat(error)
    if family == GAUSSIAN:
        precision = 1.0 / variance
        for j in range(h.size):
            e[j] = (h[j] - m[j]) * s[j] * precision
    else:
        for j in range(h.size):
            e[j] = (h[j] - m[j]) / temperature
        if family == REFERENCE:
            _clear_last(error, ends)


@kernel
def predict(unit, inputs):
    """``p = h W + b``, the mean ``m`` and its derivative."""
    compiled_once()
    preactivation, biases = unit.preactivation, unit.biases.value
    for row in range(unit.rows):
        for j in range(unit.size):
            preactivation[row, j] = biases[0, j]
    add_products(preactivation, inputs, unit.incoming.value)
    expect(unit.family, unit.function, unit.temperature, unit.ends, preactivation, unit.mean, unit.derivative)
    if unit.masked:
        _exclude(unit)


@kernel
def _exclude(unit):
    """Probability 0 for every invalid action: the policy is that of the valid ones alone, and so is its score."""
    compiled_once()
    for row in range(unit.rows):
        for j in range(unit.size):
            if unit.action_mask[row, j] == 0.0:
                unit.preactivation[row, j] = -_FAR
    _softmax_of_agents(unit.preactivation, unit.temperature, unit.ends, unit.mean)


def _plain_noise(unit, width):
    from teamnet.kernels.view import array_at

    place = unit.noise + 8 * unit.noise_index * unit.rows * width
    unit.noise_index += 1
    return array_at(place, unit.rows, width)


@kernel_with_plain_form(_plain_noise)
def take_noise(unit, width):
    """The next sample's noise ``(rows, width)``; after the last one other memory of the unit, and an error in Python.

    See :meth:`teamnet.units.unit.Unit.draw_noise`.
    """
    place = unit.noise + 8 * unit.noise_index * unit.rows * width
    if unit.noise_index >= unit.noise_count:
        place = unit.mean.ctypes.data
    unit.noise_index += 1
    return matrix(place, unit.rows, width)


@kernel
def sample(unit):
    """Sample from normals or uniforms ``(rows, size)``; one-hot ``H ~ Categorical(m)`` of each agent, from uniforms.

    Those are ``(rows, agents)``. A critic's output also stores its mean, the value estimate, for its slot.
    """
    compiled_once()
    activation, mean, rows, size = unit.activation, unit.mean, unit.rows, unit.size
    copy(flat(mean), flat(unit.acting_mean))
    if unit.family == GAUSSIAN:
        noise, deviation = take_noise(unit, size), np.sqrt(unit.variance)
        for row in range(rows):
            for j in range(size):
                activation[row, j] = mean[row, j] + deviation * noise[row, j]
    elif unit.family in (CATEGORICAL, REFERENCE):
        noise, agent, first = take_noise(unit, unit.agents), 0, 0
        while first < size:
            end = int(unit.ends[0, first])
            for row in range(rows):
                chosen, reached = end - 1, 0.0
                for j in range(first, end - 1):
                    reached += mean[row, j]
                    if noise[row, agent] < reached:
                        chosen = j
                        break
                while chosen > first and mean[row, chosen] == 0.0:  # rounding left the sum of all others below 1
                    chosen -= 1
                for j in range(first, end):
                    activation[row, j] = 1.0 if j == chosen else 0.0
            agent, first = agent + 1, end
    else:
        sample_two_values(mean, take_noise(unit, size), _lowest_of(unit.family), activation)
    show_value(unit)


@kernel
def show_value(unit):
    """Store the mean of a critic's output for the coordinator."""
    if unit.gated and unit.last_layer:
        for row in range(unit.rows):
            unit.value[row, 0] = unit.mean[row, 0]


@kernel
def act(unit, inputs):
    """Predict from the layer below and sample."""
    predict(unit, inputs)
    sample(unit)


@kernel
def find_error(unit):
    """The unit's own :func:`score`."""
    compiled_once()
    score(
        unit.family, unit.variance, unit.temperature, unit.ends, unit.activation, unit.mean, unit.derivative, unit.error
    )


@kernel
def find_gate(unit):
    """A critic's output gate ``1 / (H_L - m_L)``."""
    for row in range(unit.rows):
        unit.gate[row, 0] = 1.0 / (unit.activation[row, 0] - unit.mean[row, 0])
