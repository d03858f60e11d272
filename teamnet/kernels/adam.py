"""Adam (Kingma and Ba, arXiv 1412.6980) as the official MAP propagation code uses it, ascending."""

from __future__ import annotations

import numpy as np

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BETA1, BETA2, EPSILON


@kernel
def ascend(parameters, gradient, first, second, rate, power1, power2):
    """One ascent step; all arrays float64 of one shape, flattened, changed in place but for ``gradient``.

    Args:
        first, second: running means of the gradient and of its square.
        rate: learning rate.
        power1, power2: ``BETA1**n`` and ``BETA2**n`` for update ``n``, or 0 where the bias is no longer corrected.
    """
    correct1, correct2 = 1.0 / (1.0 - power1), 1.0 / (1.0 - power2)
    for k in range(parameters.size):
        g = gradient[k]
        first[k] = BETA1 * first[k] + (1.0 - BETA1) * g
        second[k] = BETA2 * second[k] + (1.0 - BETA2) * (g * g)
        parameters[k] += rate * (first[k] * correct1) / (np.sqrt(second[k] * correct2) + EPSILON)


@kernel
def shrink(parameters, share):
    """``w <- (1 - share) w``, for decoupled weight decay."""
    for k in range(parameters.size):
        parameters[k] *= 1.0 - share
