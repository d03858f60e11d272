"""One environment step in Chrome's trace format, to look at in Perfetto (ui.perfetto.dev) or chrome://tracing.

Every unit is a row, every node a group of rows; arrows go from a publication to who waited for it. Units of one machine
share a clock. Clocks of several machines need not agree, and arrows between those may then point backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from teamnet.kernels.constants import OPERATIONS
from teamnet.spec.layers import UnitSpec
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import NOTHING, Phase

_MICROSECOND = 1e3
_MOST_ARROWS = 64
"""Units up to which arrows are drawn; they grow with the square."""


def chrome_trace(units: Sequence[UnitSpec], nodes: Sequence[int], laps: Sequence[np.ndarray]) -> dict[str, Any]:
    """The newest step that was timed.

    Args:
        units: all units in canonical order.
        nodes: each unit's node.
        laps: of each unit, int64 ``(phases, 4)``: nanoseconds at which it began to wait, had what it needed, had
            computed, and had published.

    Returns:
        An object of Chrome's trace format; times in microseconds since the first unit began.
    """
    start = min(its[0, 0] for its in laps)
    events = [
        {"name": name, "ph": "M", "pid": node, "tid": number, "args": {"name": value}}
        for number, (unit, node) in enumerate(zip(units, nodes, strict=True))
        for name, value in (("process_name", f"node {node}"), ("thread_name", unit.name))
    ]
    for number, (unit, node, its) in enumerate(zip(units, nodes, laps, strict=True)):
        for phase, times in zip(schedule_of(unit.layer), its - start, strict=True):
            events += _spans(phase, times / _MICROSECOND, node, number)
    if len(units) <= _MOST_ARROWS:
        events += _arrows(units, nodes, [(its - start) / _MICROSECOND for its in laps])
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _spans(phase: Phase, times: np.ndarray, node: int, row: int) -> Iterator[dict[str, Any]]:
    operation = OPERATIONS[phase.operation]
    names = (f"wait for {_reads(phase)}", operation, f"publish {_shows(phase)}")
    for category, name, begun, ended in zip(("wait", "compute", "publish"), names, times, times[1:], strict=False):
        if ended > begun and not name.endswith(" "):
            yield {
                "name": name, "cat": category, "ph": "X", "ts": begun, "dur": ended - begun, "pid": node, "tid": row,
            }


def _reads(phase: Phase) -> str:
    found = [f"{name} {place}" for name, place in (
        ("activation", phase.below), ("error", phase.above), ("gate", phase.gate)
    ) if place != NOTHING]
    return ", ".join([*found, *(["TD error"] if phase.delta else [])])


def _shows(phase: Phase) -> str:
    return ", ".join(
        f"{name} {place}" for name, place in (
            ("activation", phase.activation), ("error", phase.error), ("gate", phase.shown_gate)
        ) if place != NOTHING
    )


def _arrows(units: Sequence[UnitSpec], nodes: Sequence[int], laps: Sequence[np.ndarray]) -> Iterator[dict[str, Any]]:
    published: dict[tuple[str, str, int, int], list[tuple[int, float]]] = {}
    for row, (unit, its) in enumerate(zip(units, laps, strict=True)):
        layer = unit.layer
        for phase, times in zip(schedule_of(layer), its, strict=True):
            for kind in ("activation", "error"):
                if (place := getattr(phase, kind)) != NOTHING:
                    published.setdefault((kind, layer.team, layer.number, place), []).append((row, times[2]))
    identity = 0
    for row, (unit, its) in enumerate(zip(units, laps, strict=True)):
        layer = unit.layer
        for phase, times in zip(schedule_of(layer), its, strict=True):
            for kind, number, place in (
                ("activation", layer.number - 1, phase.below), ("error", layer.number + 1, phase.above)
            ):
                for writer, at in published.get((kind, layer.team, number, place), ()):
                    identity += 1
                    common = {"name": kind, "cat": "message", "id": identity}
                    yield common | {"ph": "s", "ts": at, "pid": nodes[writer], "tid": writer}
                    yield common | {"ph": "f", "bp": "e", "ts": times[1], "pid": nodes[row], "tid": row}
