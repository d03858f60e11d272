"""The interface for Python: ``learn``, ``predict``, ``save`` and ``load`` as users of Stable-Baselines3 know them."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from teamnet.errors import SpecError, nearest
from teamnet.rules.loading import reference_of
from teamnet.rules.rule import Rule
from teamnet.spec.change import changed
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.functions import reference_of_function, with_function_files
from teamnet.spec.presets import method_of, preset_of_rule
from teamnet.spec.presets import preset as preset_of
from teamnet.spec.resolve import Interface, fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team.state import State
from teamnet.training.callback import Callback, Callbacks, as_list
from teamnet.training.checkpoint import (
    check_same_rules,
    check_same_spec,
    checkpoint_at,
    checkpoints_in,
    load_checkpoint,
    newest_checkpoint,
    spec_of_checkpoint,
)
from teamnet.training.environment_maker import Maker
from teamnet.training.given_environment import Given, as_given, given_again
from teamnet.training.progress_bar import ProgressBar
from teamnet.training.run import Run
from teamnet.training.run_files import new_run
from teamnet.training.trained_policy import TrainedPolicy
from teamnet.values import check_count, plain_number

if TYPE_CHECKING:
    import gymnasium

_OF_ENVIRONMENT = "env_kwargs", "wrappers", "max_episode_steps"


class TeamAgent:
    """A team and its training.

    Args:
        task: a preset's name or a Gymnasium id, a ``gymnasium.Env``, its class, a function that makes one, or an
            ``EnvSpec``. Of an environment that is made already, more are made as they are needed.
        preset: the preset that sets the default values, such as ``tuned``; without it, that of the rule.
        env_kwargs: arguments of the environment, by name.
        wrappers: of the environment, the innermost first: classes, functions, or texts
            ``module:Class(NAME=VALUE, ...)``.
        max_episode_steps: environment steps after which an episode is truncated.
        rule: the name of a rule, a class that is derived from :class:`teamnet.rules.Rule`, or a rule with its settings.
        **options: any value that :func:`teamnet.spec.change.changed` takes, or a field of
            :class:`~teamnet.spec.run.LaunchSpec`, for instance ``seed=1, hidden=(32,), settle_steps=10,
            actor={"temperature": 4.0}, backend="local"``.

    Raises:
        TeamnetError: an option is unknown or invalid, or the task cannot be used.
    """

    def __init__(self, task: Any = "cartpole", *, preset: str = "", **options: Any) -> None:
        given, options = _as_given(task, options)
        self._start(*_specs(given.task, preset, options), given.make)

    def _start(self, spec: RunSpec, launch: LaunchSpec, make: Maker | None) -> None:
        self._run = Run(spec, launch, make=make)
        self._returns: list[float] = []
        self._policy: tuple[int, TrainedPolicy] | None = None  # and the step whose parameters it has
        self._end = weakref.finalize(self, _end_run, self._run)  # at the end of the last reference or of the process

    def __repr__(self) -> str:
        spec, task = self._run.spec, self._run.task
        rule = reference_of(type(spec.rule))
        return f"<TeamAgent of {spec.task} by {rule}: {task.env_steps:,} env steps, {task.episodes:,} episodes>"

    def learn(
        self, env_steps: int | None = None, episodes: int | None = None, *, total_timesteps: int | None = None,
        callback: Callback | Sequence[Callback] | None = None, progress_bar: bool = False,
    ) -> TeamAgent:
        """Train for this many more environment steps or episodes, or to the end of the preset; returns the agent.

        An exception, such as ``KeyboardInterrupt``, leaves the agent between two steps: the next call continues as if
        uninterrupted.

        Args:
            env_steps, episodes: how many more; the first that is reached ends the call. Without both, the end is that
                with which the agent was made, whatever was trained before.
            total_timesteps: another name of ``env_steps``, as in Stable-Baselines3.
            callback: one or several of :mod:`teamnet.callbacks`, or your own; one that stops the run ends the call.
            progress_bar: whether to show episodes, return, steps/s and the time left on the standard error.

        Raises:
            SpecError: a number is below 0, or ``env_steps`` has two values.
            Closed: the agent is closed.
            TeamnetError: the environment misbehaves, the learning diverges, or an actor is lost.
        """
        if None not in (env_steps, total_timesteps):
            raise SpecError(
                "total_timesteps", expected="one of env_steps and total_timesteps", found="both",
                remedy="Leave one out: they mean the same.",
            )
        env_steps = env_steps if total_timesteps is None else total_timesteps
        env_steps, episodes = (plain_number(each) for each in (env_steps, episodes))
        for name, number in (("env_steps", env_steps), ("episodes", episodes)):
            if number is not None:
                check_count(name, number, 0)
        run = self._run
        with run.exclusive:
            run.stop_asked, run.stopped = False, ""
            if (env_steps, episodes) != (None, None):
                run.ends = (
                    None if env_steps is None else run.task.env_steps + env_steps,
                    None if episodes is None else run.task.episodes + episodes,
                )
            try:
                self._train(Callbacks([*as_list(callback), *([ProgressBar()] if progress_bar else [])]))
            finally:
                run.ends = run.spec.env_steps, run.spec.episodes
        return self

    def _train(self, callbacks: Callbacks) -> None:
        run, task = self._run, self._run.task
        try:
            callbacks.start(run)
            while not run.done and not run.stop_asked:
                episodes = run.advance(lambda: task.env_steps >= callbacks.due)
                self._returns += (episode.total for episode in episodes)
                callbacks.progress(run, episodes)
        finally:
            callbacks.end(run)

    def state(self) -> State:
        """Every layer's parameters, optimiser state and traces, by ``team.layer.name``."""
        return self._run.state()

    def summary(self) -> dict[str, Any]:
        """The results of training so far: task, rule, where it ran, steps, mean return, digest, and the ledger."""
        return self._run.summary()

    @property
    def returns(self) -> np.ndarray:
        """The return of each episode that has ended since the agent was made or loaded; float64 ``(episodes,)``."""
        return np.array(self._returns, np.float64)

    def predict(
        self, observation: Any, state: None = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, None]:
        """The action for an observation; see :meth:`teamnet.training.trained_policy.TrainedPolicy.predict`."""
        self._run.exclusive.check()
        if self._policy is None or self._policy[0] != self._run.step:
            self._policy = self._run.step, self._run.policy()
        return self._policy[1].predict(observation, state, episode_start, deterministic, action_masks)

    def make_environment(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """See :func:`teamnet.training.trained_policy.trained_environment`."""
        return self._run.make_environment(render_mode)

    def save(self, folder: str | Path) -> Path:
        """Write a checkpoint to a folder; returns its path. The agent's two newest checkpoints there are kept.

        Raises:
            ResourceError: it cannot be written.
            SpecError: the folder has no name, or cannot be made.
        """
        return self._run.save(folder)

    @classmethod
    def load(cls, folder: str | Path, env: Any = None, **options: Any) -> TeamAgent:
        """An agent that continues from the newest checkpoint of a folder.

        If the environment cannot be replayed to its state at the checkpoint, a warning is issued; the agent then
        predicts, but does not learn. :meth:`teamnet.TrainedPolicy.load` needs no environment at all.

        Args:
            folder: that ``save`` or ``teamnet train --out`` wrote to, or the path of a checkpoint, as ``save`` returns
                it.
            env: the environment, its class or a factory, where the run's task is shown as ``<module.name>``; without
                it, what the run was started with.
            **options: ``env_kwargs``, ``wrappers`` and ``max_episode_steps``, where they are not those of the run (an
                environment that is made already has its own); and fields of
                :class:`~teamnet.spec.run.LaunchSpec` that differ, such as another backend.

        Raises:
            CheckpointError: there is none, or it is damaged.
            SpecError: an option is unknown.
        """
        again = {name: options.pop(name) for name in _OF_ENVIRONMENT if name in options}
        _check_launch(options)
        checkpoint = checkpoint_at(Path(folder))
        spec, where = spec_of_checkpoint(checkpoint)
        make = None if env is None and not again else given_again(spec, env, again)
        return cls._load(checkpoint, spec, replace(where, **options), make)

    @classmethod
    def load_or_new(cls, folder: str | Path, task: Any = "cartpole", *, preset: str = "", **options: Any) -> TeamAgent:
        """The agent of a folder, or a new one if it holds no checkpoint: one call for a job that may be restarted.

        Args:
            folder: that ``save`` wrote to, or will write to.
            task, preset, **options: of the agent, as for a new one; a checkpoint must be of the same spec.

        Raises:
            CheckpointError: the checkpoint is damaged, or of another spec.
            TeamnetError: see :class:`TeamAgent`.
        """
        if not checkpoints_in(Path(folder)):
            return cls(task, preset=preset, **options)
        given, options = _as_given(task, options)
        spec, launch = _specs(given.task, preset, options)
        checkpoint = newest_checkpoint(Path(folder))
        about = load_checkpoint(checkpoint)[1]
        check_same_rules(checkpoint, spec, about["spec"])
        written = from_plain(RunSpec, about["spec"], str(checkpoint))
        fitted = fit_depth(with_function_files(spec), Interface(**about["interface"]))
        check_same_spec(checkpoint, to_plain(fitted), to_plain(written))
        written = replace(written, env_steps=spec.env_steps, episodes=spec.episodes)
        return cls._load(checkpoint, written, launch, given.make)

    @classmethod
    def _load(cls, checkpoint: Path, spec: RunSpec, launch: LaunchSpec, make: Maker | None) -> TeamAgent:
        agent = cls.__new__(cls)
        agent._start(spec, launch, make)
        try:
            about = agent._run.continue_from(checkpoint)
        except BaseException:
            agent.close()
            raise
        if agent._run.refusal:
            warnings.warn(f"the agent predicts, but does not learn: {agent._run.refusal}", UserWarning, stacklevel=3)
        if about.get("owned", "metrics" in about):  # the agent saves as a new run, as that run's metrics end here
            agent._run.identity = new_run()
        return agent

    def close(self) -> None:
        """End the units and the environments; so does the end of the last reference to the agent."""
        self._end.detach()
        self._run.close()

    def __enter__(self) -> TeamAgent:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _end_run(run: Run) -> None:
    """Close a run that is no longer referenced; no caller is left to handle errors."""
    with suppress(Exception):
        run.close()


def _as_given(task: Any, options: Mapping[str, Any]) -> tuple[Given, dict[str, Any]]:
    """The environment that some options describe, and all options as a spec has them."""
    given = as_given(task, **{name: options[name] for name in _OF_ENVIRONMENT if name in options})
    return given, {**options, **given.options}


def _specs(task: str, preset: str, options: Mapping[str, Any]) -> tuple[RunSpec, LaunchSpec]:
    options = {name: plain_number(value) for name, value in options.items()}
    if callable(options.get("function")):
        options["function"] = reference_of_function(options["function"])
    launch_names = {field.name for field in fields(LaunchSpec)}
    rule = options.get("rule", "")
    kind = type(rule) if isinstance(rule, Rule) else rule
    if not preset and isinstance(kind, type) and issubclass(kind, Rule):
        spec = preset_of_rule(kind, task)
    else:
        spec = preset_of(task, preset or method_of(rule if isinstance(rule, str) else ""))
    if (ends := [options.get(name) for name in ("env_steps", "episodes")]) != [None, None]:
        options |= {"env_steps": ends[0], "episodes": ends[1]}  # as on the command line, one replaces both
    try:
        spec = changed(spec, **{name: value for name, value in options.items() if name not in launch_names})
    except SpecError as error:
        names = sorted({*launch_names, *to_plain(spec), *spec.rule.settings()})
        if not error.remedy.startswith(("Did you mean", "Known are")) or "." in error.where:
            raise
        remedy = nearest(error.where, names)
        raise SpecError(error.where, expected=error.expected, found=error.found, remedy=remedy) from None
    return (
        spec,
        LaunchSpec(**{name: value for name, value in options.items() if name in launch_names}),
    )


def _check_launch(options: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(LaunchSpec)}
    for name in options:
        if name not in known:
            raise SpecError(name, expected="a known option", found=repr(name), remedy=nearest(name, known))
