"""The global signal: the TD error that the coordinator broadcasts."""

from __future__ import annotations

import numpy as np
from numba import types

from teamnet.kernels.compile import entry

_ROWS = types.float64[::1]


@entry(types.void(_ROWS, _ROWS, _ROWS, _ROWS, _ROWS, types.float64, types.float64, _ROWS))
def find_td_error(reward, value, previous, terminated, masked, discount, limit, delta):
    """``delta_t = r + gamma V(s_t) [not terminal] - V(s_{t-1})``, 0 for masked rows.

    Afterwards ``previous`` is ``V(s_t)``. All arrays are float64 ``(rows,)``; conditions are 1.0 or 0.0.

    Args:
        masked: rows at a reset or a truncation, from which nothing is learned.
        limit: rewards are clipped to this size; infinity for not.
        delta: written.
    """
    for row in range(delta.size):
        clipped = min(max(reward[row], -limit), limit)
        error = clipped + discount * value[row] * (1.0 - terminated[row]) - previous[row]
        delta[row] = 0.0 if masked[row] != 0.0 else error
        previous[row] = value[row]


@entry(types.boolean(types.float64[:, ::1]))
def all_finite(array):
    """Whether no element of a float64 matrix is NaN or infinite."""
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            if not np.isfinite(array[row, column]):
                return False
    return True
