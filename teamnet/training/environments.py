"""A batch of Gymnasium environments in this process, with Gymnasium's ``NEXT_STEP`` autoreset.

When an episode has ended, the next step ignores its action and resets: a real step of the team, from which nothing is
learned. Gymnasium's own vector environment does the same (a test compares the two) at four times the cost for
a single environment, which is the usual case here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from teamnet.errors import NumericalError, TeamnetError
from teamnet.spec.presets import environment_id
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.action_map import ActionMap
from teamnet.training.environment_maker import Maker
from teamnet.training.environment_place import Here
from teamnet.training.environment_workers import EnvironmentWorkers, There
from teamnet.training.flat_actions import choices_of
from teamnet.training.misbehaviour import misbehaviour
from teamnet.training.normalisation import Normalisation
from teamnet.training.row import Answer, Row
from teamnet.training.spaces import find_interface, flat_environment, make_environment
from teamnet.training.structure import Structure
from teamnet.training.task import Episode, Outcome, ReplayDiffers, read_counters, unfit_state
from teamnet.training.watch import Watch
from teamnet.units.streams import ENVIRONMENT, keyed_generator


class Environments:
    """The task of a run whose task is a Gymnasium id; see :class:`teamnet.training.task.Task`.

    Args:
        spec: the run.
        patience: seconds that an environment has for an answer; 0 for no limit.
        make: makes an environment, where Python code has given what the spec cannot name.
        workers: processes that step the environments at the same time; 0 for this one.
    """

    def __init__(
        self, spec: RunSpec, patience: float = LaunchSpec.env_patience, make: Maker | None = None, workers: int = 0
    ) -> None:
        self._name = environment_id(spec.task)
        self._spec, self._make = spec, make
        self._workers: EnvironmentWorkers | None = None
        self._places: list[Here | There] = []
        self._rows: list[Row] = []
        self.accepted = self.env_steps = self.episodes = 0
        self.return_sum = 0.0
        self._watch = Watch(self._name, patience)
        try:
            first: Any = None
            if workers:
                self._workers = EnvironmentWorkers(
                    min(workers, spec.num_envs), spec.num_envs, self._new, self._watch
                )
                self._places.extend(self._workers.places)
                first, self.structure = self._workers.places[0], self._workers.places[0].structure
            else:
                for _ in range(spec.num_envs):
                    first, self.structure = self._watch.ask(self._new)
                    self._places.append(Here(first))
            self._begin_with(first.observation_space, first.action_space)
        except BaseException:
            with suppress(Exception):  # the first error is the one that is reported
                self._close_places()
            self._watch.close()
            raise

    def _new(self) -> tuple[gymnasium.Env[Any, Any], Structure]:
        """Another environment, with flat spaces, and what they are without."""
        environment = make_environment(self._spec, make=self._make)
        return flat_environment(self._name, environment, masked=self._spec.mask_actions)

    def _begin_with(self, observations: Any, actions: Any) -> None:
        spec = self._spec
        masked = int(choices_of(actions).sum()) if spec.mask_actions else 0
        flat = find_interface(self._name, observations, actions)
        self.interface = replace(flat, observation_size=flat.observation_size - masked)
        self.outcome = Outcome.blank(spec.num_envs, self.interface.observation_size, masked)
        self.normalisation = Normalisation(spec, self.interface.observation_size)
        self._normalises = bool(spec.observation_scale or spec.normalise_observations or spec.normalise_rewards)
        self._shape = (self.interface.observation_size + masked,)
        self._fresh, self._accepted = (_buffer((spec.num_envs, *self._shape)) for _ in range(2))
        self._to_action = ActionMap.of_space(spec, actions)
        seeds = keyed_generator(spec.seed, ENVIRONMENT).integers(0, 2**31, spec.num_envs)
        for number, (place, seed) in enumerate(zip(self._places, seeds, strict=True)):
            try:
                self._rows.append(Row(place, int(seed), self._watch))
            except Exception as error:
                raise self._misbehaves(number, error) from error

    @property
    def actions(self) -> ActionMap:
        """See :class:`teamnet.training.task.Task`."""
        return self._to_action

    def statistics(self) -> dict[str, Any]:
        """The current state of the first environment's wrappers; see :mod:`teamnet.training.statistics`."""
        return self._rows[0].statistics()

    def begin(self) -> None:
        """See :class:`teamnet.training.task.Task`."""
        self.step(np.zeros((len(self._rows), 0)))  # no episode has begun, and no action is needed
        self.accepted = 0

    def _misbehaves(self, number: int, error: Exception) -> TeamnetError:
        where = f"{self._name}, environment {number}, step {self.env_steps}"
        return misbehaviour(where, "an observation of the promised shape", error)

    def _row_of(self, observation: Any) -> np.ndarray:
        """An observation as an array; numpy would broadcast another shape, and discard imaginary parts."""
        given = np.asarray(observation)
        if given.shape != self._shape or given.dtype.kind not in "fiub":
            raise ValueError(f"{given.dtype} {given.shape} instead of numbers {self._shape}")
        return given

    def step(self, output: np.ndarray) -> list[Episode]:
        """See :class:`teamnet.training.task.Task`.

        All environments are stepped, and then all answers are accepted: an exception before that has changed nothing.
        """
        actions, answers, to_action, rewards = [], [], self._to_action, self.return_sum
        fresh, views = self._fresh
        number = 0
        try:
            for number, row in enumerate(self._rows):
                actions.append(None if row.over else to_action(output[number]))
                row.begin(actions[number])
            for number, row in enumerate(self._rows):
                answer = row.finish()
                views[number][:] = self._row_of(answer.observation)
                answers.append((actions[number], answer))
                rewards += answer.reward + row.total
        except Exception as error:
            raise self._misbehaves(number, error) from error
        if not (math.isfinite(rewards) and self.normalisation.are_finite(fresh)):
            self._check([answer for _, answer in answers], fresh)
        self._fresh, self._accepted = self._accepted, self._fresh
        self.accepted += 1  # before any change, so that a half accepted step is detected
        outcome, ended = self.outcome, []
        self._show(fresh)
        for number, row in enumerate(self._rows):
            (action, answer), begins = answers[number], row.over
            row.accept(action, answer, views[number])
            outcome.reward[number], outcome.terminated[number] = answer.reward, answer.terminated
            # a terminal state is one, whether or not a time limit falls on the same step
            outcome.masked[number] = begins or (answer.truncated and not answer.terminated)
            outcome.keep[number] = not begins
            if not begins:
                self.env_steps += 1
                if row.over:
                    self.episodes += 1
                    self.return_sum += row.total
                    ended.append(Episode(self.env_steps, self.episodes, row.total, len(row.actions)))
        if self._normalises:
            self.normalisation.observe(outcome.observation)
            self.normalisation.reward(outcome.reward, outcome.keep)
        return ended

    def _show(self, found: np.ndarray) -> None:
        """Give the team observations, and the masks behind them."""
        outcome, size = self.outcome, self.interface.observation_size
        if outcome.valid is None:
            outcome.observation[:] = found
        else:
            outcome.observation[:], outcome.valid[:] = found[:, :size], found[:, size:]

    def _check(self, answers: Sequence[Answer], observations: np.ndarray) -> None:
        """Refuse numbers that are not finite, or lead to a sum that is not.

        Raises:
            NumericalError: naming them.
        """
        step, return_sum = self.env_steps, self.return_sum
        for row, answer in zip(self._rows, answers, strict=True):
            step += not row.over
            if not math.isfinite(answer.reward):
                raise self._not_finite("reward", step, [answer.reward for answer in answers])
            if answer.terminated or answer.truncated:
                return_sum += row.total + answer.reward
                if not math.isfinite(return_sum):
                    raise self._not_finite("sum of rewards", step, [answer.reward for answer in answers])
        if not self.normalisation.are_finite(observations):
            raise self._not_finite("observation", step, observations)

    def _not_finite(self, name: str, step: int, values: Any) -> NumericalError:
        return NumericalError(
            f"{self._name} {name}, environment step {step}", expected="finite numbers", found=str(values),
            remedy="Fix the environment; teamnet resume continues a run from its last checkpoint (--save-every).",
        )

    def state(self) -> dict[str, Any]:
        """See :class:`teamnet.training.task.Task`."""
        rows = [row.plain() for row in self._rows]
        means = self.normalisation.state()
        return {
            "rows": rows, "env_steps": self.env_steps, "episodes": self.episodes, "return_sum": self.return_sum,
            **({"normalisation": means} if means else {}),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See :class:`teamnet.training.task.Task`."""
        try:
            self.env_steps, self.episodes, self.return_sum = read_counters(state)
            self.normalisation.restore(state.get("normalisation", {}))
            for row, saved in zip(self._rows, state["rows"], strict=True):
                row.replay(saved)
            if self.outcome.valid is not None:
                self.outcome.valid[:] = self._given()[:, self.interface.observation_size :]
        except (TeamnetError, ReplayDiffers):
            raise
        except Exception as error:  # an environment can raise anything on actions that it never received
            raise unfit_state(self._name, error) from error

    def replayed(self) -> np.ndarray:
        """See :class:`teamnet.training.task.Task`."""
        return self.normalisation.normalised(self._given()[:, : self.interface.observation_size])

    def _given(self) -> np.ndarray:
        """What every environment has given last, with the mask behind it."""
        return np.array([row.observation for row in self._rows], np.float64)

    def detach(self) -> None:
        """See :class:`teamnet.training.task.Task`."""
        if self._workers:
            for row in self._rows:
                row.place = Here(self._new()[0])
                row.place.reset(0)

    def close(self) -> None:
        """See :class:`teamnet.training.task.Task`."""
        try:
            self._close_places()
        finally:
            self._watch.close()

    def _close_places(self) -> None:
        if self._workers:
            self._workers.close()
            return
        for number, place in enumerate(self._places):
            try:
                place.send("close")
                self._watch.ask(place.receive)
            except Exception as error:
                raise self._misbehaves(number, error) from error


def _buffer(shape: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Observations of a step, and the rows of that array."""
    observations = np.zeros(shape)
    return observations, list(observations)
