"""The error of a clamped Gaussian output that is its own answer, by secant steps."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat
from teamnet.kernels.unit_types import GAUSSIAN
from teamnet.operations.acting import find_error, predict


@kernel
def solve(unit, inputs):
    """One secant step for each neuron towards the error ``e`` for which ``e = (H - m(e)) / v``.

    ``r(e) = (H - m(e)) / v - e`` is the residual. The acting pass stands for ``m(0)``, and the error that went down
    first is its answer ``r(0)``; later steps know the residual before. Errors draw the mean towards ``H``, so ``r``
    falls at least as fast as ``-e``: slopes above -1 come of the sampling of the acting pass and are taken as -1.
    """
    predict(unit, inputs)
    if unit.family != GAUSSIAN:
        find_error(unit)
        return
    h, m, e, r, d = (
        flat(unit.activation), flat(unit.mean), flat(unit.error), flat(unit.residual), flat(unit.moved)
    )
    for j in range(h.size):
        found = (h[j] - m[j]) / unit.variance - e[j]
        slope = -1.0
        if d[j] != 0.0:
            slope = min(slope, (found - r[j]) / d[j])
        r[j] = found
        d[j] = -found / slope
        e[j] += d[j]
