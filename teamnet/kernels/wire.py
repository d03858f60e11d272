"""What a message says of its numbers: rounded to fewer bits, and what rounding left out said with the next one."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import FLOAT32, INT8

_TO_24_BITS, _TO_8_BITS = 2.0**29 + 1.0, 2.0**45 + 1.0
_LEVELS = 127.0
_TINY, _HUGE = 2.0**-1000, 2.0**1000
_WHOLE = 1.5 * 2.0**52
"""Added and taken away again, it leaves the nearest whole number."""


@kernel
def _round(value, splitter):
    """The nearest number with fewer significant bits (Veltkamp, 1968); exponents stay those of float64."""
    product = splitter * value
    return product - (product - value)


@kernel
def _scale(values):
    """The least power of two, from 2**-1000 on, with which all values are whole numbers of at most 127."""
    largest = 0.0
    for k in range(values.size):
        largest = max(largest, abs(values[k]))
    scale = 1.0
    while largest > _LEVELS * scale and scale < _HUGE:
        scale *= 2.0
    while largest <= 0.5 * _LEVELS * scale and scale > _TINY:
        scale *= 0.5
    return scale


@kernel
def encode(values, unsaid, kind, feed_back):
    """Replace values by what a message of some format says of them; both arrays flattened, float64.

    Args:
        values: changed in place.
        unsaid: what was left out so far; used and kept if ``feed_back``.
        kind: ``FLOAT32`` (24 significant bits), ``BFLOAT16`` (8) or ``INT8`` (whole multiples of one scale).
        feed_back: whether what this message leaves out is added to the next one.
    """
    if feed_back:
        for k in range(values.size):
            values[k] += unsaid[k]
            unsaid[k] = values[k]
    if kind == INT8:
        scale = _scale(values)
        for k in range(values.size):
            values[k] = ((values[k] / scale + _WHOLE) - _WHOLE) * scale
    else:
        splitter = _TO_24_BITS if kind == FLOAT32 else _TO_8_BITS
        for k in range(values.size):
            values[k] = _round(values[k], splitter)
    if feed_back:
        for k in range(values.size):
            unsaid[k] -= values[k]
