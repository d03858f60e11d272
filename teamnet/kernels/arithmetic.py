"""Sums of products in one fixed order, whatever block of a layer they are computed for.

``out[r, j] += sum_i inputs[r, i] * weights[i, j]`` is a chain of fused multiply-adds over ``i`` in rising order, for
each ``(r, j)`` by itself. What is computed in parallel, and in which order the chains are continued, changes the speed
but no bit: a layer computed whole, in blocks or neuron by neuron gives the same numbers. There are three forms:

tiles    sums of several rows and columns stay in vector registers; for weights that the first-level cache holds
strips   four rows of weights at a time are read from one end to the other; for few rows
panels   a part of the weights that the first-level cache holds is copied there and used by all rows; for many rows
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir

from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel, kernel_with_plain_form, machine_code
from teamnet.kernels.memory import scratch

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


def _at(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    """The element ``offset`` doubles behind ``base``, as the first one of a type."""
    return builder.llvm.inttoptr(builder.llvm.add(base, builder.llvm.mul(offset, _INTEGER(8))), kind.as_pointer())


def _spread(builder: Any, value: Any, lanes: Any) -> Any:
    """A vector with the same number in every place; the number itself if there is one place."""
    if lanes == _DOUBLE:
        return value
    undefined = ir.Constant(lanes, ir.Undefined)
    first = builder.llvm.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), [0] * lanes.count)
    return builder.llvm.shuffle_vector(first, undefined, zeros)


def _tile(rows: int, columns: int) -> Any:
    """A kernel that adds ``rows x columns`` sums of products, all of them held in registers."""
    lanes = _DOUBLE if columns == 1 else ir.VectorType(_DOUBLE, columns)

    @machine_code("void(int64, int64, int64, int64, int64, int64, int64, int64)")
    def tile(
        builder: Any, out: Any, out_stride: Any, inputs: Any, input_stride: Any, input_step: Any, weights: Any,
        weight_stride: Any, count: Any,
    ) -> None:
        llvm = builder.llvm
        targets = [_at(builder, out, llvm.mul(_INTEGER(row), out_stride), lanes) for row in range(rows)]
        sums = [builder.variable(llvm.load(target, align=8)) for target in targets]
        starts = [llvm.mul(_INTEGER(row), input_stride) for row in range(rows)]
        with builder.loop(count) as loop:
            weight = llvm.load(_at(builder, weights, llvm.mul(loop.index, weight_stride), lanes), align=8)
            passed = llvm.mul(loop.index, input_step)
            for start, total in zip(starts, sums, strict=True):
                value = llvm.load(_at(builder, inputs, llvm.add(start, passed), _DOUBLE), align=8)
                llvm.store(_fused(builder, _spread(builder, value, lanes), weight, llvm.load(total)), total)
        for target, total in zip(targets, sums, strict=True):
            llvm.store(llvm.load(total), target, align=8)

    return tile


def _strip(rows: int, depth: int) -> Any:
    """A kernel that adds ``depth`` products to ``rows`` rows of sums, in ``blocks`` of one vector register."""
    lanes = ir.VectorType(_DOUBLE, _LANES)

    @machine_code("void(int64, int64, int64, int64, int64, int64, int64, int64)")
    def strip(
        builder: Any, out: Any, out_stride: Any, inputs: Any, input_stride: Any, input_step: Any, weights: Any,
        weight_stride: Any, blocks: Any,
    ) -> None:
        llvm = builder.llvm

        def value(row: int, number: int) -> Any:
            offset = llvm.add(llvm.mul(_INTEGER(row), input_stride), llvm.mul(_INTEGER(number), input_step))
            return _spread(builder, llvm.load(_at(builder, inputs, offset, _DOUBLE), align=8), lanes)

        values = [[value(row, number) for number in range(depth)] for row in range(rows)]
        with builder.loop(blocks) as loop:
            column = llvm.mul(loop.index, _INTEGER(_LANES))
            starts = [llvm.add(llvm.mul(_INTEGER(number), weight_stride), column) for number in range(depth)]
            loaded = [llvm.load(_at(builder, weights, start, lanes), align=8) for start in starts]
            for row in range(rows):
                target = _at(builder, out, llvm.add(llvm.mul(_INTEGER(row), out_stride), column), lanes)
                total = llvm.load(target, align=8)
                for number in range(depth):
                    total = _fused(builder, values[row][number], loaded[number], total)
                llvm.store(total, target, align=8)

    return strip


def _lanes() -> int:
    """Doubles in a vector register of this processor."""
    features = binding.get_host_cpu_features()
    return 8 if features.get("avx512f") else 4 if features.get("avx2") else 2


_LANES = _lanes()
_PANEL = 2 * _LANES
"""Columns of a panel: with eight rows, sums in sixteen registers, enough for the latency of fused multiply-adds."""
_MANY = 8 if _LANES != 4 else 4
"""Rows of a tile over a panel: 32 vector registers hold eight rows of sums, the 16 of AVX2 four."""
_DEPTH = 128
"""Rows of a panel, which with the inputs of a tile fits the first-level cache."""
_HELD = 1 << 15
"""Bytes of weights up to which tiles are fastest: about the first-level cache."""
_FEW = 12
"""Rows below which strips are faster than panels."""
_STRETCH = 2048
"""Columns of a strip: their sums stay in the first-level cache."""
_tile_1x32, _tile_1x8, _tile_1x1 = _tile(1, 32), _tile(1, 8), _tile(1, 1)
_tile_4x8, _tile_4x1 = _tile(4, 8), _tile(4, 1)
_many_rows, _one_row = _tile(_MANY, _PANEL), _tile(1, _PANEL)
_strip_4x4, _strip_4x1, _strip_1x8, _strip_1x1 = _strip(4, 4), _strip(4, 1), _strip(1, 8), _strip(1, 1)


@kernel
def _add(out, inputs, input_stride, input_step, weights):
    """Add the products; inputs ``(r, i)`` are at ``inputs + 8 (input_stride r + input_step i)``."""
    rows, columns = out.shape
    count = weights.shape[0]
    to, of = out.ctypes.data, weights.ctypes.data
    if 8 * count * columns <= _HELD:
        _add_tiles(to, columns, 0, inputs, input_stride, input_step, of, rows, count)
    elif rows < _FEW:
        _add_strips(to, columns, inputs, input_stride, input_step, of, rows, count)
    else:
        _add_panels(to, columns, inputs, input_stride, input_step, of, rows, count)


@kernel
def _add_tiles(out, columns, first, inputs, input_stride, input_step, weights, rows, count):
    """The products of the columns from ``first`` on."""
    compiled_once()
    row = 0
    while row < rows:
        several = row + 4 <= rows
        x, y, column = inputs + 8 * row * input_stride, out + 8 * row * columns, first
        while column < columns:
            left = columns - column
            to, of = y + 8 * column, weights + 8 * column
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
def _add_strips(out, columns, inputs, input_stride, input_step, weights, rows, count):
    compiled_once()
    whole = columns // _LANES
    row = 0
    while row < rows:
        several = row + 4 <= rows
        begun = 0
        while begun < whole:
            blocks = min(whole - begun, (_STRETCH // 4 if several else _STRETCH) // _LANES)
            to, of = out + 8 * (row * columns + begun * _LANES), weights + 8 * begun * _LANES
            i = 0
            while i < count:
                x, w = inputs + 8 * (row * input_stride + i * input_step), of + 8 * i * columns
                if several and i + 4 <= count:
                    _strip_4x4(to, columns, x, input_stride, input_step, w, columns, blocks)
                    i += 4
                elif several:
                    _strip_4x1(to, columns, x, input_stride, input_step, w, columns, blocks)
                    i += 1
                elif i + 8 <= count:
                    _strip_1x8(to, columns, x, input_stride, input_step, w, columns, blocks)
                    i += 8
                else:
                    _strip_1x1(to, columns, x, input_stride, input_step, w, columns, blocks)
                    i += 1
            begun += blocks
        row += 4 if several else 1
    _add_tiles(out, columns, whole * _LANES, inputs, input_stride, input_step, weights, rows, count)


_memory = scratch(_DEPTH * _PANEL)


@machine_code("void(int64, int64, int64, int64)")
def _copy_panel(builder: Any, panel: Any, weights: Any, weight_stride: Any, depth: Any) -> None:
    llvm, lanes = builder.llvm, ir.VectorType(_DOUBLE, _PANEL)
    with builder.loop(depth) as loop:
        row = llvm.load(_at(builder, weights, llvm.mul(loop.index, weight_stride), lanes), align=8)
        llvm.store(row, _at(builder, panel, llvm.mul(loop.index, _INTEGER(_PANEL)), lanes), align=8)


@kernel
def _add_panels(out, columns, inputs, input_stride, input_step, weights, rows, count):
    compiled_once()
    panel, whole = _memory(), columns // _PANEL * _PANEL
    for k in range(0, count, _DEPTH):
        depth, below = min(_DEPTH, count - k), inputs + 8 * k * input_step
        for column in range(0, whole, _PANEL):
            _copy_panel(panel, weights + 8 * (k * columns + column), columns, depth)
            row = 0
            while row < rows:
                to, x = out + 8 * (row * columns + column), below + 8 * row * input_stride
                if row + _MANY <= rows:
                    _many_rows(to, columns, x, input_stride, input_step, panel, _PANEL, depth)
                    row += _MANY
                else:
                    _one_row(to, columns, x, input_stride, input_step, panel, _PANEL, depth)
                    row += 1
    _add_tiles(out, columns, whole, inputs, input_stride, input_step, weights, rows, count)


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
