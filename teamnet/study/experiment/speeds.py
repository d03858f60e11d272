"""How fast each method is: all of them timed in turn in one process, so that a busy machine slows all alike.

A study's runs are made on different days beside different loads, so that their own times cannot be compared.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from teamnet.errors import CheckpointError, TeamnetError
from teamnet.spec.run import RunSpec
from teamnet.study.baselines import installed, train_baseline
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.experiment.records import as_lines, read_records
from teamnet.study.experiment.study import Study
from teamnet.study.logged_team import train_team
from teamnet.training.owned_files import OwnedFiles

SPEEDS = "speeds.jsonl"
ROUNDS = 5
EPISODES = 100
"""Episodes of one timing, unless the study's runs are shorter."""


@dataclass(frozen=True)
class Speed:
    """The speed of one method; its fields are keys of the lines in ``speeds.jsonl``.

    Args:
        method: its name.
        rates: environment steps a second on one core, one for each round in which the training did not fail.
    """

    method: str
    rates: list[float]

    @property
    def median(self) -> float | None:
        """Environment steps a second; ``None`` if there are no rates."""
        return statistics.median(self.rates) if self.rates else None


def with_missing(study: Study, known: Sequence[Speed], wanted: Collection[str], others: Collection[str]) -> list[Speed]:
    """The known speeds, or those of all methods, measured now, if a wanted one is missing.

    Only speeds of one measurement can be compared, so that the known ones are then measured again.

    Args:
        study: whose experiment names the task.
        known: speeds of an earlier measurement.
        wanted: methods that need a speed.
        others: methods that are measured too if a wanted one is missing.
    """
    def runnable(name: str) -> bool:
        return installed() or not study.methods[name].algorithm

    missing = {name for name in wanted if runnable(name)} - {speed.method for speed in known}
    if not missing:
        return list(known)
    return measure(study, [name for name in study.methods if name in {*missing, *others} and runnable(name)])


def measure(study: Study, methods: Sequence[str]) -> list[Speed]:
    """Train each method in this process for some episodes, one method after the other, and this several times.

    Args:
        study: whose experiment names the task.
        methods: by name.
    """
    print(f"timing {len(methods)} methods, {ROUNDS} rounds", file=sys.stderr, flush=True)
    speeds = [Speed(name, []) for name in methods]
    for number in range(ROUNDS):
        for speed in speeds:
            with suppress(TeamnetError):
                speed.rates.append(_rate(study, speed.method, number))
    return speeds


def _rate(study: Study, method: str, seed: int) -> float:
    spec = study.run(study.experiment.timed_task, method, seed).spec
    log = EpisodeLog(min(EPISODES, spec.episodes or EPISODES))
    if isinstance(spec, RunSpec):
        train_team(spec, log)
    else:
        train_baseline(replace(spec, episodes=log.wanted), log)
    return log.summary()["env_steps_per_second"]


def read_speeds(folder: Path) -> list[Speed]:
    """The speeds in a folder of a report; none if they were not measured.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / SPEEDS
    try:
        speeds = [Speed(**row) for row in read_records(path)]
        if not all(rate > 0.0 for speed in speeds for rate in speed.rates):
            raise ValueError("a rate that is not above 0")
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            str(path), expected="a line with a method and its rates for each method", found=str(error),
            remedy="Remove the file; the methods will be timed again.",
        ) from None
    return speeds


def write_speeds(files: OwnedFiles, speeds: Sequence[Speed]) -> None:
    """Write ``speeds.jsonl`` among the files of a report, if any were measured."""
    if speeds:
        files.write(SPEEDS, as_lines([asdict(speed) for speed in speeds]))
