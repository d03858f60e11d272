"""Evaluation: a trained policy acts, nothing learns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import RecordVideo

from teamnet.errors import CheckpointError, EnvironmentRefused, SpecError
from teamnet.spec.files import from_plain
from teamnet.spec.resolve import build_teams
from teamnet.spec.run import SINGLE_STEP_TASKS, LaunchSpec, RunSpec
from teamnet.team.state import check_layers
from teamnet.training.checkpoint import load_checkpoint, newest_checkpoint
from teamnet.training.environments import misbehaviour
from teamnet.training.policy import Policy
from teamnet.training.run_folder import VIDEOS
from teamnet.training.single_step import SingleStepTask, make_single_step_task
from teamnet.training.statistics import cannot_freeze
from teamnet.training.trained_policy import TrainedPolicy, trained_environment
from teamnet.training.watch import Watch
from teamnet.values import check_count

MOST_STEPS = 100_000
"""Environment steps of an episode, if its end is not given and the environment has none."""


@dataclass(frozen=True)
class Evaluation:
    """The episodes of a policy.

    Args:
        returns, lengths: of each episode, the sum of its rewards and its environment steps.
        cut: episodes that were not over after the most steps that one may have.
        videos: the folder in which videos of them were written, if any.
    """

    returns: list[float]
    lengths: list[int]
    cut: int = 0
    videos: Path | None = None

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Standard deviation of the returns."""
        return float(np.std(self.returns))


@dataclass(frozen=True)
class EvaluationSettings:
    """How a policy is evaluated.

    Args:
        episodes: how many; for a single-step task, batches of ``num_envs`` samples.
        greedy: every unit takes its mean and a categorical one its likeliest action, instead of samples.
        render: record videos to ``videos/`` in the folder.
        seed: of the environment and of the samples.
        max_steps: environment steps after which an episode is cut.
    """

    episodes: int = 10
    greedy: bool = False
    render: bool = False
    seed: int = 0
    max_steps: int = MOST_STEPS


def evaluate(
    folder: Path, settings: EvaluationSettings, say: Callable[[str], None] = lambda message: None
) -> Evaluation:
    """Let the newest checkpoint of a folder act.

    Args:
        folder: what ``train`` or ``TeamAgent.save`` wrote to.
        settings: how.
        say: called with what the reader should know about the environment.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or the wrappers are others than in training.
        EnvironmentRefused: a video is asked for and cannot be made, or the environment does not answer as it should.
        SpecError: a number makes no sense, or there is nothing to be recorded.
    """
    for name, number, least in (
        ("episodes", settings.episodes, 1), ("seed", settings.seed, 0), ("max_steps", settings.max_steps, 1)
    ):
        check_count(name, number, least)
    path = newest_checkpoint(folder, say)
    state, about = load_checkpoint(path)
    spec, launch = from_plain(RunSpec, about["spec"]), from_plain(LaunchSpec, about["launch"])
    if spec.task in SINGLE_STEP_TASKS:
        if settings.render:
            raise SpecError(
                "render", expected="a task with an environment", found=f"{spec.task}, a task of one step",
                remedy="Leave out --render.",
            )
        return _sample(spec, state, settings)
    policy = TrainedPolicy.of_checkpoint(path, settings.seed)
    if about.get("replayable") is False:
        say(
            f"{spec.task} depends on more than its generator and actions, as training found: what it keeps beyond an "
            "episode is not in the checkpoint, and the returns need not be those of training"
        )
    videos = folder / VIDEOS if settings.render else None
    with closing(Watch(spec.task, launch.env_patience)) as watch:
        try:
            environment = watch.ask(
                trained_environment, spec, about["statistics"], "rgb_array" if settings.render else None
            )
            try:
                if environment.observation_space.shape != (policy.observation_size,):
                    raise CheckpointError(
                        str(path), expected=f"a policy for observations {environment.observation_space.shape}",
                        found=f"one for ({policy.observation_size},)", remedy="Use the task of the training.",
                    )
                for layer in cannot_freeze(environment):
                    say(f"{layer} has running means that change here too: give it the attribute update_running_mean")
                if videos:
                    environment = _recorded(environment, videos, f"{about['run']}-{about['step']}", spec.task)
                return _play(environment, policy, watch, settings, videos)
            finally:
                watch.ask(environment.close)
        except Exception as error:
            raise misbehaviour(spec.task, "an environment that answers as it promises", error) from error


def _recorded(environment: gymnasium.Env[Any, Any], videos: Path, name: str, task: str) -> gymnasium.Env[Any, Any]:
    """The environment with a camera; the run's identity is in the names of its videos, so that no other is replaced."""
    try:
        return RecordVideo(environment, str(videos), episode_trigger=lambda number: True, name_prefix=name)
    except Exception as error:
        raise EnvironmentRefused(
            task, expected="an environment that can be recorded, and a folder for it", found=str(error),
            remedy=f"Run: pip install 'teamnet[video]', and see that {videos} is a folder.",
        ) from None


def _sample(spec: RunSpec, state: dict[str, np.ndarray], settings: EvaluationSettings) -> Evaluation:
    """Some batches of a single-step task."""
    task = make_single_step_task(spec)
    layers = build_teams(spec, task.interface, acting=True)[0]
    check_layers(layers, state)
    policy = Policy(layers, state, settings.seed)
    task.draw_from(settings.seed)
    family = layers[-1].family
    returns = [_mean_of_batch(task, policy, family, greedy=settings.greedy) for _ in range(settings.episodes)]
    return Evaluation(returns, [1] * settings.episodes)


def _mean_of_batch(task: SingleStepTask, policy: Policy, family: str, *, greedy: bool) -> float:
    """The mean return of one batch of samples."""
    task.begin()
    output = policy.act(task.outcome.observation, greedy=greedy)
    before = task.return_sum
    task.step(output if family == "categorical" else np.hstack([output, output]))
    return (task.return_sum - before) / len(task.outcome.observation)


def _play(
    environment: gymnasium.Env[Any, Any], policy: TrainedPolicy, watch: Watch, settings: EvaluationSettings,
    videos: Path | None,
) -> Evaluation:
    """Some episodes of an environment."""
    returns, lengths, cut = [], [], 0
    for number in range(settings.episodes):
        observation, _ = watch.ask(environment.reset, seed=settings.seed if number == 0 else None)
        total, length, over = 0.0, 0, False
        while not over and length < settings.max_steps:
            action = policy.predict(observation, settings.greedy)[0]
            observation, reward, terminated, truncated, _ = watch.ask(environment.step, action)
            total, length, over = total + float(reward), length + 1, bool(terminated or truncated)
        returns.append(total)
        lengths.append(length)
        cut += not over
    return Evaluation(returns, lengths, cut, videos)
