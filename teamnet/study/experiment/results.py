"""The result of a finished run: its scores, its learning curve, and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError
from teamnet.spec.run import RunSpec, at_end
from teamnet.study.experiment.study import Key, Planned
from teamnet.study.experiment.tasks import StudyTask, task_of
from teamnet.training.learning_curve import WINDOW, running_mean
from teamnet.training.run_files import SPEC, SUMMARY, RunFiles, check_digests, read_run_files

EARLY_SAMPLES = 1_000_000
"""Samples in a single-step task's early mean."""
_POINTS = 150
"""Points of a smoothed curve, about as many as a figure can show."""


@dataclass(frozen=True)
class Curve:
    """Returns of one run, in order; float64 ``(lines,)``.

    Args:
        position: episodes so far, or samples so far of a single-step task.
        value: the return of that episode, or the mean over the samples since the previous line.
    """

    position: np.ndarray
    value: np.ndarray

    def smoothed(self, task: StudyTask) -> Curve:
        """At most 150 points of it; for a control task, each is the mean of the last 100 episodes."""
        value = self.value if task.single_step else running_mean(self.value)
        return Curve(self.position, value).thinned(_POINTS)

    def thinned(self, points: int) -> Curve:
        """At most ``points`` points of it, evenly spaced from the first to the last."""
        chosen = np.unique(np.linspace(0, len(self.value) - 1, min(len(self.value), points)).astype(int))
        return Curve(self.position[chosen], self.value[chosen])


@dataclass(frozen=True)
class Result:
    """One finished run; its fields are keys of the lines in ``results.jsonl``.

    Args:
        task, method, seed: which run it is.
        average_return: over all episodes, or over all samples of a single-step task.
        episodes, env_steps: of training.
        episodes_to_perfect: the first episode whose return is the score at which the task counts as solved (for
            CartPole the maximum); ``None`` if there is none.
        episodes_to_solved: the first episode at which the mean of the last 100 reaches that score; ``None`` if none.
        final_return: mean of the last 100 episodes, or the last line (100 batches) of a single-step task.
        early_return: mean over the first million samples of a single-step task that has as many.
        seconds: of training.
        env_steps_per_second: on one core, while others ran on the other cores.
        digest: of the parameters; a baseline has none.
        version: of teamnet that made it.
        curve: smoothed; ``None`` if it was not recorded.
        said: messages and bytes of an average step by kind of edge, where settled units send nothing and the spec alone
            does not determine the traffic; else ``None``.
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

    @property
    def key(self) -> Key:
        """What identifies the run."""
        return self.task, self.method, self.seed


def first_reached(values: np.ndarray, score: float, window: int = 1) -> int | None:
    """The number of values at which the mean of the last ``window`` is first ``score`` or more; ``None`` if never."""
    reached = np.flatnonzero(running_mean(values, window)[window - 1 :] >= score - 1e-9)
    return int(reached[0]) + window if len(reached) else None


def load_result(run: Planned) -> Result | None:
    """The result of a run; ``None`` if it is not in its folder, or has not reached its end.

    Raises:
        SpecError: the run in the folder has another spec, or its environment is in a file that has changed since.
        CheckpointError: its files are damaged, or belong to different runs.
    """
    if not (run.folder / SUMMARY).exists():
        return None
    files = read_run_files(run.folder)
    run.check_spec(files.about["spec"], str(run.folder / SPEC))
    if isinstance(run.spec, RunSpec):
        check_digests(run.folder / SPEC, files.about, run.spec)
    if files.summary is None or not at_end(files.summary, env_steps=run.spec.env_steps, episodes=run.spec.episodes):
        return None
    try:
        return _measure(run, files, files.summary)
    except (ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            str(run.folder), expected="the files of a finished run", found=f"other values: {error}",
            remedy="Remove that folder; the run will be repeated.",
        ) from None


def _measure(run: Planned, files: RunFiles, summary: dict[str, Any]) -> Result:
    task = task_of(run.task)
    curve = Curve(
        np.array([line["env_steps" if task.single_step else "episode"] for line in files.lines]),
        np.array([line["return"] for line in files.lines], float),
    )
    early = curve.position <= EARLY_SAMPLES
    return Result(
        *run.key,
        average_return=float(summary["mean_return"] if task.single_step else curve.value.mean()),
        episodes=summary["episodes"], env_steps=summary["env_steps"],
        episodes_to_perfect=None if task.solved is None else first_reached(curve.value, task.solved),
        episodes_to_solved=None if task.solved is None else first_reached(curve.value, task.solved, WINDOW),
        final_return=float(curve.value[-1] if task.single_step else running_mean(curve.value)[-1]),
        early_return=float(curve.value[early].mean())
        if task.single_step and summary["env_steps"] >= EARLY_SAMPLES else None,
        seconds=summary["seconds"], env_steps_per_second=summary.get("env_steps_per_second"),
        digest=summary.get("digest"), version=files.about.get("version", "unknown"), curve=curve.smoothed(task),
        said=_sent(summary["communication"])
        if isinstance(run.spec, RunSpec) and run.spec.messages.send_threshold else None,
    )


def _sent(ledger: dict[str, Any]) -> dict[str, list[float]]:
    return {kind: [edge["messages_per_step"], edge["bytes_per_step"]] for kind, edge in ledger["edges"].items()}
