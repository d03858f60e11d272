"""Settling by alternating sweeps: see :mod:`teamnet.units.schedules.sweeps`."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat


@kernel
def balance(mean, variance, force, activation):
    """``H_l = m_l + v_l f_l``, where ``(m_l - H_l) / v_l`` and the feedback ``f_l`` cancel."""
    m, f, h = flat(mean), flat(force), flat(activation)
    for j in range(h.size):
        h[j] = m[j] + variance * f[j]


@kernel
def secant(activation, mean, variance, first, error, residual, step):
    """The error ``e`` of a clamped output for which ``e = (H - m(e)) / v``, by one secant step for each neuron.

    ``r(e) = (H - m(e)) / v - e`` is the residual. The acting pass stands for ``m(0)``, and the error that went down
    first is its answer ``r(0)``; later steps know the residual before. Errors draw the mean towards ``H``, so ``r``
    falls at least as fast as ``-e``: slopes above -1 come of the sampling of the acting pass and are taken as -1.

    Args:
        activation, mean: ``(rows, size)``.
        variance: of the output.
        first: whether this is the first step.
        error: the error that went down last; the next one is written here.
        residual, step: kept between steps: the last residual, and how far the error has moved since.
    """
    h, m, e, r, d = flat(activation), flat(mean), flat(error), flat(residual), flat(step)
    for j in range(h.size):
        if first:
            r[j] = e[j]
            d[j] = e[j]
        found = (h[j] - m[j]) / variance - e[j]
        slope = -1.0
        if d[j] != 0.0:
            slope = min(slope, (found - r[j]) / d[j])
        r[j] = found
        d[j] = -found / slope
        e[j] += d[j]
