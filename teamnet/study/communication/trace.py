"""One environment step in Chrome's trace format, for Perfetto (ui.perfetto.dev) or chrome://tracing.

Every unit is a row, every node a group of rows; arrows go from a publication to each unit that waited for it. Units of
one machine share a clock. Clocks of several machines need not agree, and arrows between those may then point backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import COORDINATOR, Key, Step

_MICROSECOND = 1e3
_MOST_ARROWS = 64
"""The most units for which arrows are drawn; the number of arrows grows with the square of the units."""


def chrome_trace(
    flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int], timestamps: Sequence[np.ndarray]
) -> dict[str, Any]:
    """The newest environment step with timestamps.

    Args:
        flow: the dataflow of the run.
        units: all units in canonical order.
        nodes: each unit's node.
        timestamps: of each unit, int64 ``(steps, 4)``: nanoseconds at which it began to wait, had its inputs, had
            computed, and had published.

    Returns:
        An object of Chrome's trace format; times in microseconds since the first unit began.
    """
    start = min(stamps[0, 0] for stamps in timestamps)
    times = [(stamps - start) / _MICROSECOND for stamps in timestamps]
    events = [
        {"name": name, "ph": "M", "pid": node, "tid": number, "args": {"name": value}}
        for number, (unit, node) in enumerate(zip(units, nodes, strict=True))
        for name, value in (("process_name", f"node {node}"), ("thread_name", unit.name))
    ]
    for number, (unit, node, clocks) in enumerate(zip(units, nodes, times, strict=True)):
        for step, clock in zip(flow.steps[unit.layer.group], clocks, strict=True):
            events += _spans(step, clock, node, number)
    if len(units) <= _MOST_ARROWS:
        events += _arrows(flow, units, nodes, times)
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _spans(step: Step, times: np.ndarray, node: int, row: int) -> Iterator[dict[str, Any]]:
    names = (
        f"wait for {_listed(step.awaited)}", step.operation,
        f"publish {_listed([(write.slot, write.number) for write in step.published])}",
    )
    for category, name, begun, ended in zip(("wait", "compute", "publish"), names, times, times[1:], strict=False):
        if ended > begun and not name.endswith(" "):
            yield {
                "name": name, "cat": category, "ph": "X", "ts": begun, "dur": ended - begun, "pid": node, "tid": row,
            }


def _listed(publications: Sequence[tuple[Key, int]]) -> str:
    return ", ".join(f"{key[0]} {number}" for key, number in publications)


def _arrows(
    flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int], times: Sequence[np.ndarray]
) -> Iterator[dict[str, Any]]:
    """Arrows from a publication of a unit to each step of another unit that waited for it."""
    published: dict[tuple[Key, int], list[tuple[int, float]]] = {}
    for row, (unit, clocks) in enumerate(zip(units, times, strict=True)):
        for step, clock in zip(flow.steps[unit.layer.group], clocks, strict=True):
            for write in step.published:
                published.setdefault((write.slot, write.number), []).append((row, clock[2]))
    identity = 0
    for row, (unit, clocks) in enumerate(zip(units, times, strict=True)):
        for step, clock in zip(flow.steps[unit.layer.group], clocks, strict=True):
            for key, number in step.awaited:
                for writer, at in published.get((key, number), ()):
                    if flow.slots[key].writer not in (COORDINATOR, unit.layer.group):
                        identity += 1
                        common = {"name": key[0], "cat": "message", "id": identity}
                        yield common | {"ph": "s", "ts": at, "pid": nodes[writer], "tid": writer}
                        yield common | {"ph": "f", "bp": "e", "ts": clock[1], "pid": nodes[row], "tid": row}
