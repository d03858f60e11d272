"""``teamnet comm``: check all configurations, measure them one after the other, save the records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from teamnet.errors import TeamnetError
from teamnet.spec.files import to_plain
from teamnet.spec.presets import digests_of_methods
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Configuration, Grid, label
from teamnet.study.communication.measure import measure
from teamnet.study.communication.table import comm_table, draw_comm
from teamnet.study.communication.trace import chrome_trace
from teamnet.study.communication.waits import Participants
from teamnet.study.experiment.records import Record, Records, Settings
from teamnet.study.rates import Precision
from teamnet.training.launch import check_specs


def run_grid(
    task: str, grid: Grid, launch: LaunchSpec, precision: Precision, *, cross: bool, out: Path, trace: bool,
    overwrite: bool = False, say: Callable[[str], None],
) -> tuple[list[Record], int]:
    """Measure the configurations that a folder does not have; each record is saved before the next one begins.

    Args:
        task: a preset's name.
        grid: the factors.
        launch: backend, cluster and emulated links.
        precision: of the timings.
        cross: whether to measure all combinations.
        out: gets ``comm.json`` (the settings), ``comm.jsonl``, ``comm.md``, ``comm.png`` and traces.
        trace: whether to write some steps of each configuration in Chrome's trace format.
        overwrite: whether to replace the results of an earlier call; they stay until there are new ones. Without it,
            the same call measures what is missing.
        say: called with progress messages.

    Returns:
        The records, and the number of configurations that failed and were left out.

    Raises:
        SpecError: a value or the folder is refused; nothing was run or written then.
        TeamnetError: every configuration failed.
    """
    configurations = grid.configurations(cross=cross)
    for configuration in configurations:
        check_specs(*configuration.specs(task, launch))
    traces = [f"trace-{number}.json" for number, _ in enumerate(configurations, 1)] if trace else []
    settings = Settings.of(
        "comm.json", task=task, configurations=[asdict(entry) for entry in configurations], launch=to_plain(launch),
        precision=asdict(precision), trace=trace, **digests_of_methods([entry.methods for entry in configurations]),
    )
    records = Records(
        out, "comm", ["comm.jsonl", "comm.md", "comm.png", *traces], overwrite=overwrite, settings=settings
    )
    with records:
        return _fill(records, task, configurations, launch, precision, traces, say)


def _fill(
    records: Records, task: str, configurations: Sequence[Configuration], launch: LaunchSpec, precision: Precision,
    traces: Sequence[str], say: Callable[[str], None],
) -> tuple[list[Record], int]:
    errors: list[TeamnetError] = []
    for number, configuration in enumerate(configurations, 1):
        if records.has(asdict(configuration)):
            continue
        name = label(configuration, configurations)
        say(f"{number} of {len(configurations)}: {name}")
        steps: list[bytes] = []
        try:
            row = measure(
                task, configuration, launch, precision,
                inspect=lambda participants, steps=steps: steps.append(_trace_of(participants)) if traces else None,
            )
        except TeamnetError as error:
            errors.append(error)
            say(f"{name} is left out: {error}")
            continue
        records.add(row)
        for content in steps:
            records.files.write(traces[number - 1], content)
    if not records.rows:
        raise errors[0]
    records.files.write("comm.md", f"# Communication on {task}\n\n{comm_table(records.rows)}\n".encode())
    records.files.write("comm.png", draw_comm(records.rows, f"{task}, {launch.backend}"))
    return records.rows, len(errors)


def _trace_of(participants: Participants) -> bytes:
    return json.dumps(chrome_trace(participants)).encode()
