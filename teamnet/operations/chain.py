"""The chain rule at one unit."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat


@kernel
def chain(derivative, feedback, error):
    """``e_l = f'(p_l) f_l``, with the feedback ``f_l = e_{l+1} W_{l+1}^T``."""
    s, f, e = flat(derivative), flat(feedback), flat(error)
    for j in range(e.size):
        e[j] = s[j] * f[j]
