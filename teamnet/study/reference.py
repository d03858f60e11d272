"""The rule in plain NumPy, a whole layer at a time with BLAS: the readable oracle and the reference of the benchmark.

It reads the next layer's weights where a unit reads its mirror, and Adam is as in the official code. It shares no code
with the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.rules.map_propagation import MapPropagation


def _logistic(p: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-p))


_FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "softplus": (lambda p: np.logaddexp(0.0, p), _logistic),
    "relu": (lambda p: np.maximum(p, 0.0), lambda p: (p >= 0).astype(float)),
    "linear": (lambda p: p, np.ones_like),
    "logistic": (_logistic, lambda p: _logistic(p) * (1 - _logistic(p))),
    "tanh": (np.tanh, lambda p: 1.0 - np.tanh(p) ** 2),
}


def _function(layer: LayerSpec) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    assert isinstance(layer.function, str), "the reference does not support a user's own function"
    return _FUNCTIONS[layer.function]


def _agents(layer: LayerSpec, array: np.ndarray) -> list[np.ndarray]:
    """The categories of each agent of a categorical layer, of an array ``(rows, size)``."""
    return np.split(array, np.cumsum(layer.choices)[:-1], axis=-1)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _settling(layer: LayerSpec) -> MapPropagation:
    assert isinstance(layer.rule, MapPropagation), "the reference supports MAP propagation only"
    return layer.rule


class ReferenceTeam:
    """One team, all layers in one object.

    Args:
        layers: of the team.
        weights: ``(in, out)`` of every layer.
        biases: ``(out,)`` of every layer.
    """

    def __init__(
        self, layers: Sequence[LayerSpec], weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]
    ) -> None:
        self.layers = layers
        self.parameters = [np.vstack([w, b]) for w, b in zip(weights, biases, strict=True)]
        rows = layers[0].rows
        self.traces = [np.zeros((0 if layers[0].single_step else rows, *p.shape)) for p in self.parameters]
        self._moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters]
        self._updates = 0
        self.activations: list[np.ndarray] = []
        self.preactivations: list[np.ndarray] = []
        self.means: list[np.ndarray] = []

    def _inputs(self, number: int) -> np.ndarray:
        """The activations that a layer reads, concatenated."""
        return np.hstack([self.activations[source] for source in self.layers[number].sources])

    def _feedback(self, number: int) -> np.ndarray:
        """The errors of all layers that read a layer, times their weights."""
        feedback = np.zeros_like(self.means[number])
        for reader in self.layers[number].readers:
            rows = slice(reader.first, reader.first + self.layers[number].size)
            feedback += self.error(reader.number - 1) @ self.parameters[reader.number - 1][rows].T
        return feedback

    def _predict(self, number: int) -> None:
        layer, parameters = self.layers[number], self.parameters[number]
        preactivation = self._inputs(number) @ parameters[:-1] + parameters[-1]
        self.preactivations[number] = preactivation
        if layer.family == "categorical":
            self.means[number] = np.hstack([
                _softmax(agent / layer.temperature) for agent in _agents(layer, preactivation)
            ])
        else:
            self.means[number] = _function(layer)[0](preactivation)

    def error(self, number: int) -> np.ndarray:
        """``e_l (rows, size)``."""
        layer = self.layers[number]
        difference = self.activations[number + 1] - self.means[number]
        if layer.family == "categorical":
            return difference / layer.temperature
        return difference * _function(layer)[1](self.preactivations[number]) / layer.variance

    def act(self, observation: np.ndarray, noise: Sequence[np.ndarray]) -> np.ndarray:
        """Sample all layers; ``noise`` has normals ``(rows, size)``, for categorical layers uniforms of each agent."""
        self.activations = [observation]
        self.preactivations, self.means = [np.zeros(0)] * len(self.layers), [np.zeros(0)] * len(self.layers)
        for number, layer in enumerate(self.layers):
            self._predict(number)
            mean = self.means[number]
            if layer.family == "categorical":
                self.activations.append(np.hstack([
                    np.eye(agent.shape[1])[(noise[number][:, [k]] >= agent.cumsum(-1)[:, :-1]).sum(-1)]
                    for k, agent in enumerate(_agents(layer, mean))
                ]))
            else:
                self.activations.append(mean + np.sqrt(layer.variance) * noise[number])
        return self.activations[-1]

    def learn(self, delta: np.ndarray, step: int) -> None:
        """REINFORCE with the TD error ``(rows,)`` and the traces of the previous step."""
        self._ascend([(trace * delta[:, None, None]).mean(0) for trace in self.traces], step)

    def learn_at_once(self, reward: np.ndarray, step: int) -> None:
        """REINFORCE with the reward ``(rows,)`` of the same step, in a task of one step."""
        rows, gradients = len(reward), []
        for number in range(len(self.layers)):
            error = self.error(number) * (reward / rows)[:, None]
            gradients.append(np.vstack([self._inputs(number).T @ error, error.sum(0)]))
        self._ascend(gradients, step)

    def _ascend(self, gradients: Sequence[np.ndarray], step: int) -> None:
        """One step of Adam."""
        self._updates += 1
        first_left, second_left = (0.9**self._updates, 0.999**self._updates) if self._updates < 1000 else (0.0, 0.0)
        for layer, parameters, gradient, (first, second) in zip(
            self.layers, self.parameters, gradients, self._moments, strict=True
        ):
            first *= 0.9
            first += 0.1 * gradient
            second *= 0.999
            second += 0.001 * gradient**2
            rate = layer.rate.end
            if layer.rate.steps:
                done = min(step, layer.rate.steps) / layer.rate.steps
                rate = layer.rate.start + (layer.rate.end - layer.rate.start) * done
            parameters += rate * (first / (1 - first_left)) / (np.sqrt(second / (1 - second_left)) + 1e-9)

    def settle(self) -> None:
        """All settle steps, each of which updates every hidden layer from the previous state."""
        last = len(self.layers) - 1
        for _ in range(_settling(self.layers[0]).settle_steps):
            gradients = [
                (self.means[number] - self.activations[number + 1]) / self.layers[number].variance
                + self._feedback(number)
                for number in range(last)
            ]
            for number, gradient in enumerate(gradients):
                step = _settling(self.layers[number]).step_size * self.layers[number].variance
                self.activations[number + 1] = self.activations[number + 1] + step * gradient
            for number in range(last + 1):
                self._predict(number)

    def trace(self, keep: np.ndarray) -> None:
        """Accumulate the traces; ``keep (rows,)`` is 0 where an episode has just begun."""
        gate = 1.0
        if self.layers[-1].gated:
            gate = 1.0 / (self.activations[-1] - self.means[-1])[:, :1]
        for number, layer in enumerate(self.layers):
            inputs = np.hstack([self._inputs(number), np.ones((layer.rows, 1))])
            score = inputs[:, :, None] * (self.error(number) * gate)[:, None, :]
            self.traces[number] = layer.trace_decay * keep[:, None, None] * self.traces[number] + score
