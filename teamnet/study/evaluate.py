"""Evaluation of a trained policy, without learning."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import flatdim
from gymnasium.wrappers import RecordVideo

from teamnet.errors import CheckpointError, EnvironmentRefused, SpecError
from teamnet.spec.files import from_plain
from teamnet.spec.resolve import build_teams
from teamnet.spec.run import SINGLE_STEP_TASKS, LaunchSpec, RunSpec
from teamnet.team.state import check_layers
from teamnet.training.checkpoint import checkpoint_at, load_checkpoint
from teamnet.training.episodes import MOST_STEPS, Episodes, play
from teamnet.training.misbehaviour import misbehaviour
from teamnet.training.policy import Policy
from teamnet.training.run_folder import VIDEOS
from teamnet.training.single_step import SingleStepTask, make_single_step_task
from teamnet.training.statistics import cannot_freeze
from teamnet.training.trained_policy import TrainedPolicy, trained_environment
from teamnet.training.watch import Watch
from teamnet.values import check_count


@dataclass(frozen=True)
class Evaluation(Episodes):
    """The episodes of a policy, and their videos.

    Args:
        videos: the folder of their videos, if any.
    """

    videos: Path | None = None


@dataclass(frozen=True)
class EvaluationSettings:
    """How a policy is evaluated.

    Args:
        episodes: how many; for a single-step task, batches of ``num_envs`` samples.
        greedy: every unit outputs its mean, and a categorical one its most probable action, instead of a sample.
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
    """Evaluate a checkpoint.

    Args:
        folder: that ``train`` or ``TeamAgent.save`` wrote to, for its newest checkpoint; or a checkpoint's JSON file.
        settings: how the policy is evaluated.
        say: called with each warning about the checkpoint or the environment.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or the wrappers differ from those in training.
        EnvironmentRefused: a requested video cannot be recorded, or the environment violates its interface.
        SpecError: a number is invalid, or there is nothing to record.
    """
    for name, number, least in (
        ("episodes", settings.episodes, 1), ("seed", settings.seed, 0), ("max_steps", settings.max_steps, 1)
    ):
        check_count(name, number, least)
    path = checkpoint_at(folder, say)
    state, about = load_checkpoint(path)
    spec = from_plain(RunSpec, about["spec"], execute=False)
    launch = from_plain(LaunchSpec, about["launch"])
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
            f"training found that {spec.task} depends on more than its generator and actions: the state that it keeps "
            "between episodes is not in the checkpoint, and returns can differ from those of training"
        )
    videos = path.parent / VIDEOS if settings.render else None
    with closing(Watch(spec.task, launch.env_patience)) as watch:
        try:
            environment = watch.ask(
                trained_environment, spec, about["statistics"], "rgb_array" if settings.render else None
            )
            try:
                if (numbers := flatdim(environment.observation_space)) != policy.observation_size:
                    raise CheckpointError(
                        str(path), expected=f"a policy for observations of {numbers} numbers",
                        found=f"one for {policy.observation_size}", remedy="Use the task of the training.",
                    )
                for wrapper in cannot_freeze(environment):
                    say(f"the running means of {wrapper} change here too: give it the attribute update_running_mean")
                if videos:
                    environment = _recorded(environment, videos, f"{about['run']}-{about['step']}", spec.task)
                found = play(
                    environment, policy, episodes=settings.episodes, seed=settings.seed, greedy=settings.greedy,
                    max_steps=settings.max_steps, ask=watch.ask,
                )
                return Evaluation(found.returns, found.lengths, found.cut, videos)
            finally:
                watch.ask(environment.close)
        except Exception as error:
            raise misbehaviour(spec.task, "an environment that answers as it promises", error) from error


def _recorded(environment: gymnasium.Env[Any, Any], videos: Path, name: str, task: str) -> gymnasium.Env[Any, Any]:
    """The environment with video recording; file names have the run's identity, so that no other video is replaced."""
    try:
        return RecordVideo(environment, str(videos), episode_trigger=lambda number: True, name_prefix=name)
    except Exception as error:
        raise EnvironmentRefused(
            task, expected="an environment that can be recorded, and a folder for it", found=str(error),
            remedy=f"Run: pip install 'teamnet[video]', and check that {videos} is a folder.",
        ) from None


def _sample(spec: RunSpec, state: dict[str, np.ndarray], settings: EvaluationSettings) -> Evaluation:
    """Evaluate on batches of a single-step task."""
    task = make_single_step_task(spec)
    layers = build_teams(spec, task.interface)[0]
    check_layers(layers, state)
    policy = Policy(layers, state, settings.seed)
    task.draw_from(settings.seed)
    chooses = layers[-1].unit_type.one_agent
    returns = [_mean_of_batch(task, policy, chooses=chooses, greedy=settings.greedy) for _ in range(settings.episodes)]
    return Evaluation(returns, [1] * settings.episodes)


def _mean_of_batch(task: SingleStepTask, policy: Policy, *, chooses: bool, greedy: bool) -> float:
    """The mean return of one batch of samples."""
    task.begin()
    output = policy.act(task.outcome.observation, greedy=greedy)
    before = task.return_sum
    task.step(output if chooses else np.hstack([output, output]))
    return (task.return_sum - before) / len(task.outcome.observation)
