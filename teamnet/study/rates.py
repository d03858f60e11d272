"""How fast a run is, on a machine from which its host may take processor time away."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamnet.training.run import Run

ENDLESS = 2**40
"""Environment steps of a run that ends when it is told to."""
QUIET = 0.02
"""The share of this machine's processor time that its host may give to others during a timing that counts."""
_PATIENCE = 30.0
"""Seconds for which quieter timings are waited for."""
_STAT, _STOLEN = Path("/proc/stat"), 7


@dataclass(frozen=True)
class Timing:
    """One timing: environment steps a second, and the share of processor time that the host took meanwhile."""

    rate: float
    stolen: float


def advance(run: Run, env_steps: int) -> None:
    """Train for ``env_steps`` environment steps, or a batch more; units may still be at the last one."""
    end = run.task.env_steps + env_steps
    while run.task.env_steps < end:
        run.advance(lambda: run.task.env_steps >= end)


def rate(run: Run, env_steps: int) -> float:
    """Environment steps a second over the next ``env_steps`` (or a batch more), until every unit is done with them."""
    first, seconds = run.task.env_steps, run.seconds
    advance(run, env_steps)
    run.pause()
    return (run.task.env_steps - first) / (run.seconds - seconds)


def timings(run: Run, seconds: float, repeats: int) -> list[Timing]:
    """The quietest ``repeats`` of some timings of ``seconds`` or more each, after a warm-up of as many.

    A virtual machine whose host is busy can be several times slower than a moment before, and knows it: Linux counts
    the time in which it wanted to run and could not. Timings are repeated until ``repeats`` of them are ``QUIET``, for
    30 seconds at most. Of a cluster, this machine's share alone is known.
    """
    steps = run.spec.num_envs
    while steps / rate(run, steps) < seconds:
        steps *= 2
    found: list[Timing] = []
    begun = time.monotonic()
    while len(found) < repeats or (
        sum(its.stolen <= QUIET for its in found) < repeats and time.monotonic() - begun < _PATIENCE
    ):
        before = _processor_times()
        speed = rate(run, steps)
        found.append(Timing(speed, _stolen_share(before, _processor_times())))
    return sorted(found, key=lambda its: its.stolen)[:repeats]


def median_rate(found: Sequence[Timing]) -> float:
    """Environment steps a second."""
    return statistics.median(its.rate for its in found)


def disturbance(rows: Sequence[Mapping[str, Any]]) -> str:
    """What to say about results whose ``stolen`` share is above ``QUIET``; empty if there are none."""
    disturbed = [row["stolen"] for row in rows if (row.get("stolen") or 0.0) > QUIET]
    if not disturbed:
        return ""
    return (
        f"During {len(disturbed)} of {len(rows)} measurements the host took more than {100 * QUIET:.0f} % of this "
        f"machine's processor time away (up to {100 * max(disturbed):.0f} %): they are too slow."
    )


def _processor_times() -> list[int]:
    """Clock ticks of all processors by what they did; see proc_stat(5). Elsewhere than on Linux: nothing stolen."""
    try:
        return [int(ticks) for ticks in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return [0] * 8


def _stolen_share(before: Sequence[int], after: Sequence[int]) -> float:
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return spent[_STOLEN] / max(1, sum(spent))
