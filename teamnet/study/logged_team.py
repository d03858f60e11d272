"""A team that is trained in this process until its log has the requested episodes."""

from __future__ import annotations

from dataclasses import replace

from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.rates import ENDLESS
from teamnet.training.run import Run


def train_team(spec: RunSpec, log: EpisodeLog) -> RunSpec:
    """Train a team; the log receives its episodes, and alone ends the run.

    Returns:
        The spec that the run had: without an end of its own.

    Raises:
        TeamnetError: the run is refused or failed.
    """
    run = Run(replace(spec, env_steps=ENDLESS, episodes=None), LaunchSpec(backend="local"))
    try:
        log.begin()
        while not log.over:
            for episode in run.advance():
                log.ended(episode.env_steps, episode.total, episode.length)
    finally:
        run.close()
    return run.spec
