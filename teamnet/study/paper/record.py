"""``results.jsonl``: a line for each finished run, from which tables and figures can be made without its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.files import changed_values
from teamnet.study.paper.provenance import Go, read_goes
from teamnet.study.paper.results import Curve, Result
from teamnet.study.paper.runs import Study, check_same_spec
from teamnet.study.paper.tasks import TASKS

RESULTS = "results.jsonl"
_DIGITS = 4


@dataclass(frozen=True)
class Recorded:
    """Runs that are known by their lines alone.

    Args:
        results: the runs.
        goes: the calls of the command that made them.
    """

    results: Sequence[Result] = ()
    goes: Sequence[Go] = ()


def read_recorded(study: Study, folder: Path | None) -> Recorded:
    """What another folder's report was made from.

    Args:
        study: which specs its runs must have had.
        folder: has ``results.jsonl`` and perhaps ``goes.jsonl``; ``None`` for nothing.

    Raises:
        CheckpointError: a file is missing or damaged.
        SpecError: a run had another spec than this study's.
    """
    if folder is None:
        return Recorded()
    path, results = folder / RESULTS, []
    try:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            plain = json.loads(line)
            result = _from_line(plain)
            if result.task not in study.tasks_of(result.method):
                raise ValueError(f"line {number}: no run of this study, {result.task} {result.method}")
            check_same_spec(study.run(result.task, result.method, result.seed), plain["spec"], f"{path}:{number}")
            results.append(result)
        goes = read_goes(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            str(path), expected="a line that `teamnet paper` wrote for each run", found=str(error),
            mend="Give the folder of a report, such as docs, or leave out --recorded.",
        ) from None
    return Recorded(results, goes)


def merge(study: Study, recorded: Recorded, results: Sequence[Result]) -> list[Result]:
    """The study's own results and those recorded elsewhere, in the order of the tables.

    Raises:
        SpecError: a run is in both, and came out differently.
    """
    own = {_key(result): result for result in results}
    for result in recorded.results:
        mine = own.setdefault(_key(result), result)
        if mine.digest != result.digest:
            raise SpecError(
                f"{study.run(*_key(result)).folder}: digest", expected=f"the recorded run's, {result.digest}",
                found=str(mine.digest), mend="The packages that made the two differ: leave out --recorded.",
            )
    order = [(task, method) for task in TASKS for method in study.methods]
    return sorted(own.values(), key=lambda its: (order.index((its.task, its.method)), its.seed))


def write_results(study: Study, results: Sequence[Result]) -> None:
    """``results.jsonl`` in the study's folder."""
    lines = [json.dumps(_to_line(result, study)) + "\n" for result in results]
    study.files.write(RESULTS, "".join(lines).encode())


def _key(result: Result) -> tuple[str, str, int]:
    return result.task, result.method, result.seed


def _to_line(result: Result, study: Study) -> dict[str, Any]:
    line = {its.name: getattr(result, its.name) for its in fields(result)}
    line["spec"] = changed_values(study.run(*_key(result)).spec)
    if result.curve:
        rounded = [float(f"{value:.{_DIGITS}g}") for value in result.curve.value]
        line["curve"] = {"position": result.curve.position.tolist(), "value": rounded}
    return line


def _from_line(line: Mapping[str, Any]) -> Result:
    values = {name: value for name, value in line.items() if name != "spec"}
    if values["curve"] is not None:
        curve = values["curve"]
        values["curve"] = Curve(np.array(curve["position"]), np.array(curve["value"], float))
    return Result(**values)
