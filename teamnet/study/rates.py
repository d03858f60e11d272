"""The speed of a run, on a machine whose host may take processor time away."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from teamnet.errors import SpecError
from teamnet.training.run import Run
from teamnet.values import check_count

ENDLESS = 2**40
"""Environment steps of a run that ends on demand."""
QUIET = 0.02
"""The largest share of this machine's processor time that its host may take during a quiet timing."""
_PATIENCE = 30.0
"""Seconds for which timings are repeated to find quieter ones."""


@dataclass(frozen=True)
class Precision:
    """How a rate is measured.

    Args:
        seconds: the minimum duration of one timing.
        repeats: the number of timings, whose median is reported.

    Raises:
        SpecError: ``repeats`` is below 1, or ``seconds`` is not positive and finite.
    """

    seconds: float
    repeats: int

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds < math.inf:
            raise SpecError(
                "seconds", expected="a number above 0", found=str(self.seconds), remedy="Give such a number."
            )
        check_count("repeats", self.repeats, 1)


@dataclass(frozen=True)
class Timing:
    """One timing: environment steps a second, and the share of processor time that the host took during it."""

    rate: float
    stolen: float


def advance(run: Run, env_steps: int) -> None:
    """Train for ``env_steps`` environment steps, or a batch more; units may still be computing the last one."""
    end = run.task.env_steps + env_steps
    while run.task.env_steps < end:
        run.advance(lambda: run.task.env_steps >= end)


def rate(run: Run, env_steps: int) -> float:
    """Environment steps a second over the next ``env_steps`` (or a batch more), until every unit has finished them."""
    first, seconds = run.task.env_steps, run.seconds
    advance(run, env_steps)
    run.pause()
    return (run.task.env_steps - first) / (run.seconds - seconds)


def timings(run: Run, seconds: float, repeats: int) -> list[Timing]:
    """The quietest ``repeats`` of some timings of ``seconds`` or more each, after a warm-up of the same duration.

    A virtual machine whose host is busy can be several times slower than a moment before, and Linux counts the
    time in which it was ready to run but could not. Timings are repeated until ``repeats`` of them are ``QUIET``, for
    30 seconds at most. On a cluster, only this machine's share is known.
    """
    steps = run.spec.num_envs
    while steps / rate(run, steps) < seconds:
        steps *= 2
    found: list[Timing] = []
    begun = time.monotonic()
    while len(found) < repeats or (
        sum(timing.stolen <= QUIET for timing in found) < repeats and time.monotonic() - begun < _PATIENCE
    ):
        _stolen_share()
        speed = rate(run, steps)
        found.append(Timing(speed, _stolen_share()))
    return sorted(found, key=lambda timing: timing.stolen)[:repeats]


def _stolen_share() -> float:
    """The share of processor time that the host took since the last call; 0 where the system does not report it."""
    return getattr(psutil.cpu_times_percent(), "steal", 0.0) / 100.0


def median_rate(found: Sequence[Timing]) -> float:
    """Environment steps a second."""
    return statistics.median(timing.rate for timing in found)


def disturbance(rows: Sequence[Mapping[str, Any]]) -> str:
    """A note on results whose ``stolen`` share is above ``QUIET``; empty if there are none."""
    disturbed = [row["stolen"] for row in rows if (row.get("stolen") or 0.0) > QUIET]
    if not disturbed:
        return ""
    return (
        f"During {len(disturbed)} of {len(rows)} measurements the host took more than {100 * QUIET:.0f} % of this "
        f"machine's processor time away (up to {100 * max(disturbed):.0f} %): they are too slow."
    )
