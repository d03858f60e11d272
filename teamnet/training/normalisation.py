"""Observations and rewards as a team gets them: by a given scale, or by running means, which checkpoints keep.

    scale          o * scale
    observation    (o - mean) / sqrt(variance + 1e-8), of all observations so far, of all environments
    reward         r / sqrt(variance + 1e-8) of the discounted sums G <- discount G + r, anew in an episode

The means are those of Gymnasium's ``NormalizeObservation`` and ``NormalizeReward``, with its ``RunningMeanStd``, but
with one mean for all environments of a run, and with the returns that are reported left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.wrappers.utils import RunningMeanStd

from teamnet.errors import shown
from teamnet.spec.run import RunSpec

_EPSILON = 1e-8
_PARTS = ("mean", "var", "count")


class Normalisation:
    """The scale and the running means of a run.

    Args:
        spec: says what is scaled and normalised.
        observation_size: numbers in an observation.
    """

    def __init__(self, spec: RunSpec, observation_size: int) -> None:
        self._discount = spec.discount
        self._scale = np.array(spec.observation_scale) if spec.observation_scale else None
        self._largest = np.finfo(np.float64).max / max((1.0, *spec.observation_scale))
        self._observations = _moments((observation_size,)) if spec.normalise_observations else None
        self._rewards = _moments(()) if spec.normalise_rewards else None
        self._sums = np.zeros(spec.num_envs)

    def are_finite(self, observations: np.ndarray) -> bool:
        """Whether observations ``(rows, size or more)`` are finite, and stay so when they are scaled."""
        if self._scale is None:
            return bool(np.isfinite(observations).all())
        return bool((np.abs(observations) <= self._largest).all())

    def observe(self, observations: np.ndarray) -> None:
        """Scale or normalise observations ``(rows, size)`` in place, after they have changed the means."""
        if self._observations is not None:
            self._observations.update(observations)
        if self._observations is not None or self._scale is not None:
            observations[:] = self.normalised(observations)

    def normalised(self, observations: np.ndarray) -> np.ndarray:
        """Observations ``(rows, size)`` by the scale, or by the present means."""
        moments = self._observations
        if moments is not None:
            return (observations - moments.mean) / np.sqrt(moments.var + _EPSILON)
        return observations if self._scale is None else observations * self._scale

    def reward(self, rewards: np.ndarray, keep: np.ndarray) -> None:
        """Normalise rewards ``(rows,)`` in place; ``keep`` is 0 in the rows whose episode has just begun."""
        if self._rewards is None:
            return
        begins = keep == 0.0
        self._sums = np.where(begins, 0.0, self._discount * self._sums + rewards)
        if not begins.all():
            self._rewards.update(self._sums[~begins])
        rewards /= np.sqrt(self._rewards.var + _EPSILON)

    def state(self) -> dict[str, Any]:
        """The means as JSON types; empty if nothing is normalised."""
        found = {"observations": self._observations, "rewards": self._rewards}
        state: dict[str, Any] = {
            name: {part: np.asarray(getattr(moments, part)).tolist() for part in _PARTS}
            for name, moments in found.items() if moments is not None
        }
        return {**state, "sums": self._sums.tolist()} if state else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned.

        Raises:
            ValueError: it is something else; some such values raise ``KeyError`` or ``TypeError``.
        """
        if set(state) != set(self.state()):
            raise ValueError(f"running means of {shown(sorted(state))}")
        for name, moments in (("observations", self._observations), ("rewards", self._rewards)):
            if moments is not None:
                for part in _PARTS:
                    value = np.array(state[name][part], np.float64)
                    if value.shape != np.shape(getattr(moments, part)) or not np.isfinite(value).all():
                        raise ValueError(f"{shown(state[name][part])} as the {part} of {name}")
                    setattr(moments, part, value if part != "count" else float(value))
        if state:
            self._sums = np.array(state["sums"], np.float64).reshape(self._sums.shape)


def _moments(shape: tuple[int, ...]) -> RunningMeanStd:
    return RunningMeanStd(shape=shape, dtype=np.float64)


def frozen(spec: RunSpec, observation_size: int, state: Mapping[str, Any]) -> Normalisation:
    """The means of a checkpoint, which :meth:`Normalisation.normalised` leaves as they are.

    Args:
        spec: of the run.
        observation_size: numbers in an observation.
        state: of the means.

    Raises:
        ValueError: see :meth:`Normalisation.restore`.
    """
    found = Normalisation(spec, observation_size)
    found.restore(state)
    return found
