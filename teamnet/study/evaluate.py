"""Evaluation: a trained policy acts, nothing learns."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gymnasium.wrappers import RecordVideo

from teamnet.errors import EnvironmentRefused, SpecError
from teamnet.spec.presets import SINGLE_STEP_TASKS
from teamnet.spec.resolve import build_teams
from teamnet.spec.run import RunSpec
from teamnet.team.state import check_layers
from teamnet.training.checkpoint import load_checkpoint, newest_checkpoint
from teamnet.training.environments import misbehaviour
from teamnet.training.policy import Policy
from teamnet.training.run import make_task, spec_of_checkpoint
from teamnet.training.single_step import SingleStepTask
from teamnet.training.spaces import ActionMap, make_environment
from teamnet.training.watch import Watch


@dataclass(frozen=True)
class Evaluation:
    """Returns of some episodes, and where videos of them were written."""

    returns: list[float]
    lengths: list[int]
    videos: Path | None

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Standard deviation of the returns."""
        return float(np.std(self.returns))


def evaluate(folder: Path, *, episodes: int, greedy: bool, render: bool, seed: int) -> Evaluation:
    """Let the newest checkpoint of a folder act.

    Args:
        folder: what ``train`` wrote to.
        episodes: how many; for a single-step task, batches of ``num_envs`` samples.
        greedy: every unit takes its mean and a categorical one its likeliest action, instead of samples.
        render: record videos to ``videos/`` in the folder.
        seed: of the environment and of the samples.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        EnvironmentRefused: a video is asked for and cannot be made, or the environment does not answer as it should.
        SpecError: there is no episode, or the seed is below 0.
    """
    for name, number, least in (("episodes", episodes, 1), ("seed", seed, 0)):
        if number < least:
            raise SpecError(name, expected=f"{least} or more", found=str(number), mend="Give such a number.")
    checkpoint = newest_checkpoint(folder)
    spec, launch = spec_of_checkpoint(checkpoint)
    state, _ = load_checkpoint(checkpoint)
    with closing(make_task(spec, launch.env_patience)) as task:
        layers = build_teams(spec, task.interface)[0]
        check_layers(layers, state)
        policy = Policy(layers, state, seed)
        if spec.task in SINGLE_STEP_TASKS:
            assert isinstance(task, SingleStepTask)
            task.draw_from(seed)
            returns = [_sample(task, policy, layers[-1].family, greedy=greedy) for _ in range(episodes)]
            return Evaluation(returns, [1] * episodes, None)
    videos = folder / "videos" if render else None
    with closing(Watch(spec.task, launch.env_patience)) as watch:
        try:
            return _play(spec, policy, watch, videos, episodes=episodes, greedy=greedy, seed=seed)
        except Exception as error:
            raise misbehaviour(spec.task, "an environment that answers as it promises", error) from error


def _sample(task: SingleStepTask, policy: Policy, family: str, *, greedy: bool) -> float:
    """The mean return of one batch of samples."""
    task.begin()
    output = policy.act(task.outcome.observation, greedy=greedy)
    before = task.return_sum
    task.step(output if family == "categorical" else np.hstack([output, output]))
    return (task.return_sum - before) / len(task.outcome.observation)


def _play(
    spec: RunSpec, policy: Policy, watch: Watch, videos: Path | None, *, episodes: int, greedy: bool, seed: int
) -> Evaluation:
    """Some episodes of an environment."""
    environment = make_environment(spec, render_mode="rgb_array" if videos else None)
    if videos:
        try:
            environment = RecordVideo(environment, str(videos), episode_trigger=lambda number: True)
        except Exception as error:
            raise EnvironmentRefused(
                spec.task, expected="an environment that can be recorded", found=str(error),
                mend="Run: pip install 'teamnet[video]'",
            ) from None
    to_action = ActionMap(spec, environment.action_space)
    returns, lengths = [], []
    for number in range(episodes):
        observation, _ = watch.ask(environment.reset, seed=seed if number == 0 else None)
        total, length, over = 0.0, 0, False
        while not over:
            output = policy.act(np.asarray(observation, np.float64)[None], greedy=greedy)[0]
            observation, reward, terminated, truncated, _ = watch.ask(environment.step, to_action(output))
            total, length, over = total + float(reward), length + 1, terminated or truncated
        returns.append(total)
        lengths.append(length)
    watch.ask(environment.close)
    return Evaluation(returns, lengths, videos)
