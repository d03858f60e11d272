"""What configurations are compared with: plain NumPy, or the same run in this process."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Protocol

import gymnasium
import numpy as np
from threadpoolctl import threadpool_limits

from teamnet.dataflow.layers import LayerSpec
from teamnet.spec.presets import environment_id
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import SINGLE_STEP_TASKS, LaunchSpec, RunSpec
from teamnet.study.interfaces import INTERFACES
from teamnet.study.rates import ENDLESS, rate
from teamnet.study.reference import ReferenceTeam
from teamnet.training.run import Run
from teamnet.units.streams import initial_weights


class Reference(Protocol):
    """Something that a configuration is compared with."""

    def rate(self) -> float:
        """Environment steps a second, in one timing."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


class NumpyReference:
    """MAP propagation as published, in plain NumPy on one core: a team learns from traces, or in one step at once.

    Args:
        spec: of a run with the published schedule.
        steps: steps of the batch in one timing.
    """

    def __init__(self, spec: RunSpec, steps: int) -> None:
        interface = INTERFACES[spec.task]
        self._spec, self._steps, self._size = spec, steps, interface.observation_size
        self._teams = [_team(layers) for layers in build_teams(fit_depth(spec, interface), interface)]
        self._generator = np.random.default_rng(0)
        self._step = 0
        single = spec.task in SINGLE_STEP_TASKS
        self._environments = [
            gymnasium.make(environment_id(spec.task)) for _ in range(0 if single else spec.num_envs)
        ]
        starts = [environment.reset(seed=0)[0] for environment in self._environments]
        self._observation = np.array(starts, np.float64)

    def rate(self) -> float:
        """See :class:`Reference`."""
        run = self._samples if self._spec.task in SINGLE_STEP_TASKS else self._episodes
        with threadpool_limits(1):  # one core, as a run in this process
            begun = time.perf_counter()
            run()
            return self._spec.num_envs * self._steps / (time.perf_counter() - begun)

    def close(self) -> None:
        """See :class:`Reference`."""
        for environment in self._environments:
            environment.close()

    def _samples(self) -> None:
        for _ in range(self._steps):
            observation = 2.0 * self._generator.integers(0, 2, (self._spec.num_envs, self._size)) - 1.0
            for team in self._teams:
                self._act(team, observation)
                team.settle()
                team.learn_at_once(np.ones(self._spec.num_envs), self._step)
            self._step += 1

    def _episodes(self) -> None:
        observation, ones = self._observation, np.ones(self._spec.num_envs)
        for _ in range(self._steps):
            outputs = []
            for team in self._teams:
                outputs.append(self._act(team, observation))
                team.learn(ones, self._step)
                team.settle()
                team.trace(ones)
            self._step += 1
            for row, environment in enumerate(self._environments):
                action = int(outputs[0][row].argmax())
                observation[row], _, terminated, truncated, _ = environment.step(action)
                if terminated or truncated:
                    observation[row] = environment.reset()[0]

    def _act(self, team: ReferenceTeam, observation: np.ndarray) -> np.ndarray:
        rows = len(observation)
        return team.act(observation, [
            self._generator.random((rows, 1)) if layer.family == "categorical"
            else self._generator.standard_normal((rows, layer.size))
            for layer in team.layers
        ])


def _team(layers: list[LayerSpec]) -> ReferenceTeam:
    weights = [initial_weights(layer, layer.number, layer.fan_in, layer.size, 0) for layer in layers]
    return ReferenceTeam(layers, weights, [np.zeros(layer.size) for layer in layers])


class LocalReference:
    """The same run in this process, on one core.

    Args:
        spec: of the run.
        steps: environment steps in one timing.
    """

    def __init__(self, spec: RunSpec, steps: int) -> None:
        self._run, self._steps = Run(replace(spec, env_steps=ENDLESS, episodes=None), LaunchSpec("local")), steps
        rate(self._run, max(spec.num_envs, steps // 10))

    def rate(self) -> float:
        """See :class:`Reference`."""
        return rate(self._run, self._steps)

    def close(self) -> None:
        """See :class:`Reference`."""
        self._run.close()
