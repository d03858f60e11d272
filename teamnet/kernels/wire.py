"""Message encoding: numbers are rounded to fewer bits, and the rounding residual may be added to the next message."""

from __future__ import annotations

import numpy as np

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BIT, FLOAT32, FLOAT64, INT8, packed_size
from teamnet.kernels.memory import integers, vector

_packed_size = kernel(packed_size)
_TO_24_BITS, _TO_8_BITS = 2.0**29 + 1.0, 2.0**45 + 1.0
_LEVELS = 127.0
_TINY, _HUGE = 2.0**-1000, 2.0**1017
_LEAST, _MOST = 2.0**-126, 2.0**128
_WHOLE = 1.5 * 2.0**52
"""Adding and subtracting it rounds to the nearest integer."""


@kernel
def _round(value, splitter):
    """The nearest number with fewer significant bits (Veltkamp, 1968), within the range of normal float32."""
    if abs(value) < _LEAST:
        return 0.0
    product = splitter * value
    rounded = product - (product - value)
    return rounded if abs(rounded) < _MOST else rounded * np.inf


@kernel
def _scale(values):
    """The least power of two, from 2**-1000 on, in units of which no value exceeds 127 in magnitude.

    NaN if a value is not finite: then the whole message is NaN, and its readers detect it.
    """
    largest = 0.0
    for k in range(values.size):
        largest = max(largest, abs(values[k]))
        if values[k] - values[k] != 0.0:
            return np.nan
    scale = 1.0
    while largest > _LEVELS * scale and scale < _HUGE:
        scale *= 2.0
    while largest <= 0.5 * _LEVELS * scale and scale > _TINY:
        scale *= 0.5
    return scale


@kernel
def _two_values(high, kind):
    """1 if ``high``, else 0 (``BIT``) or -1 (``SIGN_BIT``)."""
    return 1.0 if high else 0.0 if kind == BIT else -1.0


@kernel
def encode(values, residual, kind, feed_back):
    """Replace values by their encoding in a message dtype; both arrays flattened, float64.

    Args:
        values: changed in place.
        residual: the rounding residual so far; used and updated if ``feed_back``.
        kind: ``FLOAT32`` (24 significant bits), ``BFLOAT16`` (8), ``INT8`` (integer multiples of one scale), ``BIT``
            (0 or 1) or ``SIGN_BIT`` (-1 or 1).
        feed_back: whether the rounding residual of this message is added to the next one.
    """
    if feed_back:
        for k in range(values.size):
            values[k] += residual[k]
            residual[k] = values[k]
    if kind == INT8:
        scale = _scale(values)
        for k in range(values.size):
            values[k] = ((values[k] / scale + _WHOLE) - _WHOLE) * scale
    elif kind >= BIT:
        for k in range(values.size):
            values[k] = _two_values(values[k] > 0.0, kind)
    else:
        splitter = _TO_24_BITS if kind == FLOAT32 else _TO_8_BITS
        for k in range(values.size):
            values[k] = _round(values[k], splitter)
    if feed_back:
        for k in range(values.size):
            residual[k] -= values[k]


@kernel
def _shorten(bits, mantissa):
    """The float32 bits, with ``mantissa`` bits of mantissa, of a float64 that they represent exactly."""
    exponent = (bits >> 52) & 0x7FF
    short = max(0, exponent - 896) if exponent < 0x7FF else 0xFF
    sign = (bits >> 63) & 1
    return sign << (8 + mantissa) | short << mantissa | (bits >> (52 - mantissa)) & ((1 << mantissa) - 1)


@kernel
def _lengthen(bits, mantissa):
    """The inverse of :func:`_shorten`."""
    short = (bits >> mantissa) & 0xFF
    exponent = 0 if short == 0 else 0x7FF if short == 0xFF else short + 896
    sign = (bits >> (8 + mantissa)) & 1
    return sign << 63 | exponent << 52 | (bits & ((1 << mantissa) - 1)) << (52 - mantissa)


@kernel
def pack(source, target, count, kind):
    """Write ``count`` encoded float64 from an address to another in as few bytes as they need.

    :func:`unpack` restores every bit of what was encoded. ``packed_size`` gives the number of bytes.
    """
    values, words = integers(source, count), integers(target, _packed_size(count, kind) // 8)
    if kind == FLOAT64:
        for k in range(count):
            words[k] = values[k]
        return
    numbers, first, width = vector(source, count), 0, 16
    scale = 1.0
    if kind == INT8:
        scale, first, width = _scale(numbers), 1, 8
        vector(target, 1)[0] = scale
    elif kind == FLOAT32:
        width = 32
    for k in range(first, words.size):
        words[k] = 0
    if kind >= BIT:
        for k in range(count):
            words[k // 64] |= np.int64(numbers[k] > 0.0) << (k % 64)
        return
    for k in range(count):
        short = np.int64(numbers[k] / scale) & 0xFF if kind == INT8 else _shorten(values[k], width - 9)
        words[first + k * width // 64] |= short << (k * width % 64)


@kernel
def unpack(source, target, count, kind):
    """The inverse of :func:`pack`: write ``count`` float64 at ``target`` from the bytes at ``source``."""
    values, words = integers(target, count), integers(source, _packed_size(count, kind) // 8)
    if kind == FLOAT64:
        for k in range(count):
            values[k] = words[k]
    elif kind == INT8:
        numbers, scale = vector(target, count), vector(source, 1)[0]
        for k in range(count):
            level = words[1 + k // 8] >> (k % 8 * 8) & 0xFF
            numbers[k] = float(level - 256 if level > 127 else level) * scale
    elif kind >= BIT:
        numbers = vector(target, count)
        for k in range(count):
            numbers[k] = _two_values(words[k // 64] >> (k % 64) & 1 != 0, kind)
    else:
        width = 32 if kind == FLOAT32 else 16
        for k in range(count):
            short = words[k * width // 64] >> (k * width % 64) & ((1 << width) - 1)
            values[k] = _lengthen(short, width - 9)
