"""What messages of fewer bits say, against NumPy's own float32 and against the definition of the others."""

from __future__ import annotations

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import teamnet.kernels.numba_types  # noqa: F401 - compiled functions of these tests call kernels
from teamnet.kernels.constants import BFLOAT16, BIT, FLOAT32, FLOAT64, INT8, SIGN_BIT, packed_size
from teamnet.kernels.wire import encode, pack, unpack

NUMBERS = arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
)


@numba.njit
def _encode(values, residual, kind, feed_back):
    encode(values, residual, kind, feed_back)


@numba.njit
def _send(values, packed, received, kind):
    pack(values.ctypes.data, packed.ctypes.data, values.size, kind)
    unpack(packed.ctypes.data, received.ctypes.data, values.size, kind)


def _say(values: np.ndarray, kind: int, residual: np.ndarray | None = None) -> np.ndarray:
    said = values.copy()
    _encode(said, np.zeros_like(said) if residual is None else residual, kind, residual is not None)
    return said


@given(NUMBERS)
def test_float32_is_numpys(values: np.ndarray):
    np.testing.assert_array_equal(_say(values, FLOAT32), values.astype(np.float32).astype(np.float64))


@given(NUMBERS)
def test_bfloat16_has_eight_significant_bits_and_is_the_nearest(values: np.ndarray):
    said = _say(values, BFLOAT16)
    bits = said.astype(np.float32).view(np.uint32)
    np.testing.assert_array_equal(said.astype(np.float32), said)
    assert np.all(bits & 0xFFFF == 0), "the lower half of a float32 is empty"
    assert np.all(np.abs(said - values) <= np.abs(values) * 2.0**-8)


@given(NUMBERS)
def test_int8_is_whole_multiples_of_one_power_of_two(values: np.ndarray):
    said = _say(values, INT8)
    largest = np.abs(values).max()
    scale = 2.0 ** np.ceil(np.log2(largest / 127)) if largest else 2.0**-1000
    whole = said / scale
    np.testing.assert_array_equal(whole, np.round(whole))
    assert np.abs(whole).max() <= 127
    assert np.all(np.abs(said - values) <= scale / 2)


@given(NUMBERS)
def test_one_bit_says_whether_a_number_is_above_zero(values: np.ndarray):
    np.testing.assert_array_equal(_say(values, BIT), np.where(values > 0, 1.0, 0.0))
    np.testing.assert_array_equal(_say(values, SIGN_BIT), np.where(values > 0, 1.0, -1.0))


@given(NUMBERS, st.sampled_from([FLOAT32, BFLOAT16, INT8, BIT, SIGN_BIT]))
def test_saying_it_again_changes_nothing(values: np.ndarray, kind: int):
    once = _say(values, kind)
    np.testing.assert_array_equal(_say(once, kind), once)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.sampled_from([BFLOAT16, INT8]))
def test_with_error_feedback_nothing_is_lost_for_good(values: list[float], kind: int):
    residual, said = np.zeros(2), np.zeros(2)
    for value in values:
        said += _say(np.array([value, 100.0]), kind, residual)
    np.testing.assert_allclose(said + residual, [sum(values), 100.0 * len(values)], atol=1e-8)
    assert np.abs(residual).max() <= 1.0


@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.sampled_from([FLOAT64, FLOAT32, BFLOAT16, INT8, BIT, SIGN_BIT]),
)
def test_what_was_said_travels_in_few_bytes_and_arrives_with_every_bit(values: np.ndarray, kind: int):
    said = _say(values, kind) if kind != FLOAT64 else values
    if kind == INT8 and not np.isfinite(said).all():
        said = np.full_like(said, np.nan)  # a level of 128 at the largest scale
    numbers = {FLOAT64: 8, FLOAT32: 4, BFLOAT16: 2, INT8: 1}.get(kind, 1 / 8) * values.size
    size = packed_size(values.size, kind)
    assert size % 8 == 0
    assert 0 <= size - numbers - 8 * (kind == INT8) < 8
    packed, received = np.full(size // 8 + 1, -1, np.int64), np.full(values.size, np.nan)
    _send(said, packed, received, kind)
    np.testing.assert_array_equal(received, said)
    assert packed[-1] == -1, "nothing is written behind it"
    if kind == FLOAT32:
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(packed[:-1].view(np.float32)[: values.size], said.astype(np.float32))


def test_values_beyond_float32_are_zero_or_infinite():
    for kind in (FLOAT32, BFLOAT16):
        np.testing.assert_array_equal(_say(np.array([1e-39, -1e-39, 1e39, -1e39]), kind), [0, 0, np.inf, -np.inf])
