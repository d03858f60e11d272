from __future__ import annotations

import numba
import numpy as np
import pytest

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
