"""Trials: the values of each, and the training of one, report by report."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from scipy.stats import qmc

from teamnet.errors import TeamnetError
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.resolve import Interface
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.sweep.variation import Variation, vary_spec
from teamnet.training.run import Run

REPORTS = 20
"""Number of reports of a trial that runs to its end; a scheduler may stop it at any report."""


def draw_trials(
    spec: RunSpec, variations: Sequence[Variation], interface: Interface, *, trials: int, seeds: int, seed: int
) -> list[dict[str, Any]]:
    """The trials of a sweep as JSON types: ``trial`` (number), ``values`` (by label), ``seeds`` and ``spec``.

    Values are a Latin hypercube sample: random, but without gaps in any range. No two runs share a seed, so that the
    effect of a seed is not mistaken for the effect of a value.

    Args:
        spec: the spec that is varied.
        variations: the varied fields and their ranges.
        interface: of the task.
        trials: their number.
        seeds: runs in each trial.
        seed: of the draw, and of the first run.

    Raises:
        SpecError: the values of a trial are invalid.
    """
    drawn = []
    for number, shares in enumerate(qmc.LatinHypercube(len(variations), rng=seed).random(trials).tolist()):
        values = {entry.label: entry.range.at(share) for entry, share in zip(variations, shares, strict=True)}
        first = seed + number * seeds
        drawn.append({
            "trial": number, "values": values, "seeds": list(range(first, first + seeds)),
            "spec": to_plain(vary_spec(spec, variations, values, interface)),
        })
    return drawn


def train_trial(trial: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Train all seeds of a trial in turn in this process; yields ``REPORTS`` times or until a run fails.

    Args:
        trial: one of :func:`draw_trials`.

    Yields:
        ``score`` (mean return over all episodes so far, then over the seeds; not a number before every seed has
        finished an episode), ``done``, and ``row``: the record for ``trials.jsonl`` if it is the last report.
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
            finished = error is None and all(run.done for run in runs)
            score = _score(runs) if runs else None
            yield {"score": math.nan if score is None else score, "done": bool(error) or number == REPORTS, "row": {
                "trial": trial["trial"], "values": trial["values"], "seeds": trial["seeds"], "mean_return": score,
                "episodes": sum(run.task.episodes for run in runs),
                "env_steps": sum(run.task.env_steps for run in runs), "stopped_early": not finished,
                "seconds": round(time.perf_counter() - begun, 3), "error": error, "curve": list(curve),
                "digests": [run.summary()["digest"] for run in runs] if finished else [],
            }}
            if error:
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
