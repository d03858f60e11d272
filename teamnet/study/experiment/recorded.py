"""``results.jsonl``: a line for each finished run, from which tables and figures can be made without its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, SpecError, TeamnetError
from teamnet.spec.files import changed_values
from teamnet.study.experiment.invocations import Invocation, read_invocations
from teamnet.study.experiment.records import as_lines
from teamnet.study.experiment.results import Curve, Result, load_result
from teamnet.study.experiment.speeds import Speed, read_speeds
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.tasks import in_order

RESULTS = "results.jsonl"
_DIGITS = 4


@dataclass(frozen=True)
class Recorded:
    """Runs that are known only by their lines, the invocations of the command that made them, and speeds."""

    results: Sequence[Result] = ()
    invocations: Sequence[Invocation] = ()
    speeds: Sequence[Speed] = ()


def read_recorded(study: Study, folder: Path | None) -> Recorded:
    """The data of another folder's report.

    Args:
        study: has the specs that the runs must have.
        folder: has ``results.jsonl`` and optionally ``goes.jsonl`` and ``speeds.jsonl``; ``None`` for nothing.

    Raises:
        CheckpointError: a file is missing or damaged.
        SpecError: a run's spec differs from this study's.
    """
    if folder is None:
        return Recorded()
    path, results = folder / RESULTS, []
    try:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            plain = json.loads(line)
            result = _from_plain(plain)
            if result.method not in study.methods or not study.has(result.task, result.method):
                raise ValueError(f"line {number}: no run of this study, {result.task} {result.method}")
            try:
                planned = study.run(*result.key)
            except TeamnetError as error:
                raise ValueError(f"line {number}: {error}") from None
            planned.check_spec(plain["spec"], f"{path}:{number}")
            results.append(result)
        invocations = read_invocations(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            str(path), expected=f"a line that `teamnet {study.experiment.command}` wrote for each run",
            found=str(error), remedy="Give the folder of a report, such as docs, or leave out --recorded.",
        ) from None
    return Recorded(results, invocations, [speed for speed in read_speeds(folder) if speed.method in study.methods])


def all_results(study: Study, recorded: Recorded) -> list[Result]:
    """The results of the finished runs in a study's folder and of those recorded elsewhere, in the order of the tables.

    A run counts for every method that has the same one.

    Raises:
        SpecError: a run is in both with different digests, or a run of another spec is in the folder.
        CheckpointError: files of a run are damaged.
    """
    own = {result.key: result for run in study.begun() if (result := load_result(run))}
    for result in recorded.results:
        existing = own.setdefault(result.key, result)
        if existing.digest != result.digest:
            raise SpecError(
                f"{study.run(*result.key).folder}: digest", expected=f"the recorded run's, {result.digest}",
                found=str(existing.digest), remedy="The packages of the two runs differ: leave out --recorded.",
            )
    for key, equal in study.same_runs(own).items():
        for other in equal:
            own.setdefault(other, replace(own[key], method=other[1]))
    tasks = [task.name for task in in_order(result.task for result in own.values())]
    methods = list(study.methods)
    return sorted(
        own.values(), key=lambda result: (tasks.index(result.task), methods.index(result.method), result.seed)
    )


def all_speeds(study: Study, recorded: Recorded) -> Sequence[Speed]:
    """The speeds in a study's folder, or those recorded elsewhere if it has none.

    Raises:
        CheckpointError: the file is damaged.
    """
    return read_speeds(study.folder) or recorded.speeds


def write_results(study: Study, results: Sequence[Result]) -> None:
    """Write ``results.jsonl`` to the study's folder."""
    study.files.write(RESULTS, as_lines([_to_plain(result, study) for result in results]))


def _to_plain(result: Result, study: Study) -> dict[str, Any]:
    line = {field.name: getattr(result, field.name) for field in fields(result)}
    line["spec"] = changed_values(study.run(*result.key).spec)
    if result.curve:
        rounded = [float(f"{value:.{_DIGITS}g}") for value in result.curve.value]
        line["curve"] = {"position": result.curve.position.tolist(), "value": rounded}
    return line


def _from_plain(line: Mapping[str, Any]) -> Result:
    values = {name: value for name, value in line.items() if name != "spec"}
    if curve := values["curve"]:
        values["curve"] = Curve(np.array(curve["position"]), np.array(curve["value"], float))
    return Result(**values)
