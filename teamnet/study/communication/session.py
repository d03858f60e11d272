"""The command from beginning to end: check all configurations, measure one after the other, keep what is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from teamnet.errors import SpecError
from teamnet.spec.check import check_launch, check_run
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Grid, measure, specs_of
from teamnet.study.communication.table import comm_table, draw_comm, label
from teamnet.study.communication.trace import chrome_trace
from teamnet.team.partition import block_size
from teamnet.team.placement import check_placement
from teamnet.training.checkpoint import write_atomically
from teamnet.training.run import Run


def run_grid(
    task: str, grid: Grid, launch: LaunchSpec, *, cross: bool, env_steps: int, repeats: int, out: Path, trace: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure a grid; what is measured is on the disk before the next configuration begins.

    Args:
        task: a preset's name.
        grid: the factors.
        launch: backend, cluster and emulated links.
        cross: whether to measure all combinations.
        env_steps: of one timing.
        repeats: timings of a configuration.
        out: gets ``comm.jsonl``, ``comm.md``, ``comm.png`` and traces.
        trace: whether to leave one step of each configuration in Chrome's trace format.
        say: called with what is being done.

    Raises:
        SpecError: a value is refused; nothing was run then.
        TeamnetError: a configuration failed.
    """
    for name, value in (("env_steps", env_steps), ("repeats", repeats)):
        if value < 1:
            raise SpecError(name, expected="1 or more", found=str(value), mend="Give such a number.")
    configurations = grid.configurations(cross=cross)
    for configuration in configurations:
        spec, where = specs_of(task, configuration, launch)
        check_run(spec)
        check_launch(where)
        block_size(where.grain)
        check_placement(where.placement)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(
            "out", expected="a folder that can be written to", found=str(error), mend="Give another --out."
        ) from None
    rows: list[dict[str, Any]] = []
    for number, configuration in enumerate(configurations, 1):
        say(f"{number} of {len(configurations)}: {label(configuration, configurations)}")
        keep = partial(_keep_trace, out / f"trace-{number}.json") if trace else _nothing
        rows.append(measure(task, configuration, launch, env_steps=env_steps, repeats=repeats, inspect=keep))
        write_atomically(out / "comm.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    write_atomically(out / "comm.md", f"# Communication on {task}\n\n{comm_table(rows)}\n".encode())
    draw_comm(rows, out / "comm.png", f"{task}, {launch.backend}")
    return rows


def _nothing(run: Run) -> None:
    pass


def _keep_trace(path: Path, run: Run) -> None:
    nodes = [unit["node"] for unit in run.ledger().units]
    write_atomically(path, json.dumps(chrome_trace(run.units, nodes, run.laps())).encode())
