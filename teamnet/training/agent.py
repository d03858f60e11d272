"""The Python front: ``learn``, ``predict``, ``save`` and ``load`` as users of Stable-Baselines3 know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import SpecError, nearest
from teamnet.spec.check import check_count
from teamnet.spec.presets import SINGLE_STEP_TASKS, method_of
from teamnet.spec.presets import preset as preset_of
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team.state import State
from teamnet.training.checkpoint import newest_checkpoint
from teamnet.training.policy import Policy
from teamnet.training.run import Run, spec_of_checkpoint
from teamnet.training.spaces import ActionMap, make_environment


class TeamAgent:
    """A team and its training.

    Args:
        task: a preset's name or a Gymnasium id.
        preset: whose values are the usual ones, such as ``tuned``; without it, those of the rule.
        **options: any field of :class:`~teamnet.spec.run.RunSpec` or :class:`~teamnet.spec.run.LaunchSpec`, for
            instance ``seed=1, hidden=(32,), backend="local"``.

    Raises:
        TeamnetError: an option is unknown or makes no sense, or the task cannot be used.
    """

    def __init__(self, task: str = "cartpole", *, preset: str = "", **options: Any) -> None:
        spec = preset_of(task, preset or method_of(str(options.get("rule", ""))))
        _check_options(options, RunSpec, LaunchSpec)
        launch_names = {field.name for field in fields(LaunchSpec)}
        self._start(
            replace(spec, **{name: value for name, value in options.items() if name not in launch_names}),
            LaunchSpec(**{name: value for name, value in options.items() if name in launch_names}),
        )

    def _start(self, spec: RunSpec, launch: LaunchSpec) -> None:
        self._run = Run(spec, launch)
        self._policy: Policy | None = None
        self._to_action = None
        if spec.task not in SINGLE_STEP_TASKS:
            environment = make_environment(spec)
            self._to_action = ActionMap(spec, environment.action_space)
            environment.close()

    def learn(self, env_steps: int | None = None, episodes: int | None = None) -> TeamAgent:
        """Train for so many more environment steps or episodes, or to the end of the preset; returns the agent.

        Raises:
            SpecError: a number is below 0.
            TeamnetError: the environment misbehaves, the learning diverges, or an actor is lost.
        """
        for name, number in (("env_steps", env_steps), ("episodes", episodes)):
            if number is not None:
                check_count(name, number, 0)
        run = self._run
        run.stop_asked = False
        step_end = None if env_steps is None else run.task.env_steps + env_steps
        episode_end = None if episodes is None else run.task.episodes + episodes
        if step_end is not None or episode_end is not None:
            run.spec = replace(run.spec, env_steps=step_end, episodes=episode_end)
        while not run.done:
            run.advance()
        self._policy = None
        return self

    def state(self) -> State:
        """Every layer's parameters, optimiser state and traces, by ``team.layer.name``."""
        return self._run.state()

    def summary(self) -> dict[str, Any]:
        """What training came to so far; see the README for the fields."""
        return self._run.summary()

    def predict(self, observation: np.ndarray, deterministic: bool = False) -> tuple[Any, None]:
        """The action for one observation ``(size,)``, or the actions for a batch ``(rows, size)``.

        The second element stands for the recurrent state that other libraries return.
        """
        if self._policy is None:
            self._policy = Policy(self._run.teams[0], self._run.state())
        batch = np.atleast_2d(np.asarray(observation, np.float64))
        output = self._policy.act(batch, greedy=deterministic)
        actions = output if self._to_action is None else np.array([self._to_action(row) for row in output])
        return (actions if np.ndim(observation) == 2 else actions[0]), None

    def save(self, folder: str | Path) -> Path:
        """Write a checkpoint to a folder; returns its path.

        Raises:
            ResourceError: it cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return self._run.save(folder)

    @classmethod
    def load(cls, folder: str | Path, **launch: Any) -> TeamAgent:
        """An agent that goes on where the newest checkpoint of a folder was written.

        Args:
            folder: what ``save`` or ``teamnet train --out`` wrote to.
            **launch: fields of :class:`~teamnet.spec.run.LaunchSpec` that differ, such as another backend.

        Raises:
            CheckpointError: there is none, or it is damaged.
            SpecError: an option is unknown.
        """
        _check_options(launch, LaunchSpec)
        checkpoint = newest_checkpoint(Path(folder))
        spec, where = spec_of_checkpoint(checkpoint)
        agent = cls.__new__(cls)
        agent._start(spec, replace(where, **launch))
        try:
            agent._run.load(checkpoint)
        except BaseException:
            agent.close()
            raise
        return agent

    def close(self) -> None:
        """End the units and the environments."""
        self._run.close()

    def __enter__(self) -> TeamAgent:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _check_options(options: Mapping[str, Any], *kinds: type) -> None:
    known = {field.name for kind in kinds for field in fields(kind)}
    for name in options:
        if name not in known:
            raise SpecError(name, expected="a known option", found=repr(name), mend=nearest(name, known))
