"""Sums of products in one fixed order, whatever block of a layer they are computed for.

``out[r, j] += sum_i inputs[r, i] * weights[i, j]`` is a chain of fused multiply-adds over ``i`` in rising order, for
each ``(r, j)`` by itself. Tiles of several rows and columns run side by side in vector registers, which changes the
speed and no bit: a layer computed whole, in blocks or neuron by neuron gives the same numbers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from teamnet.kernels.compile import kernel, machine_code

_DOUBLE = ir.DoubleType()


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` rounded once, for doubles or vectors of doubles."""
    kind = a.type
    name = "llvm.fma.f64" if kind == _DOUBLE else f"llvm.fma.v{kind.count}f64"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [a, b, c])


@machine_code
def fma(typing_context, a, b, c):
    """``a * b + c`` rounded once."""

    def generate(context, builder, signature, arguments):
        return _fused(builder, *arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


def _tile(rows: int, columns: int) -> Any:
    """A kernel that adds ``rows x columns`` sums of products, all of them held in registers."""
    lanes = _DOUBLE if columns == 1 else ir.VectorType(_DOUBLE, columns)

    @machine_code
    def tile(typing_context, out, out_stride, inputs, input_stride, input_step, weights, weight_stride, count):
        def generate(context, builder, signature, arguments):
            out, out_stride, inputs, input_stride, input_step, weights, weight_stride, count = arguments
            integer = ir.IntType(64)

            def at(base, offset, kind):
                return builder.inttoptr(builder.add(base, builder.mul(offset, integer(8))), kind.as_pointer())

            def spread(value):
                if columns == 1:
                    return value
                undefined = ir.Constant(lanes, ir.Undefined)
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), columns), [0] * columns)
                return builder.shuffle_vector(
                    builder.insert_element(undefined, value, ir.IntType(32)(0)), undefined, zeros
                )

            targets = [at(out, builder.mul(integer(row), out_stride), lanes) for row in range(rows)]
            sums = [cgutils.alloca_once_value(builder, builder.load(target, align=8)) for target in targets]
            starts = [builder.mul(integer(row), input_stride) for row in range(rows)]
            with cgutils.for_range(builder, count) as loop:
                weight = builder.load(at(weights, builder.mul(loop.index, weight_stride), lanes), align=8)
                passed = builder.mul(loop.index, input_step)
                for start, total in zip(starts, sums, strict=True):
                    value = builder.load(at(inputs, builder.add(start, passed), _DOUBLE), align=8)
                    builder.store(_fused(builder, spread(value), weight, builder.load(total)), total)
            for target, total in zip(targets, sums, strict=True):
                builder.store(builder.load(total), target, align=8)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), generate

    return tile


_tile_1x32, _tile_1x8, _tile_1x1 = _tile(1, 32), _tile(1, 8), _tile(1, 1)
_tile_4x8, _tile_4x1 = _tile(4, 8), _tile(4, 1)


@kernel
def _add(out, inputs, input_stride, input_step, weights):
    rows, columns = out.shape
    count = weights.shape[0]
    row = 0
    while row < rows:
        several = row + 4 <= rows
        x, y, column = inputs + 8 * row * input_stride, out.ctypes.data + 8 * row * columns, 0
        w = weights.ctypes.data
        while column < columns:
            left = columns - column
            to, of = y + 8 * column, w + 8 * column
            if several and left >= 8:
                _tile_4x8(to, columns, x, input_stride, input_step, of, columns, count)
                column += 8
            elif several:
                _tile_4x1(to, columns, x, input_stride, input_step, of, columns, count)
                column += 1
            elif left >= 32:
                _tile_1x32(to, columns, x, input_stride, input_step, of, columns, count)
                column += 32
            elif left >= 8:
                _tile_1x8(to, columns, x, input_stride, input_step, of, columns, count)
                column += 8
            else:
                _tile_1x1(to, columns, x, input_stride, input_step, of, columns, count)
                column += 1
        row += 4 if several else 1


@kernel
def add_products(out, inputs, weights):
    """``out += inputs @ weights``: float64, C-ordered, ``(rows, columns)``, ``(rows, count)``, ``(count, columns)``."""
    _add(out, inputs.ctypes.data, inputs.shape[1], 1, weights)


@kernel
def add_correlation(out, left, right):
    """``out += left.T @ right``: float64, C-ordered, ``(inputs, columns)``, ``(rows, inputs)``, ``(rows, columns)``."""
    _add(out, left.ctypes.data, 1, left.shape[1], right)
