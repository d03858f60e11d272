"""Stable-Baselines3's A2C and PPO on the control tasks, as peers of a team.

Both have a policy net and a value net of 64 and 32 tanh units, one environment, the CPU and one thread. Everything else
is Stable-Baselines3's own default, none of it tuned for a task; ``spec.json`` lists the values.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from typing import Any

from teamnet.errors import ResourceError
from teamnet.spec.check import check_choice
from teamnet.spec.presets import ENVIRONMENTS, environment_id, preset
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.kept_run import content_of_run
from teamnet.training.spaces import make_environment

ALGORITHMS = ("a2c", "ppo")


def train_peer(task: str, algorithm: str, seed: int, episodes: int | None = None) -> dict[str, bytes]:
    """Train a peer until exactly ``episodes`` episodes have ended.

    Args:
        task: ``cartpole``, ``acrobot``, ``lunarlander`` or ``mountaincar``.
        algorithm: ``a2c`` or ``ppo``.
        seed: of Stable-Baselines3's generators and of the environment.
        episodes: the preset's if left out.

    Returns:
        The content of ``spec.json``, ``metrics.jsonl`` and ``summary.json``, by name. Returns are the environment's
        own: nothing is clipped or scaled.

    Raises:
        SpecError: the task, the algorithm or the number of episodes makes no sense.
        ResourceError: Stable-Baselines3 is not installed.
    """
    check_choice("task", task, tuple(ENVIRONMENTS))
    log = EpisodeLog(_usual_episodes(task) if episodes is None else episodes)
    spec, summary = run_peer(task, algorithm, seed, log)
    return content_of_run(spec, log.lines, summary)


def _usual_episodes(task: str) -> int:
    episodes = preset(task).episodes
    assert episodes is not None, "every control task's preset ends after some episodes"
    return episodes


def check_algorithm(algorithm: str) -> None:
    """Refuse an algorithm that this installation cannot run.

    Raises:
        ResourceError: Stable-Baselines3 is not installed.
    """
    _import_peers(algorithm)


def run_peer(task: str, algorithm: str, seed: int, log: EpisodeLog) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a peer until ``log`` has had enough; returns its spec and its summary.

    Raises:
        SpecError, ResourceError: as for :func:`train_peer`.
    """
    check_choice("task", task, tuple(ENVIRONMENTS))
    check_choice("algorithm", algorithm, ALGORITHMS)
    algorithm_class, callback_class = _import_peers(algorithm)

    class Listener(callback_class):
        """Tells the log of every episode, from the returns and lengths that the environment's monitor keeps."""

        def _on_training_start(self) -> None:
            log.begin()

        def _on_step(self) -> bool:
            (about,) = self.locals["infos"]
            episode = about.get("episode")
            return not (episode and log.ended(self.num_timesteps, float(episode["r"]), int(episode["l"])))

    settings = {"seed": seed, "device": "cpu", "verbose": 0}
    spec = {
        "task": task, "environment": environment_id(task), "method": f"sb3-{algorithm}", "policy": "MlpPolicy",
        "num_envs": 1, "threads": 1, **_defaults(algorithm_class), **settings, "policy_kwargs": _policy(),
    }
    environment = make_environment(preset(task))
    try:
        model = algorithm_class("MlpPolicy", environment, policy_kwargs=_policy(), **settings)
        model.set_logger(_silent_logger())
        # the only bound is the log's; no default schedule looks at the total
        model.learn(total_timesteps=2**40, callback=Listener())
    finally:
        environment.close()
    versions = {name: importlib.metadata.version(name) for name in ("stable-baselines3", "torch")}
    summary = {"task": task, "method": f"sb3-{algorithm}", "seed": seed, **log.summary(), "versions": versions}
    return spec, summary


def _silent_logger() -> Any:
    """A logger that writes nothing; Stable-Baselines3's own makes a folder in the temporary folder for every run."""
    from stable_baselines3.common.logger import Logger

    return Logger(folder=None, output_formats=[])


def _policy() -> dict[str, Any]:
    """Made anew at every use, because A2C adds its optimiser to what it is given."""
    return {"net_arch": [64, 32]}


def _defaults(algorithm_class: type) -> dict[str, Any]:
    """The values that Stable-Baselines3 takes where none is given, as far as they are JSON types."""
    parameters = inspect.signature(algorithm_class.__init__).parameters.values()
    return {
        parameter.name: parameter.default for parameter in parameters
        if isinstance(parameter.default, int | float | str | None) and not parameter.name.startswith("_")
    }


def _import_peers(algorithm: str) -> tuple[Any, Any]:
    """The algorithm's class and the callbacks' base class; torch is held to one thread."""
    try:
        import stable_baselines3
        import torch
        from stable_baselines3.common.callbacks import BaseCallback
    except ImportError as error:
        raise ResourceError(
            f"algorithm {algorithm}", expected="Stable-Baselines3 to be installed", found=str(error),
            mend="Run: pip install 'teamnet[peers]'",
        ) from None
    torch.set_num_threads(1)
    return getattr(stable_baselines3, algorithm.upper()), BaseCallback
