"""Backpropagation through a team: errors by the chain rule, and the gradient of a policy's entropy."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat


@kernel
def chain(slope, force, error):
    """``e_l = f'(p_l) (e_{l+1} W_{l+1}^T)``, with ``force`` the feedback from above."""
    s, f, e = flat(slope), flat(force), flat(error)
    for j in range(e.size):
        e[j] = s[j] * f[j]


@kernel
def ascend_entropy(potential, mean, temperature, error):
    """``d entropy / d p_j = -m_j (p_j - sum_k m_k p_k) / T^2`` for ``m = softmax(p / T)``."""
    for row in range(mean.shape[0]):
        average = 0.0
        for j in range(mean.shape[1]):
            average += mean[row, j] * potential[row, j]
        for j in range(mean.shape[1]):
            error[row, j] = -mean[row, j] * (potential[row, j] - average) / (temperature * temperature)
