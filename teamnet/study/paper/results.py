"""What a finished run comes to: its scores, its learning curve, and what made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError
from teamnet.spec.run import RunSpec
from teamnet.study.paper.runs import Planned
from teamnet.study.paper.tasks import TASKS, StudyTask
from teamnet.training.learning_curve import WINDOW, running_mean
from teamnet.training.run_files import RunFiles, read_run_files

EARLY_SAMPLES = 1_000_000
"""Samples over which a single-step task's early mean goes."""
_POINTS = 150
"""Of a smoothed curve, which is about what a figure can show."""


@dataclass(frozen=True)
class Curve:
    """Returns of one run, in order; float64 ``(lines,)``.

    Args:
        position: episodes so far, or samples so far of a single-step task.
        value: the return of that episode, or the mean over the samples since the line before.
    """

    position: np.ndarray
    value: np.ndarray

    def smoothed(self, task: StudyTask) -> Curve:
        """At most 150 points of it, of a control task the mean of the last 100 episodes at each."""
        value = self.value if task.single_step else running_mean(self.value)
        return Curve(self.position, value).thinned(_POINTS)

    def thinned(self, points: int) -> Curve:
        """At most so many points of it, evenly spread from the first to the last."""
        chosen = np.unique(np.linspace(0, len(self.value) - 1, min(len(self.value), points)).astype(int))
        return Curve(self.position[chosen], self.value[chosen])


@dataclass(frozen=True)
class Result:
    """One finished run.

    Args:
        task, method, seed: which run it is.
        average_return: over all episodes, or over all samples of a single-step task.
        episodes, env_steps: that were trained.
        episodes_to_perfect: the first episode whose return is the score at which the task counts as solved (for
            CartPole the highest there is); ``None`` if there is none.
        episodes_to_solved: the first episode at which the mean of the last 100 reaches that score; ``None`` if none.
        final_return: mean of the last 100 episodes, or the last line (12,800 samples) of a single-step task.
        early_return: mean over the first million samples of a single-step task that has as many.
        seconds: of training.
        env_steps_per_second: on one core, beside whatever else ran.
        digest: of the parameters; a peer may have none.
        version: of teamnet that made it.
        curve: smoothed; ``None`` if it was not kept.
        said: messages and bytes of an average step by kind of edge, where units fall silent once they have settled and
            the spec alone does not tell; else ``None``.
    """

    task: str
    method: str
    seed: int
    average_return: float
    episodes: int
    env_steps: int
    episodes_to_perfect: int | None
    episodes_to_solved: int | None
    final_return: float
    early_return: float | None
    seconds: float
    env_steps_per_second: float | None
    digest: str | None
    version: str
    curve: Curve | None = None
    said: dict[str, list[float]] | None = None


def _curve_of(run: Planned, files: RunFiles) -> Curve:
    name = "env_steps" if TASKS[run.task].single_step else "episode"
    try:
        positions = np.array([line[name] for line in files.lines])
        returns = np.array([line["return"] for line in files.lines], float)
    except (ValueError, LookupError, TypeError) as error:
        raise _unfit(run, f"lines with other values: {error}") from None
    if not len(returns):
        raise _unfit(run, "no line of metrics")
    return Curve(positions, returns)


def _unfit(run: Planned, found: str) -> CheckpointError:
    return CheckpointError(
        str(run.folder), expected="the files of a finished run", found=found,
        mend="Remove that folder; the run will be done again.",
    )


def first_reached(values: np.ndarray, score: float, window: int = 1) -> int | None:
    """The number of values at which the mean of the last ``window`` is first ``score`` or more; ``None`` if never."""
    reached = np.flatnonzero(running_mean(values, window)[window - 1 :] >= score - 1e-9)
    return int(reached[0]) + window if len(reached) else None


def measure(run: Planned) -> Result:
    """What a finished run comes to.

    Raises:
        CheckpointError: its files are damaged, or those of different runs.
    """
    files = read_run_files(run.folder)
    if files.summary is None:
        raise _unfit(run, "no summary of all its metrics")
    task, curve, summary, about = TASKS[run.task], _curve_of(run, files), files.summary, files.about
    early = curve.position <= EARLY_SAMPLES
    scores: dict[str, Any] = {"episodes_to_perfect": None, "episodes_to_solved": None}
    if task.solved is not None:
        scores["episodes_to_perfect"] = first_reached(curve.value, task.solved)
        scores["episodes_to_solved"] = first_reached(curve.value, task.solved, WINDOW)
    return Result(
        run.task, run.method, run.seed, **scores,
        average_return=float(summary["mean_return"] if task.single_step else curve.value.mean()),
        episodes=summary["episodes"], env_steps=summary["env_steps"],
        final_return=float(curve.value[-1] if task.single_step else running_mean(curve.value)[-1]),
        early_return=float(curve.value[early].mean())
        if task.single_step and summary["env_steps"] >= EARLY_SAMPLES else None,
        seconds=summary["seconds"], env_steps_per_second=summary.get("env_steps_per_second"),
        digest=summary.get("digest"), version=about.get("version", "unknown"), curve=curve.smoothed(task),
        said=_said(summary["communication"]) if isinstance(run.spec, RunSpec) and run.spec.tolerance else None,
    )


def _said(ledger: dict[str, Any]) -> dict[str, list[float]]:
    return {kind: [its["messages_per_step"], its["bytes_per_step"]] for kind, its in ledger["edges"].items()}

