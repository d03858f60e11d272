"""What lies in folders of runs: runs, studies and communication grids, wherever in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.presets import SINGLE_STEP_TASKS
from teamnet.study.communication.table import labels
from teamnet.study.experiment.results import Curve
from teamnet.study.scaling.table import scaling_table
from teamnet.training.learning_curve import running_mean
from teamnet.training.run_files import SPEC, SUMMARY, RunFiles, read_run_files

_POINTS = 400
"""Of a curve on the page."""


@dataclass(frozen=True)
class FoundRun:
    """One finished run.

    Args:
        name: where it lies, relative to the folder that was asked for.
        label: what it is: the method of a study's folder, else its rule and schedule.
        summary, spec: the objects of ``summary.json`` and of ``spec.json``.
        position, value: environment steps, and the mean return of the last 100 episodes (of a task of one step, the
            mean reward of 100 batches); float64 ``(points,)``.
    """

    name: str
    label: str
    summary: Mapping[str, Any]
    spec: Mapping[str, Any]
    position: np.ndarray
    value: np.ndarray


@dataclass
class Found:
    """All that was found.

    Args:
        runs: those that are finished.
        unfinished: how far the others are, by folder.
        grids, scalings: the lines of communication grids and of scaling experiments, by folder.
        unreadable: why a file could not be read, by its path.
    """

    runs: list[FoundRun] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    grids: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    scalings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing could be read."""
        return not (self.runs or self.unfinished or self.grids or self.scalings)


def collect(folders: Sequence[Path]) -> Found:
    """Look through folders; what is damaged is named on the page and does not keep the rest from it.

    Raises:
        SpecError: a folder does not exist, or there is nothing in any.
    """
    found = Found()
    for folder in folders:
        if not folder.is_dir():
            raise SpecError(
                "folder", expected="a folder of runs", found=str(folder),
                mend="Give what train, paper, comm or scale wrote to.",
            )
        for path in sorted({its.parent for name in (SPEC, SUMMARY) for its in folder.rglob(name)}):
            _read(found, path, lambda path, folder=folder: _take_run(found, path, folder))
        for path in sorted(folder.rglob("comm.jsonl")):
            _read(found, path, lambda path: found.grids.__setitem__(str(path.parent), _read_grid(path)))
        for path in sorted(folder.rglob("scale.jsonl")):
            _read(found, path, lambda path: found.scalings.__setitem__(str(path.parent), _read_scaling(path)))
    if found.empty and not found.unreadable:
        raise SpecError(
            "folder", expected="a spec.json, comm.jsonl or scale.jsonl somewhere below", found="none",
            mend="Give what train, paper, comm or scale wrote to.",
        )
    return found


def _read(found: Found, path: Path, take: Callable[[Path], None]) -> None:
    try:
        take(path)
    except CheckpointError as error:
        found.unreadable[error.where] = f"expected {error.expected}; found {error.found}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        found.unreadable[str(path)] = f"{type(error).__name__}: {error}"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _read_grid(path: Path) -> list[dict[str, Any]]:
    rows = _lines(path)
    labels(rows)
    for row in rows:
        _check_ledger(row["ledger"])
        float(row["env_steps_per_second"])
    return rows


def _read_scaling(path: Path) -> list[dict[str, Any]]:
    rows = _lines(path)
    scaling_table(rows)
    return rows


def _check_ledger(ledger: Mapping[str, Any]) -> None:
    """Fail here, where the file is known, and not while its figure is drawn."""
    for traffic in (ledger["total"], *ledger["edges"].values()):
        float(traffic["bytes_per_step"])
    for unit in ledger["units"]:
        _ = unit["name"], unit["computed"], unit["published"], unit["waited"]


def _take_run(found: Found, folder: Path, root: Path) -> None:
    """Read a run whose files belong together: one with a summary of all its metrics is finished."""
    files = read_run_files(folder)
    if files.summary is None:
        found.unfinished[str(folder)] = f"{len(files.lines):,} lines of metrics, no summary"
    else:
        found.runs.append(_read_run(files, files.summary, folder, root))


def _read_run(files: RunFiles, summary: Mapping[str, Any], folder: Path, root: Path) -> FoundRun:
    spec = files.about["spec"]
    _ = summary["mean_return"], spec["task"]
    if summary.get("communication"):
        _check_ledger(summary["communication"])
    steps = np.array([line["env_steps"] for line in files.lines], float)
    returns = np.array([line["return"] for line in files.lines], float)
    if spec["task"] not in SINGLE_STEP_TASKS:  # whose lines are means of many samples already
        returns = running_mean(returns)
    curve = Curve(steps, returns).thinned(_POINTS)
    relative = folder.relative_to(root)
    name = str(relative) if relative.parts else folder.name
    return FoundRun(name, _label(folder, summary, spec), summary, spec, curve.position, curve.value)


def _label(folder: Path, summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    if folder.name.startswith("seed-"):
        return folder.parent.name
    rule = summary.get("rule") or summary.get("method") or spec.get("rule", "run")
    schedule = spec.get("schedule", "jacobi")
    return f"{rule}, {schedule}" if rule == "map" and schedule != "jacobi" else str(rule)


def by_task(runs: Iterable[FoundRun]) -> dict[str, list[FoundRun]]:
    """Runs by their task, both in the order in which they were found."""
    tasks: dict[str, list[FoundRun]] = {}
    for run in runs:
        tasks.setdefault(str(run.spec.get("task", run.summary.get("task", "unknown"))), []).append(run)
    return tasks
