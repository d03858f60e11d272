"""How fast each method is: all of them timed in turn in one process, so that a busy machine slows all alike.

A study's runs are made on different days beside different loads, so that their own times cannot be compared.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import teamnet
from teamnet.errors import CheckpointError
from teamnet.spec.files import changed_values
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.baselines import Baseline, installed
from teamnet.study.experiment.records import as_lines, read_records
from teamnet.study.experiment.study import Study
from teamnet.study.rates import ENDLESS, advance
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run import Run

SPEEDS = "speeds.jsonl"
ROUNDS = 5
STEPS = 2_048
"""Steps of one timing: a rollout of Stable-Baselines3's PPO, after which it learns."""


@dataclass(frozen=True)
class Speed:
    """The speed of one method; its fields are keys of the lines in ``speeds.jsonl``.

    Args:
        method: its name.
        spec: the values of its run that are no defaults.
        version: of teamnet that was measured.
        rates: steps a second on one core, one for each round in which the training did not fail; the reset of an
            environment is a step of a team too.
    """

    method: str
    spec: dict[str, Any]
    version: str
    rates: list[float]

    @property
    def median(self) -> float | None:
        """Steps a second; ``None`` if there are no rates."""
        return statistics.median(self.rates) if self.rates else None


def with_missing(study: Study, known: Sequence[Speed], wanted: Collection[str], others: Collection[str]) -> list[Speed]:
    """The known speeds; those of all methods, measured now, if a wanted one is missing or of another spec or version.

    Only speeds of one measurement can be compared, so that the known ones are then measured again.

    Args:
        study: whose experiment names the task.
        known: speeds of an earlier measurement.
        wanted: methods that need a speed.
        others: methods that are measured too if a wanted one is missing.
    """
    def runnable(name: str) -> bool:
        return installed() or not study.methods[name].algorithm

    valid = {
        speed.method for speed in known if speed.rates and replace(speed, rates=[]) == _blank(study, speed.method)
    }
    if not {name for name in wanted if runnable(name)} - valid:
        return list(known)
    chosen = {*wanted, *others}
    return measure(study, [name for name in study.methods if name in chosen and runnable(name)])


def measure(study: Study, methods: Sequence[str]) -> list[Speed]:
    """Train each method in this process for some steps, one method after the other, and this several times.

    Args:
        study: whose experiment names the task.
        methods: by name.
    """
    print(f"timing {len(methods)} methods, {ROUNDS} rounds", file=sys.stderr, flush=True)
    speeds = [_blank(study, name) for name in methods]
    with ExitStack() as until_end:
        timed: list[tuple[Speed, Callable[[], float]]] = []
        for speed in speeds:
            # whatever fails, also in another library: the report is written without that speed
            with suppress(Exception):
                rate = _started(study, speed.method, until_end)
                rate()  # a warm-up
                timed.append((speed, rate))
        for _ in range(ROUNDS):
            for speed, rate in timed:
                with suppress(Exception):
                    speed.rates.append(rate())
    return speeds


def _blank(study: Study, method: str) -> Speed:
    spec = study.run(study.experiment.timed_task, method, 0).spec
    return Speed(method, json.loads(json.dumps(changed_values(spec))), teamnet.__version__, [])


def _started(study: Study, method: str, until_end: ExitStack) -> Callable[[], float]:
    """What times a method's next steps; it is closed by ``until_end``."""
    spec = study.run(study.experiment.timed_task, method, 0).spec
    if isinstance(spec, RunSpec):
        endless = replace(spec, env_steps=ENDLESS, episodes=None)
        run = until_end.enter_context(closing(Run(endless, LaunchSpec("local"))))
        return partial(_timed, partial(_advance, run))
    return partial(_timed, partial(until_end.enter_context(closing(Baseline(spec))).advance, STEPS))


def _advance(run: Run) -> int:
    first = run.step
    advance(run, STEPS)
    return run.step - first


def _timed(advance: Callable[[], int]) -> float:
    begun = time.perf_counter()
    return round(advance() / (time.perf_counter() - begun), 1)


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
