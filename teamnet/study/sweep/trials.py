"""Trials: which values are tried, and one trial's training, told report by report."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from teamnet.errors import TeamnetError
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.resolve import Interface
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.sweep.vary import Variation, vary_spec
from teamnet.training.run import Run

REPORTS = 20
"""How often a trial reports on its way to the end; a scheduler may stop it at any report."""


def draw_trials(
    spec: RunSpec, variations: Sequence[Variation], interface: Interface, *, trials: int, seeds: int, seed: int
) -> list[dict[str, Any]]:
    """The trials of a sweep as JSON types: ``trial`` (number), ``values`` (by label), ``seeds`` and ``spec``.

    Each range is cut into as many equal parts as there are trials, and every part is used once, in an order of its own
    (a Latin hypercube): values are random, yet no range has a gap. No two runs share a seed, so that what a seed does
    to a run is not taken for what a value does.

    Args:
        spec: what is varied.
        variations: what is varied in it.
        interface: of the task.
        trials: how many.
        seeds: runs in each trial.
        seed: of the draw, and of the first run.

    Raises:
        SpecError: the values of some trial make no sense.
    """
    generator = np.random.default_rng(seed)
    shares = [(generator.permutation(trials) + generator.random(trials)) / trials for _ in variations]
    drawn = []
    for number in range(trials):
        values = {its.label: its.range.at(float(share[number])) for its, share in zip(variations, shares, strict=True)}
        varied = vary_spec(spec, variations, values, interface)
        first = seed + number * seeds
        drawn.append(
            {
                "trial": number, "values": values, "seeds": list(range(first, first + seeds)), "spec": to_plain(varied),
            }
        )
    return drawn


def train_trial(trial: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Train all seeds of a trial side by side in this process; yields ``REPORTS`` times or until a run fails.

    Args:
        trial: one of :func:`draw_trials`.

    Yields:
        ``score`` (mean return over all episodes so far, then over the seeds; not a number before every seed has
        finished an episode), ``done``, and ``row``: what ``trials.jsonl`` is to hold if it is the last report.
    """
    begun = time.perf_counter()
    runs: list[Run] = []
    curve: list[float | None] = []
    error = None
    try:
        for number in range(1, REPORTS + 1):
            try:
                runs = runs or _start(trial)
                for run in runs:
                    _advance(run, number / REPORTS)
                curve.append(_score(runs))
            except TeamnetError as refusal:
                error = str(refusal)
            done = error is not None or number == REPORTS
            row = _row(trial, runs, curve, error, time.perf_counter() - begun)
            score = row["mean_return"]
            yield {"score": math.nan if score is None else score, "done": done, "row": row}
            if done:
                return
    finally:
        for run in runs:
            run.close()


def _start(trial: dict[str, Any]) -> list[Run]:
    spec = from_plain(RunSpec, trial["spec"])
    return [Run(replace(spec, seed=seed), LaunchSpec(backend="local")) for seed in trial["seeds"]]


def _advance(run: Run, share: float) -> None:
    spec, task = run.spec, run.task
    while not run.done:
        ends = ((task.env_steps, spec.env_steps), (task.episodes, spec.episodes))
        if any(end is not None and done >= share * end for done, end in ends):
            return
        run.advance()


def _score(runs: Sequence[Run]) -> float | None:
    if not all(run.task.episodes for run in runs):
        return None
    return sum(run.task.return_sum / run.task.episodes for run in runs) / len(runs)


def _row(
    trial: dict[str, Any], runs: Sequence[Run], curve: Sequence[float | None], error: str | None, seconds: float
) -> dict[str, Any]:
    finished = error is None and all(run.done for run in runs)
    return {
        "trial": trial["trial"], "values": trial["values"], "seeds": trial["seeds"],
        "mean_return": _score(runs) if runs else None,
        "episodes": sum(run.task.episodes for run in runs), "env_steps": sum(run.task.env_steps for run in runs),
        "stopped_early": not finished, "seconds": round(seconds, 3), "error": error, "curve": list(curve),
        "digests": [run.summary()["digest"] for run in runs] if finished else [],
    }
