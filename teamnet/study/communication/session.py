"""The command from beginning to end: check all configurations, measure one after the other, keep what is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teamnet.errors import TeamnetError
from teamnet.spec.check import check_folder
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Grid, check_timing, measure, specs_of
from teamnet.study.communication.table import comm_table, draw_comm, label
from teamnet.study.communication.trace import chrome_trace
from teamnet.training.launch import check_specs
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run import Run
from teamnet.training.run_files import check_writable, make_folder


def run_grid(
    task: str, grid: Grid, launch: LaunchSpec, *, cross: bool, seconds: float, repeats: int, out: Path, trace: bool,
    overwrite: bool = False, say: Callable[[str], None],
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
        overwrite: whether to replace the results of an earlier call; they stay until there are new ones.
        say: called with what is being done.

    Returns:
        The results, and how many configurations failed and were left out.

    Raises:
        SpecError: a value or the folder is refused; nothing was run or written then.
        TeamnetError: every configuration failed.
    """
    check_timing(seconds, repeats)
    configurations = grid.configurations(cross=cross)
    for configuration in configurations:
        check_specs(*specs_of(task, configuration, launch))
    owned = _check_out(out, len(configurations) if trace else 0, overwrite=overwrite)
    rows: list[dict[str, Any]] = []
    failures: list[TeamnetError] = []
    for number, configuration in enumerate(configurations, 1):
        name = label(configuration, configurations)
        say(f"{number} of {len(configurations)}: {name}")
        traces: list[bytes] = []

        def inspect(run: Run, traces: list[bytes] = traces) -> None:
            if trace:
                traces.append(_trace_of(run))

        try:
            row = measure(task, configuration, launch, seconds=seconds, repeats=repeats, inspect=inspect)
        except TeamnetError as error:
            failures.append(error)
            say(f"{name} is left out: {error}")
            continue
        if not rows:
            owned.remove_all()
        rows.append(row)
        for content in traces:
            owned.write(f"trace-{number}.json", content)
        owned.write("comm.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    if not rows:
        raise failures[0]
    owned.write("comm.md", f"# Communication on {task}\n\n{comm_table(rows)}\n".encode())
    owned.write("comm.png", draw_comm(rows, f"{task}, {launch.backend}"))
    return rows, len(failures)


def _check_out(out: Path, traces: int, *, overwrite: bool) -> OwnedFiles:
    """The files of the results, in a folder that is made if it may be used."""
    check_folder("out", out)
    check_writable(out)
    owned = OwnedFiles(out, "comm")
    names = ["comm.jsonl", "comm.md", "comm.png", *(f"trace-{number}.json" for number in range(1, traces + 1))]
    owned.check_new(names, overwrite=overwrite)
    make_folder(out)
    return owned


def _trace_of(run: Run) -> bytes:
    nodes = [unit["node"] for unit in run.ledger().units]
    return json.dumps(chrome_trace(run.flow, run.units, nodes, run.timestamps())).encode()
