"""Stable-Baselines3's A2C and PPO on the control tasks, as baselines for a team.

Both have a policy net and a value net of 64 and 32 tanh units, one environment, the CPU and one thread. Everything else
is Stable-Baselines3's own default, none of it tuned for a task; ``spec.json`` lists the values.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from gymnasium.spaces import Dict

from teamnet.errors import ResourceError
from teamnet.spec.files import to_plain
from teamnet.spec.presets import check_environment, environment_id, preset
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.kept_run import content_of_run
from teamnet.training.spaces import make_environment
from teamnet.values import check_choice

ALGORITHMS = ("a2c", "ppo")


@dataclass(frozen=True)
class BaselineSpec:
    """A run of a Stable-Baselines3 algorithm with the library's hyperparameters.

    Args:
        task: a preset or Gymnasium id, or an environment of a user's own.
        algorithm: ``a2c`` or ``ppo``.
        seed: of Stable-Baselines3's generators and of the environment.
        episodes: length of the run; the preset's if left out.
        env_steps: unused; a baseline is compared over the same episodes.
    """

    task: str
    algorithm: str
    seed: int
    episodes: int | None = None
    env_steps: int | None = None


def installed() -> bool:
    """Whether Stable-Baselines3 is."""
    return find_spec("stable_baselines3") is not None


def check_algorithm(algorithm: str) -> None:
    """Refuse an algorithm that is unknown or that this installation cannot run.

    Raises:
        SpecError: it is unknown.
        ResourceError: Stable-Baselines3 is not installed.
    """
    check_choice("algorithm", algorithm, ALGORITHMS)
    if not installed():
        raise ResourceError(
            f"algorithm {algorithm}", expected="Stable-Baselines3 to be installed", found="it is not",
            remedy="Run: pip install 'teamnet[baselines]'",
        )


class Baseline:
    """A Stable-Baselines3 algorithm with an environment, before its first step.

    Args:
        spec: of the run.

    Attributes:
        settings: all arguments of the algorithm, as JSON types.

    Raises:
        SpecError: the task or the algorithm is invalid.
        ResourceError: Stable-Baselines3 is not installed.
    """

    def __init__(self, spec: BaselineSpec) -> None:
        check_environment("task", spec.task)
        check_algorithm(spec.algorithm)
        import stable_baselines3
        import torch
        from stable_baselines3.common.logger import Logger

        torch.set_num_threads(1)
        algorithm = getattr(stable_baselines3, spec.algorithm.upper())
        settings = {"seed": spec.seed, "device": "cpu", "verbose": 0}
        self._environment = make_environment(preset(spec.task))
        try:
            policy = "MultiInputPolicy" if isinstance(self._environment.observation_space, Dict) else "MlpPolicy"
            self._model: Any = algorithm(policy, self._environment, policy_kwargs=_policy(), **settings)
        except BaseException:
            self.close()
            raise
        # the default logger creates a temporary folder for every run
        self._model.set_logger(Logger(folder=None, output_formats=[]))
        self.settings = {"policy": policy, **_defaults(algorithm), **settings, "policy_kwargs": _policy()}

    def train(self, log: EpisodeLog) -> None:
        """Train until the log ends the run; no default schedule reads the total number of steps."""
        self._model.learn(total_timesteps=2**40, callback=_listener(log))

    def advance(self, env_steps: int) -> int:
        """Train for some environment steps, and to the end of the rollout; returns how many were done."""
        before = self._model.num_timesteps
        self._model.learn(total_timesteps=env_steps, reset_num_timesteps=False)
        return self._model.num_timesteps - before

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()


def train_baseline(spec: BaselineSpec, log: EpisodeLog | None = None) -> dict[str, bytes]:
    """Train a baseline until its log has the requested number of episodes.

    Args:
        spec: of the run.
        log: receives the episodes; a new one for the spec's number of episodes if left out.

    Returns:
        The content of ``spec.json``, ``metrics.jsonl`` and ``summary.json``, by name. Returns are the environment's
        own: nothing is clipped or scaled.

    Raises:
        SpecError: the task, the algorithm or the number of episodes is invalid.
        ResourceError: Stable-Baselines3 is not installed.
    """
    default_episodes = preset(spec.task).episodes or 0
    log = log or EpisodeLog(default_episodes if spec.episodes is None else spec.episodes)
    with closing(Baseline(spec)) as baseline:
        baseline.train(log)
    settings_of_run = {
        "environment": environment_id(spec.task), "num_envs": 1, "threads": 1, **baseline.settings,
    }
    versions = {name: importlib.metadata.version(name) for name in ("stable-baselines3", "torch")}
    summary = {
        "task": spec.task, "method": f"sb3-{spec.algorithm}", "seed": spec.seed, **log.summary(), "versions": versions,
    }
    return content_of_run(to_plain(spec), log.lines, summary, settings=settings_of_run)


def _listener(log: EpisodeLog) -> Any:
    from stable_baselines3.common.callbacks import BaseCallback

    class Listener(BaseCallback):
        """Reports every episode to the log, from the returns and lengths that the environment's monitor records."""

        def _on_training_start(self) -> None:
            log.begin()

        def _on_step(self) -> bool:
            (info,) = self.locals["infos"]
            episode = info.get("episode")
            return not (episode and log.ended(self.num_timesteps, float(episode["r"]), int(episode["l"])))

    return Listener()


def _policy() -> dict[str, Any]:
    """A new dictionary for every call, because A2C adds its optimiser to the one it receives."""
    return {"net_arch": [64, 32]}


def _defaults(algorithm: type) -> dict[str, Any]:
    """The default arguments of a Stable-Baselines3 algorithm, as far as they are JSON types."""
    parameters = inspect.signature(algorithm.__init__).parameters.values()
    return {
        parameter.name: parameter.default for parameter in parameters
        if isinstance(parameter.default, int | float | str | None) and not parameter.name.startswith("_")
    }
