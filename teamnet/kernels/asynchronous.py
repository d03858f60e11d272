"""Asynchronous MAP propagation: how much an update counts for the trace while units still move."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat

_BETA, _ALPHA, _EPSILON = 0.7, 1e3, 1.0


@kernel
def follow(before, after, whole, change):
    """``g <- beta g + (1 - beta) dH``; where a row is a choice (``whole``), ``dH`` is 1 for a new one and else 0."""
    for row in range(change.shape[0]):
        moved = 0.0
        if whole:
            for j in range(change.shape[1]):
                moved = max(moved, abs(after[row, j] - before[row, j]))
        for j in range(change.shape[1]):
            difference = moved if whole else after[row, j] - before[row, j]
            change[row, j] = _BETA * change[row, j] + (1.0 - _BETA) * difference


@kernel
def weigh(error, change, weighed):
    """``e / (eps + alpha g^2)``: what an update adds to the trace."""
    e, g, w = flat(error), flat(change), flat(weighed)
    for j in range(e.size):
        w[j] = e[j] / (_EPSILON + _ALPHA * g[j] * g[j])
