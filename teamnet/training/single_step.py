"""The tasks of one step: the multiplexer, and regression on a random target network.

One sample is one environment step and one episode; the batch is ``num_envs`` samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teamnet.errors import Diverged, SpecError, shown
from teamnet.spec.resolve import Interface
from teamnet.spec.run import RunSpec
from teamnet.training.action_map import ActionMap
from teamnet.training.normalisation import Normalisation
from teamnet.training.structure import Structure
from teamnet.training.task import Episode, Outcome, finite_number, read_counters, unfit_state
from teamnet.units.streams import TASK, keyed_generator

_REPORTED_BATCHES = 100
_INPUTS = 8


class SingleStepTask:
    """What both tasks share: a stream of random samples, and one reported mean for every hundred batches."""

    def __init__(self, spec: RunSpec, interface: Interface) -> None:
        self.interface, self.structure = interface, Structure()
        self.normalisation = Normalisation(spec, interface.observation_size)
        self.outcome = Outcome.blank(spec.num_envs, interface.observation_size)
        self.accepted = self.env_steps = self.episodes = 0
        self.return_sum = 0.0
        self._generator = keyed_generator(spec.seed, TASK)
        self._rows = spec.num_envs
        self._batches = 0
        self._sum = 0.0

    def begin(self) -> None:
        """See :class:`teamnet.training.task.Task`."""
        self.draw()

    def draw(self) -> None:
        """Write new observations."""
        raise NotImplementedError

    def answer(self, output: np.ndarray) -> np.ndarray:
        """Write the learning signal to ``outcome.reward``; returns the rewards ``(rows,)`` that are reported."""
        raise NotImplementedError

    def step(self, output: np.ndarray) -> list[Episode]:
        """See :class:`teamnet.training.task.Task`."""
        with np.errstate(over="ignore", invalid="ignore"):  # reported below, with a remedy
            reward = self.answer(output)
        if not np.isfinite(reward).all() or not np.isfinite(self.outcome.reward).all():
            raise Diverged(
                f"reward, environment step {self.env_steps}", expected="finite numbers", found="NaN or infinity",
                remedy="The learning diverged: lower the learning rates or the step size.",
            )
        self.accepted += 1
        self.env_steps += self._rows
        self.episodes += self._rows
        self._batches += 1
        self._sum += float(reward.mean())
        self.return_sum += float(reward.sum())
        if self._batches < _REPORTED_BATCHES:
            return []
        mean = self._sum / self._batches
        self._batches, self._sum = 0, 0.0
        return [Episode(self.env_steps, self.episodes, mean, 1)]

    def state(self) -> dict[str, Any]:
        """See :class:`teamnet.training.task.Task`."""
        state = self._generator.bit_generator.state
        plain = {
            **state, "buffer": state["buffer"].tolist(),
            "state": {key: value.tolist() for key, value in state["state"].items()},
        }
        return {
            "generator": plain, "env_steps": self.env_steps, "episodes": self.episodes,
            "return_sum": self.return_sum, "batches": self._batches, "sum": self._sum,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See :class:`teamnet.training.task.Task`."""
        try:
            self._restore(state)
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise unfit_state("task", error) from None

    def _restore(self, state: dict[str, Any]) -> None:
        counters, batches, sum_ = read_counters(state), state["batches"], finite_number(state["sum"])
        if type(batches) is not int or not 0 <= batches < _REPORTED_BATCHES:
            raise ValueError(f"{shown(batches)} batches")
        generator = state["generator"]
        if not 0 <= generator["buffer_pos"] <= len(generator["buffer"]):  # numpy reads from there unchecked
            raise ValueError(f"the position {shown(generator['buffer_pos'])} in a buffer")
        self._generator.bit_generator.state = {
            **generator, "buffer": np.array(generator["buffer"], np.uint64),
            "state": {key: np.array(value, np.uint64) for key, value in generator["state"].items()},
        }
        self.env_steps, self.episodes, self.return_sum = counters
        self._batches, self._sum = batches, sum_

    @property
    def actions(self) -> ActionMap | None:
        """See :class:`teamnet.training.task.Task`."""
        return None

    def statistics(self) -> dict[str, Any]:
        """See :class:`teamnet.training.task.Task`."""
        return {}

    def replayed(self) -> np.ndarray:
        """See :class:`teamnet.training.task.Task`: a stream of samples has no state but its generator."""
        return self.outcome.observation

    def draw_from(self, seed: int) -> None:
        """Draw other samples of the same task, for evaluation."""
        self._generator = keyed_generator(seed, TASK, 1)

    def detach(self) -> None:
        """See :class:`teamnet.training.task.Task`; there are no other processes."""

    def close(self) -> None:
        """See :class:`teamnet.training.task.Task`."""


class Multiplexer(SingleStepTask):
    """Choose the data bit that the address bits point to: inputs -1 or 1, reward 1 if right and -1 if wrong."""

    def __init__(self, spec: RunSpec) -> None:
        self._bits = spec.address_bits
        super().__init__(spec, Interface(self._bits + 2**self._bits, 2, "categorical", single_step=True))
        self._places = 2 ** np.arange(self._bits)[::-1]

    def draw(self) -> None:
        """See :class:`SingleStepTask`."""
        shape = self.outcome.observation.shape
        np.subtract(2.0 * self._generator.integers(0, 2, shape, np.int8), 1.0, out=self.outcome.observation)

    def answer(self, output: np.ndarray) -> np.ndarray:
        """See :class:`SingleStepTask`: the second action stands for the bit 1."""
        inputs = self.outcome.observation
        address = (inputs[:, : self._bits] > 0) @ self._places
        target = inputs[np.arange(self._rows), self._bits + address] > 0
        np.subtract(2.0 * (output[:, 1].astype(bool) == target), 1.0, out=self.outcome.reward)
        return self.outcome.reward


class Regression(SingleStepTask):
    """Approach a random two-layer relu network with standard normal weights and inputs.

    The reported reward is the official code's ``-(y - H_L)**2``. With the signal ``target`` the team is a critic and
    learns from ``y - mean``. With ``reward`` no unit receives the target: the learning signal is the reward less the
    mean reward of the other samples of the batch, and the output has no gate.
    """

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, Interface(_INPUTS, 1, "gaussian", single_step=True))
        self._signal = spec.signal
        if spec.signal == "reward" and spec.num_envs < 2:
            raise SpecError(
                "num_envs", expected="2 or more with --signal reward", found=str(spec.num_envs),
                remedy="Use more --num-envs: the reward of a sample is compared with those of the others.",
            )
        self._hidden = self._generator.standard_normal((_INPUTS, _INPUTS))
        self._output = self._generator.standard_normal((_INPUTS, 1))

    def draw(self) -> None:
        """See :class:`SingleStepTask`."""
        self._generator.standard_normal(out=self.outcome.observation)

    def target(self) -> np.ndarray:
        """The target network's output for the observations, ``(rows,)``."""
        return np.maximum(np.maximum(self.outcome.observation @ self._hidden, 0.0) @ self._output, 0.0)[:, 0]

    def answer(self, output: np.ndarray) -> np.ndarray:
        """See :class:`SingleStepTask`; ``output (rows, 2)`` is a critic's activation and mean, else the activation."""
        target = self.target()
        reward = -((target - output[:, 0]) ** 2)
        if self._signal == "target":
            np.subtract(target, output[:, 1], out=self.outcome.reward)
        else:
            self.outcome.reward[:] = (reward - reward.mean()) * len(reward) / (len(reward) - 1)
        return reward


def make_single_step_task(spec: RunSpec) -> SingleStepTask:
    """The task of that name.

    Raises:
        SpecError: the task's team is missing or of the wrong kind.
    """
    kind, team, absent = (
        (Multiplexer, "actor", "critic") if spec.task == "multiplexer" else (Regression, "critic", "actor")
    )
    if getattr(spec, team) is None or getattr(spec, absent) is not None:
        raise SpecError(
            team, expected=f"team {team} and no {absent}", found="another choice", remedy="Use the preset's."
        )
    return kind(spec)
