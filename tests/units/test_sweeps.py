"""Settling by sweeps: it arrives at the most probable activations, and sooner than the published schedule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec
from teamnet.team.partition import divide_all
from teamnet.team.state import split
from tests.conftest import make_layers
from tests.team.executors import drive, local, state_of

SIZES = (4, 12, 8, 2)


def _settled(layers: list[LayerSpec], scale: float) -> dict[str, np.ndarray]:
    """The state after one step of a team whose weights are ``scale`` times their initial values."""
    executor = local([layers])
    state = state_of(executor, [layers], "layer")
    for layer in layers:
        state[f"{layer.team}.{layer.number}.incoming.value"] *= scale
    executor.restore(split(divide_all([layers], "layer", 0), state), 0)
    drive(executor, [layers], 1)
    return state_of(executor, [layers], "layer")


def _settling(layers: list[LayerSpec], schedule: str, steps: int) -> list[LayerSpec]:
    """The layers with another way to settle."""
    return [replace(layer, rule=replace(layer.rule, schedule=schedule, settle_steps=steps)) for layer in layers]


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("kind", ["actor", "critic"])
def test_many_sweeps_arrive_where_the_gradient_of_the_log_probability_is_zero(kind: str):
    family = "categorical" if kind == "actor" else "gaussian"
    sizes = SIZES if kind == "actor" else (*SIZES[:-1], 1)
    layers = make_layers(sizes, team=kind, family=family, schedule="sweeps", settle_steps=40)
    state = _settled(layers, 1.0)
    observation = np.random.default_rng(0).standard_normal((1, 4))[0]
    h = [observation, *(state[f"{kind}.{number}.activation"][0] for number in (1, 2, 3))]

    def preactivation(number: int) -> np.ndarray:
        return h[number - 1] @ state[f"{kind}.{number}.incoming.value"] + state[f"{kind}.{number}.biases.value"][0]

    errors = {}
    for layer in layers:
        p = preactivation(layer.number)
        if layer.is_last and kind == "actor":
            scores = np.exp(p / layer.temperature)
            errors[layer.number] = (h[-1] - scores / scores.sum()) / layer.temperature
        else:
            mean, slope = (p, 1.0) if layer.is_last else (np.logaddexp(0.0, p), 1 / (1 + np.exp(-p)))
            errors[layer.number] = (h[layer.number] - mean) * slope / layer.variance
    for layer in layers[:-1]:
        mean = np.logaddexp(0.0, preactivation(layer.number))
        force = (mean - h[layer.number]) / layer.variance
        force = force + errors[layer.number + 1] @ state[f"{kind}.{layer.number + 1}.incoming.value"].T
        assert np.abs(force).max() < 1e-9
        assert np.abs(h[layer.number] - mean).max() > 1e-4, "settled away from the mean"


@pytest.mark.parametrize(("scale", "sweeps", "least"), [(2.0, 2, 0.999), (3.0, 3, 0.99)])
def test_a_few_sweeps_settle_grown_weights_better_than_twenty_steps_at_once(scale: float, sweeps: int, least: float):
    layers = make_layers((4, 64, 32, 2), variance=0.04)
    found = {}
    for name, schedule, steps in (("truth", "sweeps", 200), ("sweeps", "sweeps", sweeps), ("jacobi", "jacobi", 20)):
        team = _settling(layers, schedule, steps)
        found[name] = _settled(team, scale)["actor.1.incoming.trace"]
    assert _cosine(found["sweeps"], found["truth"]) > least
    assert _cosine(found["jacobi"], found["truth"]) < _cosine(found["sweeps"], found["truth"])


@pytest.mark.parametrize("kind", ["actor", "critic"])
def test_descents_send_the_errors_of_sweeps_and_keep_the_activations_that_those_belong_to(kind: str):
    family = "categorical" if kind == "actor" else "gaussian"
    layers = make_layers((*SIZES[:-1], 2 if kind == "actor" else 1), team=kind, family=family, settle_steps=3)
    found = {
        schedule: _settled(_settling(layers, schedule, 3), 2.0)
        for schedule in ("sweeps", "descents")
    }
    before = _settled(_settling(layers, "sweeps", 2), 2.0)
    first, second = (
        [found[schedule][f"{kind}.{number}.incoming.trace"] for number in (1, 2)] for schedule in found
    )
    np.testing.assert_array_equal(first[0], second[0], "the observation times the errors")
    for number in (1, 2):
        name = f"{kind}.{number}.activation"
        np.testing.assert_array_equal(found["descents"][name], before[name], "no last way up")
    many = [_settling(layers, schedule, 20) for schedule in found]
    assert _cosine(*(_settled(its, 2.0)[f"{kind}.2.incoming.trace"] for its in many)) > 0.99999


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("variance", [0.1, 0.02])
def test_a_clamped_gaussian_output_finds_its_error_by_secant_steps(scale: float, variance: float):
    layers = make_layers((4, 64, 32, 1), team="critic", family="gaussian", variance=0.04)
    layers = [*layers[:-1], replace(layers[-1], variance=variance)]

    def answer(sweeps: int) -> float:
        """``(H - m) / v`` after so many sweeps."""
        state = _settled(_settling(layers, "sweeps", sweeps), scale)
        return float((state["critic.3.activation"] - state["critic.3.mean"]).squeeze() / variance)

    truth = answer(300)
    assert abs(answer(8) - truth) < 1e-3 * abs(truth)
