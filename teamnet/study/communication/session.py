"""The command from beginning to end: check all configurations, measure one after the other, keep what is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from teamnet.errors import TeamnetError
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Grid, check_timing, measure, specs_of
from teamnet.study.communication.table import comm_table, draw_comm, label
from teamnet.study.communication.trace import chrome_trace
from teamnet.training.checkpoint import write_atomically
from teamnet.training.launch import check_specs
from teamnet.training.outputs import make_folder
from teamnet.training.run import Run


def run_grid(
    task: str, grid: Grid, launch: LaunchSpec, *, cross: bool, seconds: float, repeats: int, out: Path, trace: bool,
    say: Callable[[str], None],
) -> tuple[list[dict[str, Any]], int]:
    """Measure a grid; what is measured is on the disk before the next configuration begins.

    Args:
        task: a preset's name.
        grid: the factors.
        launch: backend, cluster and emulated links.
        cross: whether to measure all combinations.
        seconds: of one timing.
        repeats: timings of a configuration.
        out: gets ``comm.jsonl``, ``comm.md``, ``comm.png`` and traces.
        trace: whether to leave one step of each configuration in Chrome's trace format.
        say: called with what is being done.

    Returns:
        The results, and how many configurations failed and were left out.

    Raises:
        SpecError: a value is refused; nothing was run then.
        TeamnetError: every configuration failed.
    """
    check_timing(seconds, repeats)
    configurations = grid.configurations(cross=cross)
    for configuration in configurations:
        check_specs(*specs_of(task, configuration, launch))
    make_folder(out)
    rows: list[dict[str, Any]] = []
    failures: list[TeamnetError] = []
    for number, configuration in enumerate(configurations, 1):
        name = label(configuration, configurations)
        say(f"{number} of {len(configurations)}: {name}")
        keep = partial(_keep_trace, out / f"trace-{number}.json") if trace else _nothing
        try:
            rows.append(measure(task, configuration, launch, seconds=seconds, repeats=repeats, inspect=keep))
        except TeamnetError as error:
            failures.append(error)
            say(f"{name} is left out: {error}")
        write_atomically(out / "comm.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    if not rows:
        raise failures[0]
    write_atomically(out / "comm.md", f"# Communication on {task}\n\n{comm_table(rows)}\n".encode())
    draw_comm(rows, out / "comm.png", f"{task}, {launch.backend}")
    return rows, len(failures)


def _nothing(run: Run) -> None:
    pass


def _keep_trace(path: Path, run: Run) -> None:
    nodes = [unit["node"] for unit in run.ledger().units]
    write_atomically(path, json.dumps(chrome_trace(run.units, nodes, run.laps())).encode())
