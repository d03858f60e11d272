"""The two sides of a comparison: what a folder of runs or a file of benchmarks holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from teamnet.errors import SpecError
from teamnet.study.communication.grid import Configuration
from teamnet.study.experiment.records import Record, read_records
from teamnet.study.report.collect import collect
from teamnet.study.report.flat import flat
from teamnet.study.report.found import FoundRun


@dataclass(frozen=True)
class Side:
    """One side.

    Args:
        name: its path, as given.
        option: of the command line, ``before`` or ``after``.
        runs: the finished runs by task.
        grid, scaling, bench: the records of communication grids, of scaling experiments and of ``teamnet bench
            --json``, by what identifies each.
        unread: what could not be read, and why.
        repeated: what was found before, by the path of what is left out.
    """

    name: str
    option: str
    runs: Mapping[str, list[FoundRun]] = field(default_factory=dict)
    grid: Mapping[str, Record] = field(default_factory=dict)
    scaling: Mapping[str, Record] = field(default_factory=dict)
    bench: Mapping[str, Record] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, str] = field(default_factory=dict)


def read_side(path: Path, option: str) -> Side:
    """Read a folder, with all folders below it, or the output of ``teamnet bench --json``.

    Raises:
        SpecError: there is nothing to compare, or two records of the same configuration.
        CheckpointError: the file of a benchmark is damaged.
    """
    if path.is_file():
        rows = {str(row["name"]): row for row in read_records(path) if row.get("ratio") is not None and "name" in row}
        if not rows:
            raise SpecError(
                option, expected="a folder of runs, or the output of teamnet bench --json", found=str(path),
                remedy="Give such a file.",
            )
        return Side(str(path), option, bench=rows)
    if not path.is_dir():
        raise SpecError(
            option, expected="a folder, or a file", found=str(path),
            remedy="Give what train, paper, comm, scale or bench --json wrote.",
        )
    found = collect([path])
    runs: dict[str, list[FoundRun]] = {}
    for run in found.runs:
        runs.setdefault(str(run.spec["task"]), []).append(run)
    grid = _by_key(option, ((_key(row), folder, row) for folder, rows in found.grids.items() for row in rows))
    scaling = _by_key(option, (
        (f"{_key(row)}, {row['factor']} {row['value']}", folder, row)
        for folder, rows in found.scalings.items() for row in rows
    ))
    return Side(str(path), option, runs, grid, scaling, unread=found.unreadable, repeated=found.repeated)


def _key(row: Record) -> str:
    """The task, the whole configuration, and where a record ran, whatever else its experiment had."""
    names = [each.name for each in fields(Configuration)]
    values = [str(row[name]) for name in ("task", *names) if row[name] is not None]
    where = [f"{name} {row[name]}" for name in ("backend", "link_latency", "link_bandwidth", "nodes") if row.get(name)]
    return ", ".join([*values, *where])


def _by_key(option: str, records: Iterable[tuple[str, str, Record]]) -> dict[str, Record]:
    """The records, each with its key and folder, by their keys.

    Raises:
        SpecError: two have the same key.
    """
    found: dict[str, Record] = {}
    folders: dict[str, str] = {}
    for key, folder, row in records:
        if key in found:
            raise SpecError(
                option, expected="each configuration once", found=f"{key} in {folders[key]} and in {folder}",
                remedy="Give the folder of one experiment.",
            )
        found[key], folders[key] = row, folder
    return found


def spec_of(side: Side, task: str) -> dict[str, Any]:
    """The values of the spec that all runs of a task share, by name, such as ``actor.rates``; without the seed.

    Raises:
        SpecError: the runs differ in more than their seeds.
    """
    specs = [flat(run.spec) for run in side.runs[task]]
    for spec in specs:
        spec.pop("seed", None)
    first = specs[0]
    different = sorted({name for spec in specs for name in {**spec, **first} if spec.get(name) != first.get(name)})
    if different:
        raise SpecError(
            side.option, expected=f"runs of {task} that differ in their seeds alone",
            found=f"several values of {', '.join(different[:5])} below {side.name}",
            remedy="Give the folder of one method, such as runs/paper/runs/cartpole/map.",
        )
    return first

