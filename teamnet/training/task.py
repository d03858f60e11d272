"""The interface that the coordinator needs of a task: a batch of Gymnasium environments, or a built-in task."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from teamnet.errors import CheckpointError, shown
from teamnet.spec.resolve import Interface
from teamnet.training.action_map import ActionMap
from teamnet.training.normalisation import Normalisation
from teamnet.training.structure import Structure

OF_ROWS = ("reward", "terminated", "masked", "keep")
"""The numbers of an outcome of which each environment has one."""


@dataclass
class Outcome:
    """The answers of a batch of environments; float64, one row per environment, changed in place from step to step.

    Args:
        observation: ``(rows, size)``.
        reward: ``(rows,)``; for a single-step task the learning signal.
        terminated: ``(rows,)``, 1.0 where the episode ended in a terminal state.
        masked: ``(rows,)``, 1.0 where nothing is learned: the episode was truncated outside a terminal state, or has
            just begun.
        keep: ``(rows,)``, 0.0 where an episode has just begun, so that its trace is reset.
        valid: ``(rows, actions)``, 1.0 for each valid action; ``None`` where every action is.
    """

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    masked: np.ndarray
    keep: np.ndarray
    valid: np.ndarray | None = None

    def kept(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps; valid actions come back with the episode."""
        return {name: getattr(self, name) for name in ("observation", *OF_ROWS)}

    @classmethod
    def blank(cls, rows: int, observation_size: int, actions: int = 0) -> Outcome:
        """The outcome before the first step: every episode has just begun.

        Args:
            rows: environments.
            observation_size: numbers in an observation.
            actions: categories of the action, if some are invalid.
        """
        return cls(
            np.zeros((rows, observation_size)), np.zeros(rows), np.zeros(rows), np.ones(rows), np.zeros(rows),
            np.ones((rows, actions)) if actions else None,
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


MOST = 2**62
"""The largest value of a counter."""


class ReplayDiffers(ValueError):
    """A replayed episode begins or ends differently from the original."""


def read_counters(state: dict[str, Any]) -> tuple[int, int, float]:
    """Environment steps, episodes and the sum of returns of a task's state.

    Raises:
        KeyError: one is missing.
        ValueError: one is invalid.
    """
    env_steps, episodes, return_sum = (state[name] for name in ("env_steps", "episodes", "return_sum"))
    if not all(type(count) is int and 0 <= count <= MOST for count in (env_steps, episodes)):
        raise ValueError(f"{shown(env_steps)} steps and {shown(episodes)} episodes")
    return env_steps, episodes, finite_number(return_sum)


def comes_back(task: Task, state: dict[str, Any], observation: np.ndarray) -> bool:
    """Whether a restored task reaches the observations ``(rows, size)`` at which ``state`` was taken.

    Raises:
        CheckpointError: it cannot be restored.
    """
    task.outcome.observation[:] = observation
    try:
        task.restore(state)
    except ReplayDiffers:
        return False
    return np.array_equal(task.replayed(), observation)


def cannot_be_replayed(path: Path) -> CheckpointError:
    """The error of a checkpoint whose environment reaches another observation."""
    return CheckpointError(
        str(path), expected="an environment that its generator and actions bring back to the same observation",
        found="another observation",
        remedy="Give the environment and wrappers of the run, if you gave others. If not, it cannot be resumed: start "
        "a new run. teamnet eval and predict do not need it.",
    )


def finite_number(value: Any) -> float:
    """A finite number of a state as a float.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{shown(value)} is no finite number")
    return float(value)


def unfit_state(where: str, error: Exception) -> CheckpointError:
    """The error of a task's state that cannot be restored."""
    return CheckpointError(
        where, expected="a state that restores the task", found=f"{type(error).__name__}: {error}",
        remedy="Use the checkpoint before it.",
    )


class Task(Protocol):
    """A batch of environments.

    ``return_sum`` adds up the returns of all ``episodes`` that have ended. ``accepted`` counts steps of the batch; one
    that has changed the task is counted, even if an exception ends it before it returns.
    """

    interface: Interface
    structure: Structure
    normalisation: Normalisation
    outcome: Outcome
    accepted: int
    env_steps: int
    episodes: int
    return_sum: float

    def begin(self) -> None:
        """Write the first observations to ``outcome``."""
        ...

    def step(self, output: np.ndarray) -> list[Episode]:
        """Answer the team's output ``(rows, size)`` in ``outcome``; returns the episodes that ended.

        Raises:
            EnvironmentRefused: the environment failed.
            NumericalError: an observation or reward is not finite.
        """
        ...

    def state(self) -> dict[str, Any]:
        """The state that restores a new task object to this point, as JSON types."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that :meth:`state` returned.

        Raises:
            CheckpointError: it cannot be restored.
            ReplayDiffers: a replayed episode begins or ends differently.
        """
        ...

    @property
    def actions(self) -> ActionMap | None:
        """From outputs to the environments' actions; ``None`` for a built-in task."""
        ...

    def statistics(self) -> dict[str, Any]:
        """The state that the environments keep between episodes, as JSON types; empty for most."""
        ...

    def replayed(self) -> np.ndarray:
        """The observations ``(rows, size)`` that ``restore`` reached."""
        ...

    def detach(self) -> None:
        """Do without the processes of the original, in a forked copy of this process; :meth:`restore` follows."""
        ...

    def close(self) -> None:
        """Release the environments."""
        ...
