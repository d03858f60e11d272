"""A trained team's policy, for use without units: NumPy on the parameters of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from teamnet.spec.layers import LayerSpec


def _logistic(p: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * p))


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softplus": lambda p: np.logaddexp(0.0, p),
    "relu": lambda p: np.maximum(p, 0.0),
    "linear": lambda p: p,
    "logistic": _logistic,
    "tanh": np.tanh,
}


class Policy:
    """The distribution of a team's output given an observation.

    Args:
        layers: of the team, from the observation upwards.
        state: arrays by ``team.layer.name`` as in a checkpoint.
        seed: of the samples.
    """

    def __init__(self, layers: Sequence[LayerSpec], state: Mapping[str, np.ndarray], seed: int = 0) -> None:
        self._layers = layers
        self._weights = [state[f"{layer.team}.{layer.number}.incoming.value"] for layer in layers]
        self._biases = [state[f"{layer.team}.{layer.number}.biases.value"][0] for layer in layers]
        self._generator = np.random.default_rng(seed)

    def act(self, observation: np.ndarray, *, greedy: bool) -> np.ndarray:
        """The output ``(rows, size)`` for observations ``(rows, observation)``.

        Args:
            observation: float64.
            greedy: every unit takes its mean, a categorical one its likeliest action, instead of a sample.
        """
        activation = observation
        for layer, weights, bias in zip(self._layers, self._weights, self._biases, strict=True):
            potential = activation @ weights + bias
            if layer.family == "categorical":
                scores = potential / layer.temperature
                if not greedy:
                    scores = scores + self._generator.gumbel(size=scores.shape)
                activation = np.eye(layer.size)[scores.argmax(axis=-1)]
            else:
                activation = _FUNCTIONS[layer.function](potential)
                if not greedy:
                    activation = activation + np.sqrt(layer.variance) * self._noise(layer, potential.shape)
        return activation

    def _noise(self, layer: LayerSpec, shape: tuple[int, ...]) -> np.ndarray:
        """Standard normals where a unit explores; units that never stop settling have none of their own."""
        noise = self._generator.standard_normal(shape)
        exploring = 0.0 if layer.schedule == "ticks" else layer.exploring
        if layer.is_last or exploring == 1.0:
            return noise
        return noise * (self._generator.random(shape) < exploring)
