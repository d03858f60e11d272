"""Unit types: the distribution of a unit's activation ``H`` given its preactivation ``p``.

                 mean m            m'(p)               sample                       d log P(H) / d p
    gaussian     f(p)              f'(p)               m + sqrt(v) * normal         (H - m) f'(p) / v
    categorical  softmax(p / T)    -                   one-hot                      (H - m) / T
    bernoulli    logistic(p / T)   m (1 - m) / T       1 with probability m, or 0   (H - m) / T
    sign         tanh(p / T)       (1 - m**2) / T      1 or -1, with mean m         (H - m) / T
    reference    as categorical, but with 0 as the last preactivation: no weight leads to the last category

``f`` is the hidden function, ``v`` the variance and ``T`` the temperature. A categorical or reference layer is one
agent, or several, each with a softmax of its own; in layers of the other types each neuron is an agent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from teamnet.kernels.compile import kernel
from teamnet.kernels.hidden import Function, logistic, value_of
from teamnet.kernels.memory import flat

UnitTypeName = Literal["gaussian", "categorical", "bernoulli", "sign", "reference"]
GAUSSIAN, CATEGORICAL, BERNOULLI, SIGN, REFERENCE = range(5)


@dataclass(frozen=True)
class UnitType:
    """The properties of a unit type.

    Args:
        number: its number in compiled code.
        uniform: whether samples are drawn with uniform numbers; otherwise with standard normals.
        one_agent: whether a whole layer is one agent, or a few, each of which draws one number for each row.
        lowest: the lower of the two values of an activation; ``None`` if it can have other values.
        message: dtype of samples in messages; ``None`` for that of the run.
    """

    number: int
    uniform: bool = True
    one_agent: bool = False
    lowest: float | None = None
    message: str | None = None

    @property
    def no_noise(self) -> float:
        """The noise of a unit that does not explore, which takes its mean."""
        return math.nan if self.uniform else 0.0

    def mean(
        self, preactivation: np.ndarray, function: Function, temperature: float, choices: Sequence[int] = ()
    ) -> np.ndarray:
        """``m``, of float64 arrays ``(rows, size)``.

        Args:
            preactivation: ``p``.
            function: ``f`` of Gaussian units.
            temperature: ``T`` of other units.
            choices: the categories of each agent, ``size`` in sum; of one agent if left out.
        """
        if self.lowest is not None:
            width = 1.0 - self.lowest
            return self.lowest + width * value_of("logistic", width * preactivation / temperature)
        if self.one_agent:
            return np.concatenate([
                _softmax(agent, temperature)
                for agent in np.split(self.compared(preactivation, choices), np.cumsum(choices, dtype=int)[:-1], -1)
            ], -1)
        return value_of(function, preactivation)

    def compared(self, preactivation: np.ndarray, choices: Sequence[int] = ()) -> np.ndarray:
        """The preactivation ``(rows, size)``; 0 for the last category of each agent if that is the reference."""
        if self.number != REFERENCE:
            return preactivation
        compared = preactivation.copy()
        compared[..., np.cumsum(choices or preactivation.shape[-1:]) - 1] = 0.0
        return compared


def _softmax(preactivation: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities ``(rows, categories)`` of one agent."""
    scores = np.exp((preactivation - preactivation.max(-1, keepdims=True)) / temperature)
    return scores / scores.sum(-1, keepdims=True)


UNIT_TYPES: Mapping[str, UnitType] = MappingProxyType({
    "gaussian": UnitType(GAUSSIAN, uniform=False),
    "categorical": UnitType(CATEGORICAL, one_agent=True),
    "bernoulli": UnitType(BERNOULLI, lowest=0.0, message="bit"),
    "sign": UnitType(SIGN, lowest=-1.0, message="sign"),
    "reference": UnitType(REFERENCE, one_agent=True),
})
"""All unit types by name."""
HIDDEN_TYPES = tuple(name for name, kind in UNIT_TYPES.items() if not kind.one_agent)
"""The types that hidden units can have."""
POLICY_TYPES = tuple(name for name, kind in UNIT_TYPES.items() if kind.one_agent)
"""The types that an output which chooses an action can have."""


@kernel
def expect_two_values(preactivation, temperature, lowest, mean, derivative):
    """The mean of units that are ``lowest`` or 1, and its derivative."""
    p, m, d = flat(preactivation), flat(mean), flat(derivative)
    width = 1.0 - lowest
    for j in range(p.size):
        share, slope = logistic(width * p[j] / temperature)
        m[j] = lowest + width * share
        d[j] = width * width * slope / temperature


@kernel
def sample_two_values(mean, noise, lowest, activation):
    """1 where a uniform number is below the probability, else ``lowest``; the mean where the noise is not a number."""
    h, m, u = flat(activation), flat(mean), flat(noise)
    for j in range(h.size):
        below = u[j] * (1.0 - lowest) + lowest < m[j]
        h[j] = m[j] if u[j] != u[j] else 1.0 if below else lowest
