"""A batch of Gymnasium environments in this process, with Gymnasium's ``NEXT_STEP`` autoreset.

When an episode has ended, the next step ignores its action and resets: a real step of the team, from which nothing is
learned. Gymnasium's own vector environment does the same (a test holds this one against it) at four times the cost for
a single environment, which is the usual case here.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np

from teamnet.errors import EnvironmentRefused, NumericalError, TeamnetError
from teamnet.spec.presets import environment_id
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.spaces import ActionMap, find_interface, make_environment
from teamnet.training.task import Episode, Outcome, read_counters, unfit_state
from teamnet.training.watch import Watch
from teamnet.units.streams import ENVIRONMENT, keyed_generator


class _Row:
    """One environment, its episode, and what replays it: the generator at the last reset and the actions since."""

    def __init__(self, environment: gymnasium.Env[Any, Any], seed: int, watch: Watch) -> None:
        self.environment, self._watch = environment, watch
        watch.ask(environment.reset, seed=seed)
        self.generator: dict[str, Any] = {}
        self.actions: list[Any] = []
        self.total = 0.0
        self.over = True
        self.observation: Any = None

    def reset(self) -> Any:
        self.generator = dict(self.environment.unwrapped.np_random.bit_generator.state)
        self.actions = []
        self.total = 0.0
        self.over = False
        self.observation, _ = self._watch.ask(self.environment.reset)
        return self.observation

    def step(self, action: Any) -> tuple[Any, float, bool, bool]:
        observation, reward, terminated, truncated, _ = self._watch.ask(self.environment.step, action)
        reward, terminated, truncated = float(reward), _as_bool(terminated), _as_bool(truncated)
        self.actions.append(action)
        self.observation = observation
        self.total += reward
        self.over = terminated or truncated
        return observation, reward, terminated, truncated

    def replay(self, state: dict[str, Any]) -> None:
        self.environment.unwrapped.np_random.bit_generator.state = state["generator"]
        self.reset()
        for action in state["actions"]:
            self.step(action if isinstance(action, int) else np.array(action, self.environment.action_space.dtype))
        if self.over is not state["over"]:
            raise ValueError("an episode that ends elsewhere")


def _as_bool(flag: Any) -> bool:
    if flag not in (0, 1):
        raise ValueError(f"{flag!r} as an end of an episode")
    return bool(flag)


class Environments:
    """The task of a run whose task is a Gymnasium id; see :class:`teamnet.training.task.Task`.

    Args:
        spec: the run.
        patience: seconds that an environment has for an answer; 0 for as long as it takes.
    """

    def __init__(self, spec: RunSpec, patience: float = LaunchSpec.env_patience) -> None:
        self._name = environment_id(spec.task)
        self._rows: list[_Row] = []
        self._watch = Watch(self._name, patience)
        try:
            self._make(spec)
        except BaseException:
            self._watch.close()
            raise

    def _make(self, spec: RunSpec) -> None:
        rows = [self._watch.ask(make_environment, spec) for _ in range(spec.num_envs)]
        self.interface = find_interface(self._name, rows[0].observation_space, rows[0].action_space)
        self.outcome = Outcome.blank(spec.num_envs, self.interface.observation_size)
        self.env_steps = 0
        self.episodes = 0
        self.return_sum = 0.0
        self._to_action = ActionMap(spec, rows[0].action_space)
        seeds = keyed_generator(spec.seed, ENVIRONMENT).integers(0, 2**31, spec.num_envs)
        for number, (environment, seed) in enumerate(zip(rows, seeds, strict=True)):
            try:
                self._rows.append(_Row(environment, int(seed), self._watch))
            except Exception as error:
                raise self._misbehaves(number, error) from error

    def begin(self) -> None:
        """See :class:`teamnet.training.task.Task`."""
        for number, row in enumerate(self._rows):
            try:
                self._begin_episode(number, row)
            except Exception as error:
                raise self._misbehaves(number, error) from error
        self._check_observations()

    def _misbehaves(self, number: int, error: Exception) -> TeamnetError:
        where = f"{self._name}, environment {number}, step {self.env_steps}"
        return misbehaviour(where, "an observation of the promised shape", error)

    def _check_observations(self) -> None:
        if not np.isfinite(self.outcome.observation).all():
            self._refuse("observation", self.outcome.observation)

    def _take(self, number: int, observation: Any) -> None:
        """Take up an observation; numpy would stretch one of another shape, and cut off imaginary parts."""
        given, row = np.asarray(observation), self.outcome.observation[number]
        if given.shape != row.shape or given.dtype.kind not in "fiub":
            raise ValueError(f"{given.dtype} {given.shape} instead of numbers {row.shape}")
        row[:] = given

    def _begin_episode(self, number: int, row: _Row) -> None:
        outcome = self.outcome
        self._take(number, row.reset())
        outcome.reward[number] = outcome.terminated[number] = outcome.keep[number] = 0.0
        outcome.masked[number] = 1.0

    def step(self, output: np.ndarray) -> list[Episode]:
        """See :class:`teamnet.training.task.Task`."""
        ended: list[Episode] = []
        for number, row in enumerate(self._rows):
            try:
                if row.over:
                    self._begin_episode(number, row)
                else:
                    self._step_row(number, row, self._to_action(output[number]), ended)
            except Exception as error:
                raise self._misbehaves(number, error) from error
        self._check_observations()
        return ended

    def _step_row(self, number: int, row: _Row, action: Any, ended: list[Episode]) -> None:
        observation, reward, terminated, truncated = row.step(action)
        outcome = self.outcome
        self._take(number, observation)
        outcome.reward[number] = reward
        outcome.terminated[number] = terminated
        outcome.masked[number] = truncated
        outcome.keep[number] = 1.0
        self.env_steps += 1
        if not math.isfinite(reward):
            self._refuse("reward", outcome.reward)
        if row.over:
            self.episodes += 1
            self.return_sum += row.total
            if not math.isfinite(self.return_sum):
                self._refuse("sum of rewards", outcome.reward)
            ended.append(Episode(self.env_steps, self.episodes, row.total, len(row.actions)))

    def _refuse(self, what: str, values: np.ndarray) -> None:
        raise NumericalError(
            f"{self._name} {what}, environment step {self.env_steps}", expected="finite numbers", found=str(values),
            mend="Mend the environment; the last checkpoint is kept.",
        )

    def state(self) -> dict[str, Any]:
        """See :class:`teamnet.training.task.Task`."""
        rows = [
            {
                "generator": _plain(row.generator), "over": row.over,
                "actions": [action if isinstance(action, int) else action.tolist() for action in row.actions],
            }
            for row in self._rows
        ]
        return {"rows": rows, "env_steps": self.env_steps, "episodes": self.episodes, "return_sum": self.return_sum}

    def restore(self, state: dict[str, Any]) -> None:
        """See :class:`teamnet.training.task.Task`."""
        try:
            self.env_steps, self.episodes, self.return_sum = read_counters(state)
            for row, its in zip(self._rows, state["rows"], strict=True):
                row.replay(its)
        except EnvironmentRefused:
            raise
        except Exception as error:  # what an environment says to actions that it never had can be anything
            raise unfit_state(self._name, error) from error

    def replayed(self) -> np.ndarray:
        """See :class:`teamnet.training.task.Task`."""
        return np.array([row.observation for row in self._rows], np.float64)

    def close(self) -> None:
        """See :class:`teamnet.training.task.Task`."""
        try:
            for number, row in enumerate(self._rows):
                try:
                    self._watch.ask(row.environment.close)
                except Exception as error:
                    raise self._misbehaves(number, error) from error
        finally:
            self._watch.close()


def misbehaviour(where: str, expected: str, error: Exception) -> TeamnetError:
    """What an environment has raised, or what its answer led to, as an error of ours; which it may be already."""
    if isinstance(error, TeamnetError):
        return error
    return EnvironmentRefused(
        where, expected=expected, found=f"{type(error).__name__}: {error}",
        mend="Check the environment with gymnasium.utils.env_checker.check_env.",
    )


def _plain(state: Any) -> Any:
    """A bit generator's state with Python's own numbers."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return state.tolist()
    return state.item() if isinstance(state, np.generic) else state
