"""What the coordinator asks of a task, be it a batch of Gymnasium environments or a task of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from teamnet.spec.resolve import Interface


@dataclass
class Outcome:
    """What a batch of environments answered; float64, one row for each environment, changed in place from step to step.

    Args:
        observation: ``(rows, size)``.
        reward: ``(rows,)``; for a single-step task the learning signal.
        terminated: ``(rows,)``, 1.0 where the episode ended in a terminal state.
        masked: ``(rows,)``, 1.0 where nothing is learned: the episode was truncated, or has just begun.
        keep: ``(rows,)``, 0.0 where an episode has just begun, so that its trace starts anew.
    """

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    masked: np.ndarray
    keep: np.ndarray

    @classmethod
    def blank(cls, rows: int, observation_size: int) -> Outcome:
        """The outcome before the first step: every episode has just begun."""
        return cls(
            np.zeros((rows, observation_size)), np.zeros(rows), np.zeros(rows), np.ones(rows), np.zeros(rows)
        )


@dataclass(frozen=True)
class Episode:
    """One finished episode, or the mean of a batch of single-step episodes.

    Args:
        env_steps: environment steps of the whole run when it ended.
        episode: number of finished episodes then.
        total: the return: undiscounted sum of the environment's own rewards.
        length: environment steps of the episode.
    """

    env_steps: int
    episode: int
    total: float
    length: int


class Task(Protocol):
    """A batch of environments; ``return_sum`` adds up the returns of all ``episodes`` that have ended."""

    interface: Interface
    outcome: Outcome
    env_steps: int
    episodes: int
    return_sum: float

    def begin(self) -> None:
        """Write the first observations to ``outcome``."""
        ...

    def step(self, output: np.ndarray) -> list[Episode]:
        """Answer the team's output ``(rows, size)`` in ``outcome``; returns what ended.

        Raises:
            EnvironmentRefused: the environment failed.
            NumericalError: an observation or reward is not finite.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What brings a new task object to this very point, as JSON types."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a point that ``state`` returned."""
        ...

    def replayed(self) -> np.ndarray:
        """The observations ``(rows, size)`` at which ``restore`` arrived."""
        ...

    def close(self) -> None:
        """Release the environments."""
        ...
