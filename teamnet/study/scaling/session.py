"""``teamnet scale``: check all points, predict and measure them, save the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from teamnet.errors import TeamnetError
from teamnet.spec.files import to_plain
from teamnet.spec.presets import digests_of_methods
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.measure import measure
from teamnet.study.experiment.records import Record, Records, Settings
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.predict import lay_out, predict, teams_of
from teamnet.study.rates import Precision
from teamnet.study.scaling.points import WEAK, Point, synapses
from teamnet.study.scaling.table import draw_scaling, scaling_table
from teamnet.team.cores import only_cores

ALONE = LaunchSpec(backend="local")
"""The launch that actors are compared with: all units in one process."""
_MEASURED = "measured", "one_process", "waiting", "stolen", "memory"


def run_scaling(
    task: str, factor: str, points: Sequence[Point], calibrated: Callable[[], Machine], precision: Precision, *,
    measured: bool, out: Path, overwrite: bool = False, say: Callable[[str], None],
) -> tuple[list[Record], int]:
    """Predict every point, and measure those for which a cluster is available.

    Measurements that a folder has are kept, unless they failed; predictions are made anew, with the given machine.

    Args:
        task: a preset's name.
        factor: the factor that grows from point to point.
        points: in order; the others are compared with the first.
        calibrated: called after all checks; returns the calibrated machine, which may take minutes.
        precision: of the timings.
        measured: whether to measure at all.
        out: gets ``scale.json`` (the settings), ``scale.jsonl``, ``scale.md`` and ``scale.png``, after every point.
        overwrite: whether to replace the results of an earlier call; they stay until there are new ones. Without it,
            the same call adds the missing points.
        say: called with progress messages.

    Returns:
        The records, and the number of points whose measurement failed.

    Raises:
        TeamnetError: a value or the folder is refused; nothing was run or written then.
    """
    for point in points:
        lay_out(*point.configuration.specs(task, point.launch), point.cluster)
    settings = Settings.of(
        "scale.json", task=task, factor=factor, points=[to_plain(point) for point in points],
        precision=asdict(precision), measured=measured,
        **digests_of_methods([point.configuration.methods for point in points]),
    )
    with Records(
        out, "scale", ["scale.jsonl", "scale.md", "scale.png"], overwrite=overwrite, settings=settings
    ) as records:
        machine = calibrated()
        records.begin()
        failures = 0
        for number, point in enumerate(points, 1):
            spec, launch = point.configuration.specs(task, point.launch)
            prediction = predict(spec, launch, machine, point.cluster).as_plain()
            alone = predict(spec, ALONE, machine, point.cluster) if launch.backend == "ray" else None
            found = next((row for row in records.rows if row["value"] == point.value and not row["failed"]), {})
            failed = False
            if measured and point.possible and not found:
                say(f"{number} of {len(points)}: {factor} {point.value}")
                try:
                    with only_cores(point.cores):
                        found = _measure(task, point, precision)
                except TeamnetError as error:
                    failures, failed = failures + 1, True
                    say(f"{factor} {point.value} is not measured: {error}")
            records.drop({"value": point.value})
            records.add({
                "task": task, "factor": factor, "value": point.value, "failed": failed, **asdict(point.configuration),
                "actors": prediction["actors"] or 1, "nodes": point.launch.max_nodes or point.cluster.nodes,
                "cores": point.cores, "backend": launch.backend,
                "link_latency": launch.link_latency, "link_bandwidth": launch.link_bandwidth,
                "work": synapses(teams_of(spec)) if factor in WEAK else 1,
                **{name: found.get(name) for name in _MEASURED},
                "predicted": prediction["env_steps_per_second"],
                "one_process_predicted": alone and alone.env_steps_per_second,
                "memory_predicted": prediction["memory"], "bytes_per_step": prediction["bytes_per_step"],
            }, place=number - 1)
            table = f"# Scaling {task} over {factor}\n\n{scaling_table(records.rows)}\n"
            records.files.write("scale.md", table.encode())
        records.files.write("scale.png", draw_scaling(records.rows))
    return records.rows, failures


def _measure(task: str, point: Point, precision: Precision) -> dict[str, Any]:
    """What is measured of a point; one of actors has the rate of the same run in one process, timed just before."""
    one = None
    if point.launch.backend != "local":
        here = replace(point.configuration, grains="layer", transports="board", placements="pack")
        one = measure(task, here, ALONE, precision)["env_steps_per_second"]
    found = measure(task, point.configuration, point.launch, precision)
    return {**found, "measured": found["env_steps_per_second"], "one_process": one}
