"""Backpropagation's traces against finite differences of what the team computes, written out here."""

from __future__ import annotations

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec
from teamnet.team.partition import divide_all
from teamnet.units.streams import KeyedNoise
from tests.conftest import make_layers
from tests.team.executors import drive, local, state_of

_STEP = 1e-6
_FUNCTIONS = {"softplus": lambda p: np.logaddexp(0.0, p), "tanh": np.tanh}
Parameters = dict[tuple[int, str], np.ndarray]


def _potential(layers: list[LayerSpec], observation: np.ndarray, noise: list[np.ndarray], at: Parameters) -> np.ndarray:
    """The output's potential with the noise of hidden units held: ``H_l = m_l + sqrt(v_l) noise_l``."""
    h = observation
    for layer, drawn in zip(layers, noise, strict=True):
        p = h @ at[layer.number, "incoming"] + at[layer.number, "biases"]
        h = p if layer.is_last else _FUNCTIONS[layer.function](p) + np.sqrt(layer.variance) * drawn
    return h


def _log_softmax(p: np.ndarray) -> np.ndarray:
    return p - np.log(np.exp(p).sum())


@pytest.mark.parametrize("exploration", [0.0, 1.0], ids=["deterministic", "reparametrized"])
@pytest.mark.parametrize(
    ("team", "family", "function"),
    [("actor", "categorical", "softplus"), ("actor", "gaussian", "tanh"), ("critic", "gaussian", "softplus")],
)
def test_the_trace_is_the_gradient(team: str, family: str, function: str, exploration: float):
    sizes = (3, 5, 4, 1 if team == "critic" else 2)
    entropy = 0.5 if family == "categorical" else 0.0
    layers = make_layers(
        sizes, team=team, family=family, function=function, schedule="chain", exploration=exploration, entropy=entropy
    )
    executor = local([layers], "block:3")
    drive(executor, [layers], 1)
    state = state_of(executor, [layers], "block:3")
    observation = np.random.default_rng(0).standard_normal((1, 3))[0]
    noise = [KeyedNoise(unit).block(1)[0, 0] for unit in divide_all([layers], "layer", 0)]
    at = {
        (layer.number, group): state[f"{team}.{layer.number}.{group}.value"] for layer in layers
        for group in ("incoming", "biases")
    }
    output = state[f"{team}.3.activation"][0]
    top = layers[-1]

    def objectives(at: Parameters) -> tuple[float, float]:
        """What the trace and what the bonus ascend: the log-probability or the value, and the entropy."""
        p = _potential(layers, observation, noise, at).ravel()
        if team == "critic":
            return float(p[0] / top.variance), 0.0
        if family == "gaussian":
            return float((-0.5 * (output - p) ** 2 / top.variance).sum()), 0.0
        logarithms = _log_softmax(p / top.temperature)
        return float(output @ logarithms), float(-np.exp(logarithms) @ logarithms)

    for (number, group), value in at.items():
        for place in np.ndindex(*value.shape):
            ways = []
            for sign in (1, -1):
                moved = value.copy()
                moved[place] += sign * _STEP
                ways.append(objectives(at | {(number, group): moved}))
            trace, bonus = (np.array(ways[0]) - np.array(ways[1])) / (2 * _STEP)
            prefix = f"{team}.{number}.{group}"
            assert state[f"{prefix}.trace"][0][place] == pytest.approx(trace, rel=1e-4, abs=1e-6)
            if entropy:
                assert state[f"{prefix}.bonus"][place] == pytest.approx(bonus, rel=1e-4, abs=1e-7)


def test_entropy_regularisation_is_added_to_the_gradient():
    plain, regular = (
        [make_layers((3, 5, 2), schedule="chain", exploration=0.0, entropy=entropy)] for entropy in (1e-300, 0.7)
    )
    without, with_entropy = local(plain), local(regular)
    for executor, teams in ((without, plain), (with_entropy, regular)):
        drive(executor, teams, 1)
    bonus = state_of(with_entropy, regular, "layer")["actor.1.incoming.bonus"]
    for executor, teams in ((without, plain), (with_entropy, regular)):
        drive(executor, teams, 1, first=1)
    first, second = state_of(without, plain, "layer"), state_of(with_entropy, regular, "layer")
    difference = second["actor.1.incoming.first"] - first["actor.1.incoming.first"]
    np.testing.assert_allclose(difference, 0.1 * 0.7 * bonus, rtol=1e-9, atol=1e-15)
