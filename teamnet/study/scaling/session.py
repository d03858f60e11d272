"""The command from beginning to end: check all points, predict and measure them, keep what is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from teamnet.errors import TeamnetError
from teamnet.spec.check import check_folder
from teamnet.spec.run import RunSpec
from teamnet.study.communication.grid import check_timing, measure, specs_of
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.predict import lay_out, predict, teams_of
from teamnet.study.scaling.points import WEAK, Point, synapses
from teamnet.study.scaling.table import draw_scaling, scaling_table
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import check_writable, make_folder


def run_scaling(
    task: str, factor: str, points: Sequence[Point], calibrated: Callable[[], Machine], *, seconds: float, repeats: int,
    measured: bool, out: Path, overwrite: bool = False, say: Callable[[str], None],
) -> tuple[list[dict[str, Any]], int]:
    """Predict every point, and measure those that there is a cluster for.

    Args:
        task: a preset's name.
        factor: what grows from point to point.
        points: from the first, with which the others are compared.
        calibrated: called once all is checked; returns what predictions are made from, which may take minutes.
        seconds: of one timing.
        repeats: timings of a point, of which the median counts.
        measured: whether to measure at all.
        out: gets ``scale.jsonl``, ``scale.md`` and ``scale.png``, kept after every point.
        overwrite: whether to replace the results of an earlier call; they stay until there are new ones.
        say: called with what is being done.

    Returns:
        The points as JSON types, and how many could not be measured because something failed.

    Raises:
        TeamnetError: a value or the folder is refused; nothing was run or written then.
    """
    check_timing(seconds, repeats)
    for point in points:
        lay_out(*specs_of(task, point.configuration, point.launch), point.cluster)
    check_folder("out", out)
    check_writable(out)
    owned = OwnedFiles(out, "scale")
    owned.check_new(("scale.jsonl", "scale.md", "scale.png"), overwrite=overwrite)
    machine = calibrated()
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
        if not rows:
            owned.remove_all()
        rows.append({
            "task": task, "factor": factor, "value": point.value, **point.configuration,
            "actors": prediction["actors"] or 1, "nodes": point.cluster.nodes, "work": _work(spec, factor),
            "measured": found.get("env_steps_per_second"), "predicted": prediction["env_steps_per_second"],
            **{name: found.get(name) for name in ("waiting", "stolen", "memory")},
            "memory_predicted": prediction["memory"], "bytes_per_step": prediction["bytes_per_step"],
        })
        owned.write("scale.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        owned.write("scale.md", f"# Scaling {task} over {factor}\n\n{scaling_table(rows)}\n".encode())
    owned.write("scale.png", draw_scaling(rows))
    return rows, failures


def _work(spec: RunSpec, factor: str) -> int:
    """What an environment step is worth: its synapses where these grow."""
    return synapses(teams_of(spec)) if factor in WEAK else 1
