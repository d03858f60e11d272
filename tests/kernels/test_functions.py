from __future__ import annotations

from decimal import Context, Decimal

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.kernels import functions
from teamnet.kernels.constants import HIDDEN_FUNCTIONS

POTENTIALS = np.concatenate([np.linspace(-50, 50, 20_001), [0.0, -0.0, 1e-300, -1e-300, 700, -700, 1e4, -1e4]])


@numba.njit
def _exp(x, out):
    for k in range(x.size):
        out[k] = functions.exp_negative(x[k])


@numba.njit
def _log1p(x, out):
    for k in range(x.size):
        out[k] = functions.log1p_fraction(x[k])


@numba.njit
def _mean_and_slope(code, p, mean, slope):
    functions.mean_and_slope(code, p, mean, slope)


@numba.njit
def _softmax(p, temperature, mean):
    functions.softmax(p, temperature, mean)


def test_exp_is_within_two_units_in_the_last_place():
    x = -np.concatenate([np.linspace(0, 707, 100_001), np.logspace(-20, 2, 1000)])
    out = np.empty_like(x)
    _exp(x, out)
    assert np.abs(out / np.exp(x) - 1).max() < 5e-16


def test_exp_below_the_smallest_normal_number_is_zero():
    x = np.array([-708.5, -745.0, -1e6, -np.inf])
    out = np.ones(4)
    _exp(x, out)
    assert np.array_equal(out, np.zeros(4))


def test_log1p_is_within_three_units_in_the_last_place():
    x = np.concatenate([np.linspace(1e-6, 1, 100_001), np.logspace(-300, 0, 1000)])
    out = np.empty_like(x)
    _log1p(x, out)
    assert np.abs(out / np.log1p(x) - 1).max() < 7e-16


def _expected(name: str, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(over="ignore"):
        logistic = 1 / (1 + np.exp(-p))
        if name == "softplus":
            return np.logaddexp(0, p), logistic
        if name == "relu":
            return np.maximum(p, 0), (p >= 0).astype(float)
        if name == "linear":
            return p, np.ones_like(p)
        if name == "logistic":
            return logistic, logistic / (1 + np.exp(p))
        return np.tanh(p), 1 / np.cosh(np.clip(p, -300, 300)) ** 2


@pytest.mark.parametrize("name", HIDDEN_FUNCTIONS)
def test_hidden_functions_and_slopes(name: str):
    p = POTENTIALS[None]
    mean, slope = np.empty_like(p), np.empty_like(p)
    _mean_and_slope(HIDDEN_FUNCTIONS[name], p, mean, slope)
    expected_mean, expected_slope = _expected(name, p)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in HIDDEN_FUNCTIONS if name != "relu"])
def test_slopes_are_the_derivatives_of_the_functions(name: str):
    p, step = np.linspace(-8, 8, 401)[None], 1e-5
    means = []
    slope = np.empty_like(p)
    for shift in (-step, 0.0, step):
        mean = np.empty_like(p)
        _mean_and_slope(HIDDEN_FUNCTIONS[name], p + shift, mean, slope if shift == 0 else np.empty_like(p))
        means.append(mean)
    np.testing.assert_allclose(slope, (means[2] - means[0]) / (2 * step), atol=1e-9)


def test_softmax_of_extreme_potentials():
    p = np.array([[1e4, 0.0, -1e4], [1.0, 2.0, 3.0]])
    mean = np.empty_like(p)
    _softmax(p, 2.0, mean)
    scores = np.exp((p - p.max(1, keepdims=True)) / 2)
    np.testing.assert_allclose(mean, scores / scores.sum(1, keepdims=True), rtol=1e-14)


EXACT = Context(prec=60, Emax=10**9, Emin=-(10**9))
TINIEST = float(np.finfo(float).tiny)  # the smallest normal number
LIMITS = np.array([
    0.0, 5e-324, TINIEST, 1e-300, 1e-16, 36.0, 37.0, 707.9, 708.0, 708.1, 709.8, 745.2, 1e16, np.finfo(float).max
])
NEGATIVE = st.floats(max_value=0.0, allow_nan=False, allow_subnormal=True)


@given(NEGATIVE)
def test_exp_at_every_negative_number_is_exact_or_below_the_smallest_normal_number(x: float):
    out = np.empty(1)
    _exp(np.array([x]), out)
    exact = Decimal(0) if x == -np.inf else EXACT.exp(Decimal(x))
    assert abs(Decimal(out[0]) - exact) <= Decimal("5e-16") * exact + Decimal(TINIEST) * 2
    assert out[0] == 0.0 or out[0] >= TINIEST, "never a subnormal number, which costs a hundred times the time"


@given(st.floats(0.0, 1.0, allow_subnormal=True))
def test_log1p_at_every_fraction(u: float):
    out = np.empty(1)
    _log1p(np.array([u]), out)
    tiny = u < 1e-20  # where the series needs fewer digits than the sum
    exact = Decimal(u) - Decimal(u) ** 2 / 2 if tiny else EXACT.ln(EXACT.add(Decimal(1), Decimal(u)))
    assert abs(Decimal(out[0]) - exact) <= Decimal("7e-16") * exact + Decimal("5e-324")


@pytest.mark.parametrize("name", HIDDEN_FUNCTIONS)
def test_hidden_functions_at_the_limits_of_float64(name: str):
    p = np.concatenate([LIMITS, -LIMITS])[None]
    mean, slope = np.empty_like(p), np.empty_like(p)
    _mean_and_slope(HIDDEN_FUNCTIONS[name], p, mean, slope)
    expected_mean, expected_slope = _expected(name, p)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-13, atol=1e-15)
    assert (slope >= 0.0).all()
    assert (slope <= 1.0 + 4e-16).all()


@pytest.mark.parametrize("name", HIDDEN_FUNCTIONS)
def test_what_is_not_finite_is_not_hidden(name: str):
    p = np.array([[np.nan, np.inf, -np.inf]])
    mean, slope = np.empty_like(p), np.empty_like(p)
    _mean_and_slope(HIDDEN_FUNCTIONS[name], p, mean, slope)
    ends = {"softplus": (np.inf, 0.0), "relu": (np.inf, 0.0), "linear": (np.inf, -np.inf), "tanh": (1.0, -1.0)}
    assert np.isnan(mean[0, 0]), "a unit whose potential is no number says so"
    assert tuple(mean[0, 1:]) == ends.get(name, (1.0, 0.0))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9), st.floats(1e-300, 1e300))
def test_softmax_of_any_numbers_is_a_distribution(potentials: list[float], temperature: float):
    p = np.array([potentials])
    mean = np.empty_like(p)
    _softmax(p, temperature, mean)
    assert (mean >= 0.0).all()
    assert mean.sum() == pytest.approx(1.0, rel=1e-14)
    assert mean[0, p.argmax()] == mean.max()


def test_softmax_of_what_is_not_a_number_is_not_a_number():
    for wrong in (np.nan, np.inf):
        p = np.array([[1.0, wrong, 0.0]])
        mean = np.empty_like(p)
        _softmax(p, 1.0, mean)
        assert np.isnan(mean).any()
