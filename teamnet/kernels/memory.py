"""Views of memory by address, so that one compiled kernel serves every unit whatever its sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.np.numpy_support import carray

from teamnet.kernels.compile import kernel, machine_code


@machine_code
def float_pointer(typing_context, address):
    """The pointer to float64 at an ``int64`` address."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(types.int64), generate


@machine_code
def _integer_pointer(typing_context, address):
    """The pointer to int64 at an ``int64`` address."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), generate


def array_of(kind: np.dtype) -> Callable[..., Any]:
    """The kernel ``(address, count)`` that gives the array of ``count`` records of a kind at an address."""
    record = from_dtype(kind)

    @machine_code
    def pointer(typing_context, address):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(record)(types.int64), generate

    @kernel
    def records(address, count):
        return carray(pointer(address), (count,))

    return records


@kernel
def integers(address, size):
    """The int64 array of shape ``(size,)`` at ``address``."""
    return carray(_integer_pointer(address), (size,))


@kernel
def vector(address, size):
    """The float64 array of shape ``(size,)`` at ``address``."""
    return carray(float_pointer(address), (size,))


@kernel
def matrix(address, rows, columns):
    """The C-ordered float64 array of shape ``(rows, columns)`` at ``address``."""
    return carray(float_pointer(address), (rows, columns))


@kernel
def cube(address, layers, rows, columns):
    """The C-ordered float64 array of shape ``(layers, rows, columns)`` at ``address``."""
    return carray(float_pointer(address), (layers, rows, columns))


@kernel
def flat(array):
    """All elements of a C-ordered float64 array as one vector, without copying."""
    return vector(array.ctypes.data, array.size)


@kernel
def fill(array, value):
    """Set every element of a vector; numba's slice assignment compiles ten times as long."""
    for k in range(array.size):
        array[k] = value


@kernel
def copy(source, target):
    """Copy a vector to another of the same size."""
    for k in range(source.size):
        target[k] = source[k]
