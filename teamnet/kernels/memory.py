"""Arrays of memory by address, so that one compiled kernel serves every unit whatever its sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from teamnet.kernels.compile import MachineCode, kernel, kernel_with_plain_form, machine_code
from teamnet.kernels.view import array_at


@machine_code("int64[::1](int64, int64)", lambda address, size: array_at(address, size, kind=np.int64))
def integers(builder: Any, address: Any, size: Any) -> Any:
    """The int64 array of shape ``(size,)`` at ``address``."""
    return builder.array(address, size)


@machine_code("float64[::1](int64, int64)", array_at)
def vector(builder: Any, address: Any, size: Any) -> Any:
    """The float64 array of shape ``(size,)`` at ``address``."""
    return builder.array(address, size)


@machine_code("float64[:,::1](int64, int64, int64)", array_at)
def matrix(builder: Any, address: Any, rows: Any, columns: Any) -> Any:
    """The C-ordered float64 array of shape ``(rows, columns)`` at ``address``."""
    return builder.array(address, rows, columns)


def scratch(size: int) -> MachineCode:
    """Machine code for the address of ``size`` float64 that last as long as the kernel runs that calls it."""

    @machine_code("int64()")
    def address(builder: Any) -> Any:
        memory = builder.variable(ir.Constant(ir.ArrayType(ir.DoubleType(), size), ir.Undefined))
        return builder.llvm.ptrtoint(memory, ir.IntType(64))

    return address


@kernel_with_plain_form(np.ravel)
def flat(array):
    """All elements of a C-ordered float64 array as one vector, without copying."""
    return vector(array.ctypes.data, array.size)


@kernel
def fill(array, value):
    """Set every element of a vector; Numba's slice assignment takes ten times as long to compile."""
    for k in range(array.size):
        array[k] = value


@kernel
def copy(source, target):
    """Copy a vector to another of the same size."""
    for k in range(source.size):
        target[k] = source[k]


@kernel
def transpose(source, target):
    """Copy a matrix ``(n, m)`` to another of shape ``(m, n)``, transposed."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[j, i] = source[i, j]
