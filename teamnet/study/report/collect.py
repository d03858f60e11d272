"""The search of folders for runs, communication grids and scaling experiments, at any depth."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.former import renewed
from teamnet.spec.run import SINGLE_STEP_TASKS, USUAL_RULE
from teamnet.study.communication.table import comm_table
from teamnet.study.experiment.records import Record, read_records
from teamnet.study.experiment.results import Curve
from teamnet.study.report.charts.network import draw_network
from teamnet.study.report.found import Found, FoundRun
from teamnet.study.report.run_table import run_rows
from teamnet.study.scaling.table import scaling_table
from teamnet.training.learning_curve import running_mean
from teamnet.training.run_files import SPEC, SUMMARY, RunFiles, read_run_files

_POINTS = 200
"""Points of a curve on the page."""


def collect(folders: Sequence[Path]) -> Found:
    """Search folders; damaged files are listed on the page and do not prevent the rest.

    What is found twice counts once: a path that two folders have, and a copy of a finished run.

    Raises:
        SpecError: a folder does not exist, or none contains anything.
    """
    search = _Search(folders)
    for folder in folders:
        if not folder.is_dir():
            raise _refusal("a folder of runs", str(folder))
        for path in sorted({path.parent for name in (SPEC, SUMMARY) for path in folder.rglob(name)}):
            search.take(path, search.take_run)
        for path in sorted(folder.rglob("comm.jsonl")):
            search.take(path, lambda path: _take_records(search.found.grids, path, comm_table))
        for path in sorted(folder.rglob("scale.jsonl")):
            search.take(path, lambda path: _take_records(search.found.scalings, path, scaling_table))
        for path in sorted(folder.rglob("trace*.json")):
            search.take(path, search.take_trace)
    found = search.found
    if found.empty and not found.unreadable:
        raise _refusal("a spec.json, comm.jsonl or scale.jsonl somewhere below", "none")
    return found


class _Search:
    """What has been found so far, and the names of runs and traces: their paths below the folder of all folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.found = Found()
        self._root = os.path.commonpath([os.path.abspath(folder) for folder in folders]) if folders else ""
        self._seen: dict[str, Path] = {}
        self._runs: dict[tuple[str, str], str] = {}

    def take(self, path: Path, take: Callable[[Path], None]) -> None:
        """Read a file, or the folder of a run, unless it was found before; if it is damaged, keep why."""
        first = self._seen.setdefault(os.path.realpath(path), path)
        if first is not path:
            self.found.repeated[str(path)] = str(first)
            return
        try:
            take(path)
        except CheckpointError as error:
            self.found.unreadable[error.where] = f"expected {error.expected}; found {error.found}"
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            self.found.unreadable[str(path)] = f"{type(error).__name__}: {error}"

    def take_run(self, folder: Path) -> None:
        """Read a run whose files belong together: one with a summary of all its metrics is finished."""
        files = read_run_files(folder)
        if files.summary is None:
            self.found.unfinished[str(folder)] = f"{len(files.lines):,} lines of metrics, no summary"
            return
        same = files.run, json.dumps(files.summary)  # a copy that was trained further is another run
        if same in self._runs:
            self.found.repeated[str(folder)] = self._runs[same]
        else:
            self.found.runs.append(_read_run(files, files.summary, folder, self._name(folder)))
            self._runs[same] = str(folder)

    def take_trace(self, path: Path) -> None:
        """Read the trace of a step."""
        trace = json.loads(path.read_bytes())
        for event in trace["traceEvents"]:  # fail here, where the file is known, and not while its figure is drawn
            _ = event["ph"], event["name"], event["pid"], event["tid"]
            if event["ph"] == "M" and event["name"] == "thread_name":
                _ = event["args"]["name"]
            if event["ph"] == "X":
                _ = event["cat"], float(event["ts"]) + float(event["dur"]), event["args"]["step"]
        self.found.traces[self._name(path)] = trace

    def _name(self, path: Path) -> str:
        name = os.path.relpath(os.path.abspath(path), self._root)
        return path.name if name == os.curdir else name


def _refusal(expected: str, found: str) -> SpecError:
    return SpecError(
        "folder", expected=expected, found=found, remedy="Give a folder that train, paper, comm or scale wrote to."
    )


def _take_records(records: dict[str, list[Record]], path: Path, table: Callable[[list[Record]], str]) -> None:
    """Store the records of an experiment; if they are damaged, its table fails here, where the file is known."""
    rows = read_records(path)
    if not rows:
        raise ValueError("no record")
    table(rows)
    records[str(path.parent)] = rows


def _read_run(files: RunFiles, summary: Mapping[str, Any], folder: Path, name: str) -> FoundRun:
    spec = files.about["spec"]
    _ = spec["task"]
    steps = np.array([line["env_steps"] for line in files.lines], float)
    returns = np.array([line["return"] for line in files.lines], float)
    # the lines of a task of one step are means of many samples already
    smooth = returns if spec["task"] in SINGLE_STEP_TASKS else running_mean(returns)
    run = FoundRun(name, _label(folder, summary, spec), summary, spec, returns, Curve(steps, smooth).thinned(_POINTS))
    _ = run.mean_return  # fail here, where the file is known, and not while a figure is drawn
    _ = json.dumps(run_rows([run]), allow_nan=False)
    if ledger := run.ledger:
        _ = [float(traffic["bytes_per_step"]) for traffic in (ledger["total"], *ledger["edges"].values())]
        _ = float(ledger["exchanges_per_step"] or 0.0)
        _ = [(unit["name"], unit["computed"], unit["published"], unit["waited"]) for unit in ledger["units"]]
        if ledger.get("flows"):
            draw_network(run)
    return run


def _label(folder: Path, summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    if folder.name.startswith("seed-"):
        return folder.parent.name
    named = renewed(spec).get("rule", {})
    rule = summary.get("rule") or summary.get("method") or named.get("name", "run")
    schedule = named.get("settings", {}).get("schedule", "jacobi")
    return f"{rule}, {schedule}" if rule == USUAL_RULE and schedule != "jacobi" else str(rule)
