from __future__ import annotations

from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import teamnet.kernels.numba_types  # noqa: F401 - compiled functions of these tests call kernels
from teamnet.kernels import arithmetic


@numba.njit
def _add_products(out, inputs, weights):
    arithmetic.add_products(out, inputs, weights)


@numba.njit
def _add_correlation(out, left, right):
    arithmetic.add_correlation(out, left, right)


def _chain(start: float, pairs: list[tuple[float, float]]) -> float:
    """Fused multiply-adds in order, each rounded once, in exact rational arithmetic."""
    for a, b in pairs:
        start = float(Fraction(a) * Fraction(b) + Fraction(start))
    return start


def test_sums_are_chains_of_fused_multiply_adds_in_rising_order(generator: np.random.Generator):
    inputs, weights = generator.standard_normal((5, 7)), generator.standard_normal((7, 41))
    out = generator.standard_normal((5, 41))
    expected = [
        [_chain(out[r, j], list(zip(inputs[r], weights[:, j], strict=True))) for j in range(41)] for r in range(5)
    ]
    _add_products(out, inputs, weights)
    assert np.array_equal(out, np.array(expected))


@given(st.integers(1, 9), st.integers(0, 12), st.integers(1, 75), st.data())
def test_grouping_columns_and_rows_changes_no_bit(rows: int, count: int, columns: int, data: st.DataObject):
    generator = np.random.default_rng(rows * 1000 + count * 100 + columns)
    inputs, weights = generator.standard_normal((rows, count)), generator.standard_normal((count, columns))
    whole = np.zeros((rows, columns))
    _add_products(whole, inputs, weights)
    cut, row = data.draw(st.integers(0, columns - 1)), data.draw(st.integers(0, rows - 1))
    part = np.zeros((1, columns - cut))
    _add_products(part, inputs[row : row + 1].copy(), np.ascontiguousarray(weights[:, cut:]))
    assert np.array_equal(part[0], whole[row, cut:])


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 40))
def test_a_correlation_is_the_product_with_the_transpose(rows: int, inputs: int, columns: int):
    generator = np.random.default_rng(rows * 1000 + inputs * 50 + columns)
    left, right = generator.standard_normal((rows, inputs)), generator.standard_normal((rows, columns))
    out, mirrored, expected = np.zeros((inputs, columns)), np.zeros((columns, inputs)), np.zeros((inputs, columns))
    _add_correlation(out, left, right)
    _add_correlation(mirrored, right, left)
    _add_products(expected, np.ascontiguousarray(left.T), right)
    assert np.array_equal(out, expected)
    assert np.array_equal(mirrored.T, expected)


def _form(declared: object) -> object:
    @numba.njit
    def call(out, inputs, weights):
        declared(
            out.ctypes.data, out.shape[1], inputs.ctypes.data, inputs.shape[1], 1, weights.ctypes.data, out.shape[0],
            weights.shape[0],
        )

    return call


@numba.njit
def _tiles(out, inputs, weights):
    arithmetic._add_tiles(
        out.ctypes.data, out.shape[1], 0, inputs.ctypes.data, inputs.shape[1], 1, weights.ctypes.data, out.shape[0],
        weights.shape[0],
    )


FORMS = {"strips": _form(arithmetic._add_strips), "panels": _form(arithmetic._add_panels), "chosen": _add_products}


@pytest.mark.parametrize("form", FORMS)
@given(st.integers(1, 21), st.integers(0, 300), st.integers(1, 150))
def test_every_form_has_the_bits_of_the_tiles(form: str, rows: int, count: int, columns: int):
    generator = np.random.default_rng(rows * 100_000 + count * 200 + columns)
    inputs, weights = generator.standard_normal((rows, count)), generator.standard_normal((count, columns))
    expected = generator.standard_normal((rows, columns))
    found = expected.copy()
    _tiles(expected, inputs, weights)
    FORMS[form](found, inputs, weights)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("rows", [1, 3, 12, 16])
def test_products_of_wide_layers_have_the_bits_of_their_parts(rows: int, generator: np.random.Generator):
    inputs, weights = generator.standard_normal((rows, 700)), generator.standard_normal((700, 301))
    whole = np.zeros((rows, 301))
    _add_products(whole, inputs, weights)
    for first, last in ((0, 8), (8, 201), (201, 301)):
        part = np.zeros((rows, last - first))
        _add_products(part, inputs, np.ascontiguousarray(weights[:, first:last]))
        assert np.array_equal(part, whole[:, first:last])
