"""``exp``, ``log1p`` and softmax on fixed polynomials.

C libraries and vector libraries round ``exp`` differently; these do not depend on either, and LLVM vectorises them.
Absolute and relative errors stay below 4e-16 times a small factor (``tests/kernels/test_functions.py`` measures them).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from teamnet.kernels.arithmetic import fma
from teamnet.kernels.compile import kernel, kernel_with_plain_form, machine_code

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # their sum is ln 2 to 86 bits
_ROUNDER = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to the nearest integer
_SMALLEST = -708.0  # exp of less is below the smallest normal number and taken as 0


@machine_code("float64(float64)")
def _power_of_two(builder: Any, rounded: Any) -> Any:
    """``2**n`` from ``n + _ROUNDER``, whose lowest bits hold ``n``: integer arithmetic that every vector unit has."""
    llvm, integer = builder.llvm, ir.IntType(64)
    bits = llvm.add(llvm.bitcast(rounded, integer), integer(1023))
    return llvm.bitcast(llvm.shl(bits, integer(52)), ir.DoubleType())


@kernel_with_plain_form(np.exp)
def exp_negative(x):
    """``exp(x)`` for ``x <= 0``: ``2**n * exp(r)`` with ``|r| <= ln(2)/2`` and a Taylor polynomial of degree 13."""
    below = x < _SMALLEST
    x = _SMALLEST if below else x
    rounded = x * _LOG2_E + _ROUNDER
    n = rounded - _ROUNDER
    r = fma(-n, _LN2_LOW, fma(-n, _LN2_HIGH, x))
    p = 1 / 6227020800.0
    p = fma(p, r, 1 / 479001600.0)
    p = fma(p, r, 1 / 39916800.0)
    p = fma(p, r, 1 / 3628800.0)
    p = fma(p, r, 1 / 362880.0)
    p = fma(p, r, 1 / 40320.0)
    p = fma(p, r, 1 / 5040.0)
    p = fma(p, r, 1 / 720.0)
    p = fma(p, r, 1 / 120.0)
    p = fma(p, r, 1 / 24.0)
    p = fma(p, r, 1 / 6.0)
    p = fma(p, r, 0.5)
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return 0.0 if below else p * _power_of_two(rounded)


@kernel_with_plain_form(np.log1p)
def log1p_fraction(u):
    """``log(1 + u)`` for ``0 <= u <= 1``: ``2 artanh(s)`` with ``s = u / (2 + u) <= 1/3``, seventeen terms."""
    s = u / (2.0 + u)
    q = s * s
    p = 1 / 33.0
    p = fma(p, q, 1 / 31.0)
    p = fma(p, q, 1 / 29.0)
    p = fma(p, q, 1 / 27.0)
    p = fma(p, q, 1 / 25.0)
    p = fma(p, q, 1 / 23.0)
    p = fma(p, q, 1 / 21.0)
    p = fma(p, q, 1 / 19.0)
    p = fma(p, q, 1 / 17.0)
    p = fma(p, q, 1 / 15.0)
    p = fma(p, q, 1 / 13.0)
    p = fma(p, q, 1 / 11.0)
    p = fma(p, q, 1 / 9.0)
    p = fma(p, q, 1 / 7.0)
    p = fma(p, q, 1 / 5.0)
    p = fma(p, q, 1 / 3.0)
    return 2.0 * fma(p * q, s, s)


@machine_code("float64(boolean, float64, float64)", np.where)
def select(builder: Any, condition: Any, one: Any, other: Any) -> Any:
    """``one`` where the condition holds, else ``other``."""
    return builder.llvm.select(condition, one, other)


@kernel
def softmax(preactivation, temperature, mean):
    """Write ``exp(p_j / T) / sum_k exp(p_k / T)`` of every row of float64 ``(rows, size)``."""
    rows, size = preactivation.shape
    for row in range(rows):
        highest = preactivation[row, 0]
        for j in range(1, size):
            highest = max(highest, preactivation[row, j])
        total = 0.0
        for j in range(size):
            mean[row, j] = exp_negative((preactivation[row, j] - highest) / temperature)
            total += mean[row, j]
        for j in range(size):
            mean[row, j] /= total
