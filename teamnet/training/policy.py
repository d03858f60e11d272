"""A trained team's policy, for use without units: NumPy on the parameters of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from teamnet.dataflow.layers import LayerSpec


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

    def act(self, observation: np.ndarray, *, greedy: bool, valid: np.ndarray | None = None) -> np.ndarray:
        """The output ``(rows, size)`` for observations ``(rows, observation)``.

        Args:
            observation: float64.
            greedy: every unit takes its mean, an output that chooses its most probable action, instead of a sample.
            valid: ``(rows, size)``, 1 or true for each valid action of an output that chooses; all if left out.
        """
        activation, activations = observation, [observation]
        for layer, weights, bias in zip(self._layers, self._weights, self._biases, strict=True):
            preactivation = np.hstack([activations[source] for source in layer.sources]) @ weights + bias
            if layer.unit_type.one_agent:
                scores = layer.unit_type.compared(preactivation, layer.choices) / layer.temperature
                if not greedy:
                    scores = scores + self._generator.gumbel(size=scores.shape)
                if layer.is_last and valid is not None:
                    scores = np.where(valid, scores, -np.inf)
                activation = _one_hot(scores, layer.choices)
            else:
                activation = layer.unit_type.mean(preactivation, layer.function, layer.temperature)
                if not greedy:
                    activation = self._sampled(layer, activation)
                elif layer.is_last and (lowest := layer.unit_type.lowest) is not None:
                    activation = np.where(activation > (1.0 + lowest) / 2, 1.0, lowest)
            activations.append(activation)
        return activation

    def _sampled(self, layer: LayerSpec, mean: np.ndarray) -> np.ndarray:
        """A sample where a unit explores, elsewhere its mean; units that never stop settling have no noise."""
        lowest = layer.unit_type.lowest
        if lowest is None:
            sampled = mean + np.sqrt(layer.variance) * self._generator.standard_normal(mean.shape)
        else:
            sampled = np.where(lowest + (1.0 - lowest) * self._generator.random(mean.shape) < mean, 1.0, lowest)
        exploration = layer.exploration if layer.rule.draws(layer) else 0.0
        if layer.is_last or exploration == 1.0:
            return sampled
        return np.where(self._generator.random(mean.shape) < exploration, sampled, mean)


def _one_hot(scores: np.ndarray, choices: Sequence[int]) -> np.ndarray:
    """1 for the highest score ``(rows, size)`` of each agent's categories, else 0."""
    agents = np.split(scores, np.cumsum(choices)[:-1], axis=-1)
    return np.hstack([np.eye(size)[agent.argmax(axis=-1)] for size, agent in zip(choices, agents, strict=True)])
