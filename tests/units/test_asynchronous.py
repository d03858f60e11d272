"""Asynchronous MAP propagation, ticked, against the docstring of its schedule written out in plain NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec, Rate, UnitSpec, linked
from teamnet.team.executor import OutputReader
from teamnet.team.state import State
from teamnet.units.streams import KeyedNoise, initial_weights
from tests.conftest import make_layers
from tests.team.executors import local, state_of

_ROWS = 2
_ADAM = 0.9, 0.999, 1e-9
ACTOR = make_layers((3, 5, 4, 3), rows=_ROWS, schedule="ticks", acting_steps=3, settle_steps=4)
CONTINUOUS = make_layers((3, 5, 4, 2), family="gaussian", rows=_ROWS, schedule="ticks", acting_steps=3, settle_steps=2)
CRITIC = make_layers(
    (3, 5, 4, 1), team="critic", family="gaussian", rows=_ROWS, schedule="ticks", acting_steps=3, settle_steps=4
)
ALONE = make_layers((3, 2), rows=_ROWS, schedule="ticks", acting_steps=2, settle_steps=3)


class Plain:
    """A team whose every layer reads the weights above instead of a mirror; arrays ``(rows, size)`` by layer number."""

    def __init__(self, layers: list[LayerSpec], steps: int) -> None:
        self.layers = layers
        self.last = len(layers)
        self.w = {its.number: initial_weights(its, its.number, its.fan_in, its.size, 0) for its in layers}
        self.b = {its.number: np.zeros(its.size) for its in layers}
        self.h = {its.number: np.zeros((_ROWS, its.size)) for its in layers}
        self.z = {its.number: np.zeros((_ROWS, its.fan_in + 1, its.size)) for its in layers}
        self.moments = {its.number: np.zeros((2, its.fan_in + 1, its.size)) for its in layers}
        self.m, self.e, self.slope = {}, {}, {}
        self.updates = 0
        output = layers[-1]
        self.noise = iter(KeyedNoise(UnitSpec(output, 0, output.size, 0)).block(steps * output.rule.draws(output)))
        self.value = np.zeros(_ROWS)

    def look(self, number: int) -> None:
        """The mean from the newest activations below."""
        p = self.h[number - 1] @ self.w[number] + self.b[number]
        layer = self.layers[number - 1]
        self.slope[number] = np.ones_like(p)
        if layer.family == "categorical":
            scores = np.exp(p / layer.temperature)
            self.m[number] = scores / scores.sum(axis=1, keepdims=True)
        elif layer.is_last:
            self.m[number] = p
        else:
            self.m[number], self.slope[number] = np.logaddexp(0.0, p), 1 / (1 + np.exp(-p))

    def find_error(self, number: int) -> None:
        layer, off = self.layers[number - 1], self.h[number] - self.m[number]
        if layer.family == "categorical":
            self.e[number] = off / layer.temperature
        else:
            self.e[number] = off * self.slope[number] / layer.variance

    def settle(self) -> None:
        """All hidden layers at once, from the errors of the tick before."""
        for layer in self.layers[:-1]:
            n, v = layer.number, layer.variance
            moved = 0.5 * v * ((self.m[n] - self.h[n]) / v + self.e[n + 1] @ self.w[n + 1].T)
            self.h[n] = self.h[n] + moved
        for number in range(1, self.last):
            self.look(number)
            self.find_error(number)

    def resample(self, expecting: bool) -> None:
        output = self.layers[-1]
        self.look(self.last)
        mean = self.m[self.last]
        if expecting:
            now = mean
        elif output.family == "categorical":
            chosen = (np.cumsum(mean, axis=1) <= next(self.noise)).sum(axis=1)
            now = np.eye(output.size)[np.minimum(chosen, output.size - 1)]
        else:
            now = mean + np.sqrt(output.variance) * next(self.noise)
        if not expecting:
            self.value = mean[:, 0]
        self.h[self.last] = now
        self.find_error(self.last)

    def act(self, observation: np.ndarray, keep: np.ndarray) -> None:
        self.h[0] = observation
        for number in range(1, self.last + 1):
            self.h[number] = np.where(keep[:, None] == 0, 0.0, self.h[number])
        for number in range(1, self.last + 1):
            self.look(number)
            self.find_error(number)
        for k in range(1, self.layers[0].rule.acting_steps + 1):
            self.settle()
            self.resample(expecting=self.layers[0].gated and k < self.layers[0].rule.acting_steps)

    def learn(self, delta: np.ndarray, keep: np.ndarray, step: int) -> None:
        if step > 0:
            self.updates += 1
            for layer in self.layers:
                self.ascend(layer, np.einsum("r,rij->ij", delta, self.z[layer.number]) / _ROWS, step)
        for layer in self.layers:
            self.z[layer.number] *= layer.trace_decay * keep[:, None, None]
        for _ in range(self.layers[0].rule.settle_steps):
            self.settle()
            self.look(self.last)
            self.find_error(self.last)
        for layer in self.layers:
            self.accumulate(layer.number)

    def accumulate(self, number: int) -> None:
        e = self.e[number]
        if self.layers[0].gated:
            e = e / (self.h[self.last] - self.m[self.last])
        below = np.concatenate([self.h[number - 1], np.ones((_ROWS, 1))], axis=1)
        self.z[number] += below[:, :, None] * e[:, None, :]

    def ascend(self, layer: LayerSpec, gradient: np.ndarray, step: int) -> None:
        beta1, beta2, epsilon = _ADAM
        first, second = self.moments[layer.number]
        first[:] = beta1 * first + (1 - beta1) * gradient
        second[:] = beta2 * second + (1 - beta2) * gradient**2
        rate = layer.rate.start + (layer.rate.end - layer.rate.start) * min(step, layer.rate.steps) / layer.rate.steps
        n = self.updates
        moved = rate * (first / (1 - beta1**n)) / (np.sqrt(second / (1 - beta2**n)) + epsilon)
        self.w[layer.number] = self.w[layer.number] + moved[:-1]
        self.b[layer.number] = self.b[layer.number] + moved[-1]


def _drive(layers: list[LayerSpec], keeps: list[np.ndarray]) -> tuple[Plain, State, np.ndarray | None]:
    """The same steps by hand and by the kernels."""
    plain, executor = Plain(layers, len(keeps)), local([layers])
    generator = np.random.default_rng(3)
    for step, keep in enumerate(keeps):
        observation, delta = generator.standard_normal((_ROWS, 3)), generator.standard_normal(_ROWS)
        executor.act(observation, keep)
        plain.act(observation, keep)
        executor.learn(delta)
        plain.learn(delta, keep, step)
    value = OutputReader(executor.board).value(0).copy() if layers[0].gated else None
    return plain, state_of(executor, [layers], "layer"), value


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers", [ACTOR, CONTINUOUS, CRITIC, ALONE], ids=["actor", "continuous", "critic", "alone"])
@pytest.mark.parametrize("keep", [(1.0, 1.0), (0.0, 1.0)], ids=["going on", "a new episode"])
def test_it_is_the_rule_of_the_docstring(layers: list[LayerSpec], keep: tuple[float, float]):
    keeps = [np.zeros(_ROWS), np.array(keep), np.ones(_ROWS)]
    plain, state, value = _drive(layers, keeps)
    for layer in layers:
        n, prefix = layer.number, f"{layer.team}.{layer.number}"
        _close(state[f"{prefix}.activation"], plain.h[n])
        _close(state[f"{prefix}.mean"], plain.m[n])
        _close(state[f"{prefix}.incoming.trace"], plain.z[n][:, :-1])
        _close(state[f"{prefix}.biases.trace"], plain.z[n][:, -1:])
        _close(state[f"{prefix}.incoming.value"], plain.w[n])
        _close(state[f"{prefix}.biases.value"][0], plain.b[n])
        assert np.abs(plain.w[n] - initial_weights(layer, n, layer.fan_in, layer.size, 0)).max() > 1e-4, "it learned"
    if value is not None:
        _close(value, plain.value)


@pytest.mark.parametrize("layers", [ACTOR, CRITIC], ids=["actor", "critic"])
def test_a_new_episode_forgets_values_and_traces(layers: list[LayerSpec]):
    frozen = linked(layers[0].fan_in, [replace(layer, rate=Rate(0.0, 0.0)) for layer in layers])
    states = []
    for history in (1, 2):
        executor = local([frozen])
        generator = np.random.default_rng(history)
        executor.act(generator.standard_normal((_ROWS, 3)), np.zeros(_ROWS))
        executor.learn(np.ones(_ROWS))
        executor.act(np.ones((_ROWS, 3)), np.array([0.0, 1.0]))
        executor.learn(np.ones(_ROWS))
        states.append(state_of(executor, [frozen], "layer"))
    for layer in layers:
        for name in ("activation", "mean", "incoming.trace", "biases.trace"):
            one, other = (state[f"{layer.team}.{layer.number}.{name}"] for state in states)
            assert np.array_equal(one[0], other[0]), "nothing is left of what was before"
        assert not np.array_equal(*(state[f"{layer.team}.{layer.number}.incoming.trace"][1] for state in states))
