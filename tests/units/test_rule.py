"""The score and the settle force against finite differences of log-probabilities written out here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec
from teamnet.rules.map_propagation import MapPropagation
from teamnet.team.state import State
from tests.conftest import make_layers
from tests.team.executors import drive, local, state_of

_SIZES = (3, 5, 4, 2)
_STEP = 1e-6


def _mean(function: str, p: np.ndarray) -> np.ndarray:
    return {
        "softplus": lambda: np.log1p(np.exp(p)), "relu": lambda: np.maximum(p, 0), "linear": lambda: p,
        "logistic": lambda: 1 / (1 + np.exp(-p)), "sigmoid": lambda: 1 / (1 + np.exp(-p)), "tanh": lambda: np.tanh(p),
        "leaky-relu": lambda: np.maximum(p, 0.01 * p),
    }[function]()


def _log_probability(layer: LayerSpec, below: np.ndarray, own: np.ndarray, w: np.ndarray, b: np.ndarray) -> float:
    p = below @ w + b
    if layer.family == "categorical":
        scores = p / layer.temperature
        return float((own * (scores - np.log(np.exp(scores).sum()))).sum())
    if layer.family in ("bernoulli", "sign"):
        p = p / layer.temperature
        partition = np.log(1 + np.exp(p)) if layer.family == "bernoulli" else np.log(2 * np.cosh(p))
        return float((own * p - partition).sum())
    return float((-0.5 * (own - _mean(layer.function, p)) ** 2 / layer.variance).sum())


def _first_step(layers: list[LayerSpec]) -> tuple[np.ndarray, State]:
    executor = local([layers])
    drive(executor, [layers], 1)
    observation = np.random.default_rng(0).standard_normal((layers[0].rows, layers[0].fan_in))
    return observation, state_of(executor, [layers], "layer")


def _activations(layers: list[LayerSpec], observation: np.ndarray, state: State) -> list[np.ndarray]:
    return [observation[0], *(state[f"{layer.team}.{layer.number}.activation"][0] for layer in layers)]


def _inputs(layer: LayerSpec, h: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([h[source] for source in layer.sources])


def _parameters(layer: LayerSpec, state: State) -> tuple[np.ndarray, np.ndarray]:
    prefix = f"{layer.team}.{layer.number}"
    return state[f"{prefix}.incoming.value"], state[f"{prefix}.biases.value"][0]


_SKIPS = {3: (2, 0, 1)}
KINDS = {
    **{
        function: {"function": function}
        for function in ("softplus", "relu", "linear", "logistic", "tanh", "leaky-relu", "sigmoid")
    },
    "gaussian output": {"family": "gaussian"},
    "critic": {"sizes": (*_SIZES[:-1], 1), "family": "gaussian", "function": "tanh", "team": "critic"},
    "skips": {"sources": _SKIPS},
    "layers that differ": {"functions": ("tanh", "softplus"), "step_sizes": (0.3, 0.7), "sources": {2: (0, 1)}},
    "skips to a critic": {
        "sizes": (*_SIZES[:-1], 1), "family": "gaussian", "team": "critic", "sources": {2: (1, 0), 3: (1, 2)},
    },
}
TWO_VALUES = {
    "bernoulli": {"hidden_types": ("bernoulli", "bernoulli"), "schedule": "reinforce"},
    "sign": {"hidden_types": ("sign", "sign"), "schedule": "reinforce", "temperature": 0.7},
    "sign over gaussian, skips": {
        "hidden_types": ("gaussian", "sign"), "functions": ("tanh", "linear"), "schedule": "reinforce",
        "sources": _SKIPS,
    },
}


def _team(sizes: tuple[int, ...] = _SIZES, **options: Any) -> list[LayerSpec]:
    return make_layers(sizes, **options)


@pytest.mark.parametrize("options", (KINDS | TWO_VALUES).values(), ids=(KINDS | TWO_VALUES).keys())
def test_the_trace_of_the_first_step_is_the_score(options: dict[str, Any]):
    layers = _team(settle_steps=0, **options)
    observation, state = _first_step(layers)
    h = _activations(layers, observation, state)
    gate = 1.0
    if layers[0].gated:
        gate = 1 / (h[-1][0] - state["critic.3.mean"][0, 0])
    for layer in layers:
        w, b = _parameters(layer, state)
        trace = state[f"{layer.team}.{layer.number}.incoming.trace"][0]
        bias_trace = state[f"{layer.team}.{layer.number}.biases.trace"][0, 0]
        for i, j in np.ndindex(*w.shape):
            ways = []
            for sign in (1, -1):
                moved = w.copy()
                moved[i, j] += sign * _STEP
                ways.append(_log_probability(layer, _inputs(layer, h), h[layer.number], moved, b))
            score = gate * (ways[0] - ways[1]) / (2 * _STEP)
            assert trace[i, j] == pytest.approx(score, rel=1e-5, abs=1e-6 * abs(gate))
        for j in range(layer.size):
            ways = []
            for sign in (1, -1):
                moved = b.copy()
                moved[j] += sign * _STEP
                ways.append(_log_probability(layer, _inputs(layer, h), h[layer.number], w, moved))
            score = gate * (ways[0] - ways[1]) / (2 * _STEP)
            assert bias_trace[j] == pytest.approx(score, rel=1e-5, abs=1e-6 * abs(gate))


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_one_settle_step_ascends_the_joint_log_probability(options: dict[str, Any]):
    still, moving = _team(settle_steps=0, **options), _team(settle_steps=1, **options)
    observation, before = _first_step(still)
    _, after = _first_step(moving)
    h = _activations(still, observation, before)
    for layer in still[:-1]:
        name = f"{layer.team}.{layer.number}.activation"
        assert isinstance(layer.rule, MapPropagation)
        force = (after[name][0] - before[name][0]) / (layer.rule.step_size * layer.variance)
        for j in range(layer.size):
            ways = []
            for sign in (1, -1):
                moved = [values.copy() for values in h]
                moved[layer.number][j] += sign * _STEP
                ways.append(sum(
                    _log_probability(its, _inputs(its, moved), moved[its.number], *_parameters(its, before))
                    for its in still
                ))
            assert force[j] == pytest.approx((ways[0] - ways[1]) / (2 * _STEP), rel=1e-5, abs=1e-5)
