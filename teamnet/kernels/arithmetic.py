"""Sums of products in one fixed order, whatever block of a layer they are computed for.

``out[r, j] += sum_i inputs[r, i] * weights[i, j]`` is a chain of fused multiply-adds over ``i`` in rising order, for
each ``(r, j)`` by itself. Tiles of several rows and columns are computed in parallel in vector registers, which changes
the speed but no bit: a layer computed whole, in blocks or neuron by neuron gives the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel, kernel_with_plain_form, machine_code

_DOUBLE, _INTEGER = ir.DoubleType(), ir.IntType(64)


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` rounded once, for doubles or vectors of doubles."""
    kind = a.type
    name = "llvm.fma.f64" if kind == _DOUBLE else f"llvm.fma.v{kind.count}f64"
    return builder.call(name, kind, [kind] * 3, [a, b, c])


@machine_code("float64(float64, float64, float64)", lambda a, b, c: a * b + c)
def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` rounded once."""
    return _fused(builder, a, b, c)


def _tile(rows: int, columns: int) -> Any:
    """A kernel that adds ``rows x columns`` sums of products, all of them held in registers."""
    lanes = _DOUBLE if columns == 1 else ir.VectorType(_DOUBLE, columns)

    @machine_code("void(int64, int64, int64, int64, int64, int64, int64, int64)")
    def tile(
        builder: Any, out: Any, out_stride: Any, inputs: Any, input_stride: Any, input_step: Any, weights: Any,
        weight_stride: Any, count: Any,
    ) -> None:
        llvm = builder.llvm

        def at(base: Any, offset: Any, kind: Any) -> Any:
            return llvm.inttoptr(llvm.add(base, llvm.mul(offset, _INTEGER(8))), kind.as_pointer())

        def spread(value: Any) -> Any:
            if columns == 1:
                return value
            undefined = ir.Constant(lanes, ir.Undefined)
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), columns), [0] * columns)
            return llvm.shuffle_vector(llvm.insert_element(undefined, value, ir.IntType(32)(0)), undefined, zeros)

        targets = [at(out, llvm.mul(_INTEGER(row), out_stride), lanes) for row in range(rows)]
        sums = [builder.variable(llvm.load(target, align=8)) for target in targets]
        starts = [llvm.mul(_INTEGER(row), input_stride) for row in range(rows)]
        with builder.loop(count) as loop:
            weight = llvm.load(at(weights, llvm.mul(loop.index, weight_stride), lanes), align=8)
            passed = llvm.mul(loop.index, input_step)
            for start, total in zip(starts, sums, strict=True):
                value = llvm.load(at(inputs, llvm.add(start, passed), _DOUBLE), align=8)
                llvm.store(_fused(builder, spread(value), weight, llvm.load(total)), total)
        for target, total in zip(targets, sums, strict=True):
            llvm.store(llvm.load(total), target, align=8)

    return tile


_tile_1x32, _tile_1x8, _tile_1x1 = _tile(1, 32), _tile(1, 8), _tile(1, 1)
_tile_4x8, _tile_4x1 = _tile(4, 8), _tile(4, 1)


@kernel
def _add(out, inputs, input_stride, input_step, weights):
    compiled_once()
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


def _plain_products(out: np.ndarray, inputs: np.ndarray, weights: np.ndarray) -> None:
    out += inputs @ weights


def _plain_correlation(out: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    out += left.T @ right


@kernel_with_plain_form(_plain_products)
def add_products(out, inputs, weights):
    """``out += inputs @ weights``: float64, C-ordered, ``(rows, columns)``, ``(rows, count)``, ``(count, columns)``."""
    _add(out, inputs.ctypes.data, inputs.shape[1], 1, weights)


@kernel_with_plain_form(_plain_correlation)
def add_correlation(out, left, right):
    """``out += left.T @ right``: float64, C-ordered, ``(inputs, columns)``, ``(rows, inputs)``, ``(rows, columns)``."""
    _add(out, left.ctypes.data, 1, left.shape[1], right)
