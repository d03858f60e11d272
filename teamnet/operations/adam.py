"""Adam (Kingma and Ba, arXiv 1412.6980) as the official MAP propagation code uses it, ascending."""

from __future__ import annotations

import numpy as np

from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BETA1, BETA2, CORRECTED_UPDATES
from teamnet.kernels.memory import flat, vector


@kernel
def count_update(unit):
    """Count an update of the unit: ``power1`` and ``power2`` are ``BETA1**n`` and ``BETA2**n`` for update ``n``.

    Both are 0 where the bias of the running means is no longer corrected.
    """
    unit.updates += 1
    corrected = unit.updates < CORRECTED_UPDATES
    unit.power1 = unit.power1 * BETA1 if corrected else 0.0
    unit.power2 = unit.power2 * BETA2 if corrected else 0.0


@kernel
def rate_of(unit, synapses, part):
    """The learning rate of a part of a group of synapses in this step: annealed linearly over ``anneal_steps``."""
    start, end, steps = synapses.rates[part, 1], synapses.rates[part, 2], synapses.anneal_steps
    return start + (end - start) * min(unit.step, steps) / steps if steps > 0 else end


@kernel
def ascend(unit, synapses):
    """One step of a group of synapses along its gradient, after :func:`count_update`.

    The synapses that leave a unit have the rates of the layers that they lead to.
    """
    begin = 0
    for part in range(synapses.parts):
        rate, count = rate_of(unit, synapses, part), int(synapses.rates[part, 0])
        ascend_part(unit, synapses, synapses.gradient.ctypes.data + 8 * begin, rate, 8 * begin, count)
        begin += count


@kernel
def ascend_part(unit, synapses, gradient_address, rate, offset, count):
    """The same for ``count`` synapses, ``offset`` bytes from the first one, along the gradient at an address."""
    compiled_once()
    parameters = vector(synapses.value.ctypes.data + offset, count)
    gradient = vector(gradient_address, count)
    first = vector(synapses.first.ctypes.data + offset, count)
    second = vector(synapses.second.ctypes.data + offset, count)
    power1, power2, epsilon = unit.power1, unit.power2, unit.adam_epsilon
    correct1, correct2 = 1.0 / (1.0 - power1), 1.0 / (1.0 - power2)
    for k in range(count):
        g = gradient[k]
        first[k] = BETA1 * first[k] + (1.0 - BETA1) * g
        second[k] = BETA2 * second[k] + (1.0 - BETA2) * (g * g)
        parameters[k] += rate * (first[k] * correct1) / (np.sqrt(second[k] * correct2) + epsilon)


@kernel
def shrink(synapses):
    """``w <- (1 - share) w``: decoupled weight decay of a group of synapses."""
    share = synapses.weight_decay
    if share > 0.0:
        parameters = flat(synapses.value)
        for k in range(parameters.size):
            parameters[k] *= 1.0 - share
