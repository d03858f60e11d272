from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import teamnet.kernels.numba_types  # noqa: F401 - compiled functions of these tests call kernels
from teamnet.kernels import functions
from teamnet.kernels.hidden import ALIASES, FUNCTIONS, applied, hidden_function, value_of
from teamnet.kernels.native import native_of

Values = tuple[np.ndarray, np.ndarray]

POTENTIALS = np.concatenate([np.linspace(-50, 50, 20_001), [0.0, -0.0, 1e-300, -1e-300, 700, -700, 1e4, -1e4]])


@numba.njit
def _exp(x, out):
    for k in range(x.size):
        out[k] = functions.exp_negative(x[k])


@numba.njit
def _log1p(x, out):
    for k in range(x.size):
        out[k] = functions.log1p_fraction(x[k])


def _compiled(name: str, p: np.ndarray) -> Values:
    """As compiled units apply a hidden function: its values and derivatives."""
    apply = native_of(f"function.{name}", applied(hidden_function(name)))
    p, value, derivative = np.array(p), np.full(p.shape, -7.0), np.full(p.shape, -7.0)
    assert apply(p.ctypes.data, value.ctypes.data, derivative.ctypes.data, p.size) == 0
    return value, derivative


def _plain(name: str, p: np.ndarray) -> Values:
    """As interpreted units and policies do."""
    with np.errstate(over="ignore", invalid="ignore"):
        value, derivative = hidden_function(name)(p)
    return value, np.broadcast_to(derivative, p.shape)


every_function = pytest.mark.parametrize("name", [*FUNCTIONS, *ALIASES])
both_forms = pytest.mark.parametrize("apply", [_compiled, _plain], ids=["compiled", "plain"])
Apply = Callable[[str, np.ndarray], Values]


@numba.njit
def _compiled_softmax(p, temperature, mean):
    functions.softmax(p, temperature, mean)


def _plain_softmax(p: np.ndarray, temperature: float, mean: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        functions.softmax(p, temperature, mean)


both_softmaxes = pytest.mark.parametrize("softmax", [_compiled_softmax, _plain_softmax], ids=["compiled", "plain"])
Softmax = Callable[[np.ndarray, float, np.ndarray], None]


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


def _expected(name: str, p: np.ndarray) -> Values:
    with np.errstate(over="ignore"):
        logistic = 1 / (1 + np.exp(-p))
        if name == "softplus":
            return np.logaddexp(0, p), logistic
        if name == "relu":
            return np.maximum(p, 0), (p >= 0).astype(float)
        if name == "linear":
            return p, np.ones_like(p)
        if name in ("logistic", "sigmoid"):
            return logistic, logistic / (1 + np.exp(p))
        if name == "leaky-relu":
            return np.maximum(p, p / 100), np.where(p >= 0, 1.0, 0.01)
        assert name == "tanh"
        return np.tanh(p), 1 / np.cosh(np.clip(p, -300, 300)) ** 2


@every_function
@both_forms
def test_hidden_functions_and_slopes(name: str, apply: Apply):
    value, slope = apply(name, POTENTIALS[None])
    expected_value, expected_slope = _expected(name, POTENTIALS[None])
    np.testing.assert_allclose(value, expected_value, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-13, atol=1e-15)


@every_function
@both_forms
def test_slopes_are_the_derivatives_of_the_functions(name: str, apply: Apply):
    p, step = np.linspace(-8, 8, 401)[None], 1e-5
    if name.endswith("relu"):
        p = p[np.abs(p) > step]  # but not at the bend
    before, after = (apply(name, p + shift)[0] for shift in (-step, step))
    np.testing.assert_allclose(apply(name, p)[1], (after - before) / (2 * step), atol=1e-9)


@both_forms
def test_the_slope_at_a_bend_is_the_one_on_the_right(apply: Apply):
    for name in ("relu", "leaky-relu"):
        value, slope = apply(name, np.array([0.0, -0.0]))
        assert (value.tolist(), slope.tolist()) == ([0.0, 0.0], [1.0, 1.0])


@every_function
def test_a_number_and_an_array_give_the_same(name: str):
    for p in (-2.5, 0.0, 1.5):
        value, slope = hidden_function(name)(p)
        array, slopes = _plain(name, np.array([p]))
        assert (float(value), float(slope)) == (array[0], slopes[0])
        assert value_of(name, np.array([p]))[0] == array[0]


def test_other_names_are_of_functions_that_are_there():
    for alias, name in ALIASES.items():
        assert alias not in FUNCTIONS
        assert hidden_function(alias) is FUNCTIONS[name] is hidden_function(name)
    with pytest.raises(KeyError):
        hidden_function("softpuls")


@both_softmaxes
def test_softmax_of_extreme_potentials(softmax: Softmax):
    p = np.array([[1e4, 0.0, -1e4], [1.0, 2.0, 3.0]])
    mean = np.empty_like(p)
    softmax(p, 2.0, mean)
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


@every_function
@both_forms
def test_hidden_functions_at_the_limits_of_float64(name: str, apply: Apply):
    p = np.concatenate([LIMITS, -LIMITS])[None]
    value, slope = apply(name, p)
    expected_value, expected_slope = _expected(name, p)
    np.testing.assert_allclose(value, expected_value, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-13, atol=1e-15)
    assert (slope >= 0.0).all()
    assert (slope <= 1.0 + 4e-16).all()


@every_function
@both_forms
def test_what_is_not_finite_is_not_hidden(name: str, apply: Apply):
    value, _ = apply(name, np.array([[np.nan, np.inf, -np.inf]]))
    ends = {
        "softplus": (np.inf, 0.0), "relu": (np.inf, 0.0), "linear": (np.inf, -np.inf), "tanh": (1.0, -1.0),
        "leaky-relu": (np.inf, -np.inf), "logistic": (1.0, 0.0), "sigmoid": (1.0, 0.0),
    }
    assert np.isnan(value[0, 0]), "a unit whose potential is no number says so"
    assert tuple(value[0, 1:]) == ends[name]


@both_softmaxes
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9), st.floats(1e-300, 1e300))
def test_softmax_of_any_numbers_is_a_distribution(softmax: Softmax, preactivations: list[float], temperature: float):
    p = np.array([preactivations])
    mean = np.empty_like(p)
    softmax(p, temperature, mean)
    assert (mean >= 0.0).all()
    assert mean.sum() == pytest.approx(1.0, rel=1e-14)
    assert mean[0, p.argmax()] == mean.max()


@both_softmaxes
def test_softmax_of_what_is_not_a_number_is_not_a_number(softmax: Softmax):
    for wrong in (np.nan, np.inf):
        p = np.array([[1.0, wrong, 0.0]])
        mean = np.empty_like(p)
        softmax(p, 1.0, mean)
        assert np.isnan(mean).any()
