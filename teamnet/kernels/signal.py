"""The global signal: the TD error that the coordinator broadcasts."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import vector


@kernel
def find_td_error(
    rows: int, reward: int, value: int, previous: int, terminated: int, masked: int, delta: int, discount: float,
    limit: float,
) -> int:
    """``delta_t = r + gamma V(s_t) [not terminal] - V(s_{t-1})``, 0 for masked rows; then ``previous`` is ``V(s_t)``.

    Args:
        rows: length of all arrays.
        reward, value, previous, terminated, masked, delta: addresses of float64 ``(rows,)``; conditions are 1.0 or 0.0,
            ``masked`` marks rows at a reset or a truncation, and ``delta`` is written.
        discount: ``gamma``.
        limit: rewards are clipped to this magnitude; infinity for no clipping.
    """
    r, v, before = vector(reward, rows), vector(value, rows), vector(previous, rows)
    ended, mask, error = vector(terminated, rows), vector(masked, rows), vector(delta, rows)
    for row in range(rows):
        clipped = min(max(r[row], -limit), limit)
        found = clipped + discount * v[row] * (1.0 - ended[row]) - before[row]
        error[row] = 0.0 if mask[row] != 0.0 else found
        before[row] = v[row]
    return 0
