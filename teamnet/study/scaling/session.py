"""The command from beginning to end: check all points, predict and measure them, keep what is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from teamnet.errors import TeamnetError
from teamnet.spec.run import RunSpec
from teamnet.study.communication.grid import check_timing, measure, specs_of
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.predict import predict, teams_of
from teamnet.study.scaling.points import WEAK, Point, synapses
from teamnet.study.scaling.table import draw_scaling, scaling_table
from teamnet.training.checkpoint import write_atomically
from teamnet.training.launch import check_specs
from teamnet.training.outputs import make_folder


def run_scaling(
    task: str, factor: str, points: Sequence[Point], machine: Machine, *, seconds: float, repeats: int,
    measured: bool, out: Path, say: Callable[[str], None],
) -> tuple[list[dict[str, Any]], int]:
    """Predict every point, and measure those that there is a cluster for.

    Args:
        task: a preset's name.
        factor: what grows from point to point.
        points: from the first, with which the others are compared.
        machine: what predictions are made from.
        seconds: of one timing.
        repeats: timings of a point, of which the median counts.
        measured: whether to measure at all.
        out: gets ``scale.jsonl``, ``scale.md`` and ``scale.png``, kept after every point.
        say: called with what is being done.

    Returns:
        The points as JSON types, and how many could not be measured because something failed.

    Raises:
        TeamnetError: a value is refused; nothing was run then.
    """
    check_timing(seconds, repeats)
    for point in points:
        check_specs(*specs_of(task, point.configuration, point.launch))
    make_folder(out)
    rows: list[dict[str, Any]] = []
    failures = 0
    for number, point in enumerate(points, 1):
        spec, launch = specs_of(task, point.configuration, point.launch)
        prediction = predict(spec, launch, machine, point.cluster).as_plain()
        found: dict[str, Any] = {}
        if measured and point.possible:
            say(f"{number} of {len(points)}: {factor} {point.value}")
            try:
                found = measure(task, point.configuration, point.launch, seconds=seconds, repeats=repeats)
            except TeamnetError as error:
                failures += 1
                say(f"{factor} {point.value} is not measured: {error}")
        rows.append({
            "task": task, "factor": factor, "value": point.value, **point.configuration,
            "actors": prediction["actors"] or 1, "nodes": point.cluster.nodes, "work": _work(spec, factor),
            "measured": found.get("env_steps_per_second"), "predicted": prediction["env_steps_per_second"],
            **{name: found.get(name) for name in ("waiting", "stolen", "memory")},
            "memory_predicted": prediction["memory"], "bytes_per_step": prediction["bytes_per_step"],
        })
        write_atomically(out / "scale.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        write_atomically(out / "scale.md", f"# Scaling {task} over {factor}\n\n{scaling_table(rows)}\n".encode())
    draw_scaling(rows, out / "scale.png")
    return rows, failures


def _work(spec: RunSpec, factor: str) -> int:
    """What an environment step is worth: its synapses where these grow."""
    return synapses(teams_of(spec)) if factor in WEAK else 1
