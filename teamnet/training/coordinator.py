"""The training loop: one for every task, executor and rule.

In a task of many steps the team learns from the reward of the previous step, and the environment steps while the team
settles, because the action is already known. In a task of one step the reward comes first.

A step is done or not done. The units' part cannot be undone, so that only a failure of the team ends it, and a run
that fails there does not continue. The environment's part can be undone: the next call repeats it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic_ns

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import Diverged, StepInterrupted, TeamnetError
from teamnet.kernels.native import native
from teamnet.spec.run import RunSpec
from teamnet.team.executor import Executor, OutputReader
from teamnet.training.step_times import StepTimes
from teamnet.training.task import Episode, Task


class Coordinator:
    """Carries activations and signals between a task and its teams.

    Args:
        spec: the run.
        teams: the layers of every team, the actor first.
        task: the source of observations and rewards.
        executor: runs the units.
    """

    def __init__(self, spec: RunSpec, teams: Sequence[Sequence[LayerSpec]], task: Task, executor: Executor) -> None:
        self.task, self.executor = task, executor
        self.step = 0
        self._action: np.ndarray | None = None
        self._ended: list[Episode] = []
        self._inside = False
        self.failure: TeamnetError | None = None
        self._single_step = task.interface.single_step
        self._reader = OutputReader(executor.board)
        critic = len(teams) - 1 if teams[-1][-1].gated else None
        self._has_actor = not teams[0][-1].gated
        self.times = StepTimes()
        self._marks: deque[tuple[int, ...]] = deque(maxlen=0)
        self._units_marks = 0, 0, 0, 0
        self._delta = np.zeros(spec.num_envs)
        self.previous_value = np.zeros(spec.num_envs)
        if not self._single_step:
            assert critic is not None
            outcome = task.outcome
            limit = math.inf if spec.reward_limit is None else spec.reward_limit
            arrays = (
                outcome.reward, self._reader.value(critic), self.previous_value, outcome.terminated,
                outcome.masked, self._delta,
            )
            self._td_error = native("teamnet.kernels.signal", "find_td_error")
            self._signals = (spec.num_envs, *(array.ctypes.data for array in arrays), spec.discount, limit)

    def advance(self, until: Callable[[], bool], between_steps: Callable[[], None] = lambda: None) -> list[Episode]:
        """Run environment steps until some episodes have ended or ``until()`` is true; returns those episodes.

        An exception in an environment leaves its step to be done: the next call begins with it.

        Args:
            until: called before each step.
            between_steps: called after each step; an exception in it loses no step and no episode.

        Raises:
            StepInterrupted: an earlier call was ended inside the units' part of a step.
            TeamnetError: see :class:`teamnet.team.executor.Executor` and :class:`teamnet.training.task.Task`.
        """
        begun = monotonic_ns()
        while not self._ended and not until():
            self.finish_step()
            between_steps()
            ended = monotonic_ns()
            self.times.add(ended - begun, self.step - 1)
            begun = ended
        ended, self._ended = self._ended, []
        return ended

    def finish_step(self, *, only_begun: bool = False) -> None:
        """Do a step, or the rest of one that has begun.

        Args:
            only_begun: whether to do nothing if no step has begun.
        """
        self.check_whole()
        if self.failure:
            raise self.failure
        if self._action is None and not only_begun:
            self._inside = True
            try:
                self._do_units()
            except TeamnetError as error:
                self.failure = error
                raise
            self._inside = False
        if self._action is not None:
            self._ended += self.task.step(self._action)
            self._action = None
            self.step += 1
            self._marks.append((*self._units_marks, monotonic_ns()))

    def check_whole(self) -> None:
        """Refuse a team, or a task, that is inside a step.

        Raises:
            StepInterrupted: an exception ended a step there.
            TeamnetError: the failure that ended it.
        """
        if self._inside or self.task.accepted != self.step:
            raise self.failure or _interrupted(self.step)

    def _do_units(self) -> None:
        """The units' part of a step: after it, only the environment's answer is missing."""
        executor, outcome = self.executor, self.task.outcome
        begun = monotonic_ns()
        executor.act(outcome.observation, outcome.keep, outcome.valid)
        acted = monotonic_ns()
        if self._single_step:
            self._ended += self.task.step(self._output())
            rewarded = monotonic_ns()
            executor.learn(outcome.reward)
            learned = monotonic_ns()
            self.task.begin()
            self.step += 1
            self._marks.append((begun, acted, rewarded, learned, monotonic_ns()))
        else:
            self._find_td_error()
            decided = monotonic_ns()
            executor.learn(self._delta)
            self._action = self._output()
            self._units_marks = begun, acted, decided, monotonic_ns()

    def keep_timestamps(self, kept: int) -> None:
        """Keep the coordinator's timestamps of the newest ``kept`` steps."""
        self._marks = deque(maxlen=kept)

    def timestamps(self) -> np.ndarray:
        """When each step of the coordinator began to wait, could begin, was done, and was published.

        Returns:
            int64 ``(kept, 3, 4)`` for the steps of :data:`teamnet.dataflow.slots.COORDINATOR` in the dataflow, as
            :meth:`teamnet.units.unit.Unit.timestamps` has them for a unit's.
        """
        return np.array([self._phases(*marks) for marks in self._marks], np.int64).reshape(-1, 3, 4)

    def _phases(self, begun: int, acted: int, decided: int, learned: int, ended: int) -> list[list[int]]:
        give = [begun] * 4
        if self._single_step:  # the environment's answer, then the TD error and the next observation
            return [give, [begun, acted, decided, decided], [decided, decided, decided, ended]]
        return [give, [begun, acted, decided, learned], [learned, learned, ended, ended]]

    def keep_episodes(self, ended: list[Episode]) -> None:
        """Have the next call of :meth:`advance` return these episodes, which are not recorded yet."""
        self._ended = ended + self._ended

    def continue_at(self, step: int, failure: TeamnetError | None = None) -> None:
        """Continue at a step to which task and units have been restored, from any state.

        Args:
            step: of the run.
            failure: raised by every later step, if given.
        """
        self.step = self.task.accepted = step
        self._action, self._ended, self._inside, self.failure = None, [], False, failure

    def _output(self) -> np.ndarray:
        step = self.step
        if self._has_actor:
            return self._reader.output(0, step)
        return np.stack([self._reader.output(0, step)[:, 0], self._reader.value(0)], axis=1)

    def _find_td_error(self) -> None:
        self._td_error(*self._signals)
        if not math.isfinite(self._delta.sum()):
            raise Diverged(
                f"TD error, step {self.step}", expected="finite numbers", found=str(self._delta),
                remedy="Rewards or values are too large: set reward_limit or lower the critic's rates.",
            )


def _interrupted(step: int) -> StepInterrupted:
    return StepInterrupted(
        f"step {step}", expected="a run between two steps", found="an exception inside the step",
        remedy="Load the newest checkpoint, or start a new run.",
    )
