"""The search of folders for runs, communication grids and scaling experiments, at any depth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.former import renewed
from teamnet.spec.run import SINGLE_STEP_TASKS, USUAL_RULE
from teamnet.study.communication.table import comm_table
from teamnet.study.experiment.records import Record, read_records
from teamnet.study.experiment.results import Curve
from teamnet.study.scaling.table import scaling_table
from teamnet.training.learning_curve import running_mean
from teamnet.training.run_files import SPEC, SUMMARY, RunFiles, read_run_files

_POINTS = 200
"""Points of a curve on the page."""


@dataclass(frozen=True)
class FoundRun:
    """One finished run.

    Args:
        name: its folder, relative to the requested folder.
        label: the method of a study's folder, else its rule and schedule.
        summary, spec: the objects of ``summary.json`` and of ``spec.json``.
        returns: of each episode, or of each hundred batches of a task of one step; float64 ``(lines,)``.
        curve: of the mean return of the last 100 episodes (of a task of one step, the mean reward of 100 batches) by
            environment step.
    """

    name: str
    label: str
    summary: Mapping[str, Any]
    spec: Mapping[str, Any]
    returns: np.ndarray
    curve: Curve

    @property
    def ledger(self) -> Mapping[str, Any]:
        """The traffic of a step; empty if it was not counted."""
        return self.summary.get("communication") or {}


@dataclass
class Found:
    """The results of a search.

    Args:
        runs: those that are finished.
        unfinished: the progress of the others, by folder.
        grids, scalings: the records of communication grids and of scaling experiments, by folder.
        traces: of a step, in Chrome's format, by path.
        unreadable: why a file could not be read, by its path.
    """

    runs: list[FoundRun] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    grids: dict[str, list[Record]] = field(default_factory=dict)
    scalings: dict[str, list[Record]] = field(default_factory=dict)
    traces: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing could be read."""
        return not (self.runs or self.unfinished or self.grids or self.scalings or self.traces)


def collect(folders: Sequence[Path]) -> Found:
    """Search folders; damaged files are listed on the page and do not prevent the rest.

    Raises:
        SpecError: a folder does not exist, or none contains anything.
    """
    found = Found()
    for folder in folders:
        if not folder.is_dir():
            raise _refusal("a folder of runs", str(folder))
        for path in sorted({path.parent for name in (SPEC, SUMMARY) for path in folder.rglob(name)}):
            _try(found, path, lambda path=path, folder=folder: _take_run(found, path, folder))
        for name, records, table in (
            ("comm.jsonl", found.grids, comm_table), ("scale.jsonl", found.scalings, scaling_table)
        ):
            for path in sorted(folder.rglob(name)):
                _try(found, path, lambda path=path, records=records, table=table: _take_records(records, path, table))
        for path in sorted(folder.rglob("trace*.json")):
            _try(found, path, lambda path=path, folder=folder: _take_trace(found, path, folder))
    if found.empty and not found.unreadable:
        raise _refusal("a spec.json, comm.jsonl or scale.jsonl somewhere below", "none")
    return found


def _refusal(expected: str, found: str) -> SpecError:
    return SpecError(
        "folder", expected=expected, found=found, remedy="Give a folder that train, paper, comm or scale wrote to."
    )


def _try(found: Found, path: Path, take: Callable[[], None]) -> None:
    try:
        take()
    except CheckpointError as error:
        found.unreadable[error.where] = f"expected {error.expected}; found {error.found}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        found.unreadable[str(path)] = f"{type(error).__name__}: {error}"


def _take_records(records: dict[str, list[Record]], path: Path, table: Callable[[list[Record]], str]) -> None:
    """Store the records of an experiment; if they are damaged, its table fails here, where the file is known."""
    rows = read_records(path)
    if not rows:
        raise ValueError("no record")
    table(rows)
    records[str(path.parent)] = rows


def _take_trace(found: Found, path: Path, root: Path) -> None:
    trace = json.loads(path.read_bytes())
    for event in trace["traceEvents"]:  # fail here, where the file is known, and not while its figure is drawn
        _ = event["ph"], event["name"], event["pid"], event["tid"]
        if event["ph"] == "X":
            _ = event["cat"], float(event["ts"]) + float(event["dur"])
    found.traces[str(path.relative_to(root))] = trace


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
    steps = np.array([line["env_steps"] for line in files.lines], float)
    returns = np.array([line["return"] for line in files.lines], float)
    # the lines of a task of one step are means of many samples already
    smooth = returns if spec["task"] in SINGLE_STEP_TASKS else running_mean(returns)
    relative = folder.relative_to(root)
    name = str(relative) if relative.parts else folder.name
    run = FoundRun(name, _label(folder, summary, spec), summary, spec, returns, Curve(steps, smooth).thinned(_POINTS))
    if ledger := run.ledger:  # fail here, where the file is known, and not while its figure is drawn
        _ = [float(traffic["bytes_per_step"]) for traffic in (ledger["total"], *ledger["edges"].values())]
        _ = [(unit["name"], unit["computed"], unit["published"], unit["waited"]) for unit in ledger["units"]]
        flows = ledger.get("flows", ())
        _ = [(flow["from"], flow["to"], flow["kind"], float(flow["bytes_per_step"])) for flow in flows]
    return run


def _label(folder: Path, summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    if folder.name.startswith("seed-"):
        return folder.parent.name
    named = renewed(spec).get("rule", {})
    rule = summary.get("rule") or summary.get("method") or named.get("name", "run")
    schedule = named.get("settings", {}).get("schedule", "jacobi")
    return f"{rule}, {schedule}" if rule == USUAL_RULE and schedule != "jacobi" else str(rule)
