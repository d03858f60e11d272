"""The gradient of the expected reward of a small team, exact by enumeration.

    J = mean over x of  sum over H_1 .. H_{L-1}, a of  P(H_1 .. H_{L-1}, a | x) R(x, a)
    dJ / dW_l = the same mean and sum of  P R h_{l-1}^T e_l        e_l = d log P(H_l) / d p_l = (H_l - m_l) / T

for teams of units with two values below an output that chooses an action, each layer reading the one below.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.study.gradients.updates import Parameters

MOST_NEURONS = 14
"""Hidden neurons whose states are enumerated at most."""
MOST_INPUTS = 12
"""Numbers of an observation whose values are enumerated at most."""


def can_enumerate(layers: Sequence[LayerSpec]) -> bool:
    """Whether a team is small enough, and its hidden units have two values."""
    hidden = layers[:-1]
    return (
        all(layer.unit_type.lowest is not None for layer in hidden) and layers[-1].unit_type.one_agent
        and sum(layer.size for layer in hidden) <= MOST_NEURONS and layers[0].fan_in <= MOST_INPUTS
        and all(layer.is_chained for layer in layers)
    )


def exact_gradient(
    layers: Sequence[LayerSpec], parameters: Parameters, observations: np.ndarray, rewards: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """The expected reward and its gradient in the parameters of each layer.

    Args:
        layers: of the team.
        parameters: of each layer.
        observations: all that there are, equally likely, float64 ``(n, fan_in)``.
        rewards: of each action, float64 ``(n, actions)``.
    """
    expected, gradient = 0.0, [np.zeros_like(array) for array in parameters]
    values = [(layer.unit_type.lowest, 1.0) for layer in layers[:-1] for _ in range(layer.size)]
    ends = np.cumsum([layer.size for layer in layers[:-1]])
    for hidden in itertools.product(*values):
        states = np.split(np.array(hidden), ends)[:-1]
        found, parts = _with_states(layers, parameters, observations, rewards, states)
        expected += found
        for total, part in zip(gradient, parts, strict=True):
            total += part
    return expected, gradient


def _with_states(
    layers: Sequence[LayerSpec], parameters: Parameters, observations: np.ndarray, rewards: np.ndarray,
    states: Sequence[np.ndarray],
) -> tuple[float, list[np.ndarray]]:
    """The part of the expected reward, and of its gradient, in which hidden units have given values."""
    count = len(observations)
    inputs, errors, probability = [], [], np.full(count, 1.0 / count)
    below = observations
    for layer, array, state in zip(layers, parameters, states, strict=False):
        inputs.append(np.hstack([below, np.ones((count, 1))]))
        mean = layer.unit_type.mean(inputs[-1] @ array, layer.function, layer.temperature)
        lowest = layer.unit_type.lowest or 0.0
        high = (mean - lowest) / (1.0 - lowest)  # the probability of the value 1
        probability = probability * np.where(state == 1.0, high, 1.0 - high).prod(1)
        errors.append((state - mean) / layer.temperature)
        below = np.tile(state, (count, 1))
    last = layers[-1]
    inputs.append(np.hstack([below, np.ones((count, 1))]))
    policy = last.unit_type.mean(inputs[-1] @ parameters[-1], last.function, last.temperature)
    value = (policy * rewards).sum(1)
    outer = policy * (rewards - value[:, None]) / last.temperature
    if last.family == "reference":
        outer[:, -1] = 0.0
    gradients = [
        below.T @ (error * (probability * value)[:, None]) for below, error in zip(inputs[:-1], errors, strict=True)
    ]
    return float(probability @ value), [*gradients, inputs[-1].T @ (outer * probability[:, None])]
