"""The training loop: one for every task, exchange and rule.

In a task of many steps the team learns from the reward of the step before, and the environment steps while the team
settles, because the action is already known. In a task of one step the reward comes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from teamnet.errors import Diverged
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec
from teamnet.spec.run import RunSpec
from teamnet.team.exchange import Exchange, OutputReader
from teamnet.training.task import Episode, Task


class Coordinator:
    """Carries activations and signals between a task and its teams.

    Args:
        spec: the run.
        teams: the layers of every team, the actor first.
        task: where observations and rewards come from.
        exchange: where the units are.
    """

    def __init__(self, spec: RunSpec, teams: Sequence[Sequence[LayerSpec]], task: Task, exchange: Exchange) -> None:
        self.task, self.exchange = task, exchange
        self.step = 0
        self._single_step = task.interface.single_step
        self._reader = OutputReader(exchange.board, teams)
        critic = len(teams) - 1 if teams[-1][-1].gated else None
        self._has_actor = not teams[0][-1].gated
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
            self._td_error = native("teamnet.kernels.signal", "find_td_error", "iiiiiiidd")
            self._signals = (spec.num_envs, *(array.ctypes.data for array in arrays), spec.discount, limit)

    def advance(self, until: Callable[[], bool]) -> list[Episode]:
        """Run environment steps until some episodes have ended or ``until()`` says so; returns those episodes."""
        exchange, outcome = self.exchange, self.task.outcome
        while not until():
            exchange.act(outcome.observation, outcome.keep)
            if self._single_step:
                ended = self.task.step(self._output())
                exchange.learn(outcome.reward)
                self.task.begin()
            else:
                self._find_td_error()
                exchange.learn(self._delta)
                ended = self.task.step(self._output())
            self.step += 1
            if ended:
                return ended
        return []

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
                mend="Rewards or values are too large: set reward_limit or lower the critic's rates.",
            )
