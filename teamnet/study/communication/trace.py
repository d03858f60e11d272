"""Environment steps in Chrome's trace format, for Perfetto (ui.perfetto.dev) or chrome://tracing.

The coordinator and every unit are a row, every node is a group of rows; arrows go from a publication to each unit that
waited for it. The clocks of all nodes are on one axis; the name of a node says by how much it may be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from teamnet.dataflow.slots import Key, Step
from teamnet.study.communication.waits import BEGUN, DONE, READY, Participants

_MICROSECOND = 1e3
_MOST_ARROWS = 64
"""The most units for which arrows are drawn; the number of arrows grows with the square of the units."""


def chrome_trace(participants: Participants) -> dict[str, Any]:
    """All traced steps.

    Returns:
        An object of Chrome's trace format; times in microseconds since the first participant began.
    """
    start = min(int(each[0, 0, BEGUN]) for each in participants.times if len(each))
    times = [(each - start) / _MICROSECOND for each in participants.times]
    events: list[dict[str, Any]] = []
    for number, (name, node) in enumerate(zip(participants.names, participants.nodes, strict=True)):
        values = {"process_name": _node_name(node, participants.clocks.errors[node]), "thread_name": name}
        for key, value in values.items():
            events.append({"name": key, "ph": "M", "pid": node, "tid": number, "args": {"name": value}})
        events.append({
            "name": "thread_sort_index", "ph": "M", "pid": node, "tid": number, "args": {"sort_index": number}
        })
    for traced in range(len(times[0])):
        for number, (steps, clocks) in enumerate(zip(participants.steps, times, strict=True)):
            for step, clock in zip(steps, clocks[traced], strict=True):
                events += _spans(step, clock, participants.nodes[number], number, traced)
        if len(times) <= _MOST_ARROWS:
            events += _arrows(participants, [each[traced] for each in times], traced)
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _node_name(node: int, error: float) -> str:
    if node == 0:
        return "node 0"
    return f"node {node}, clock {'unknown' if math.isinf(error) else f'within {error / _MICROSECOND:.1f} us'}"


def _spans(step: Step, times: np.ndarray, node: int, row: int, traced: int) -> Iterator[dict[str, Any]]:
    names = (
        f"wait for {_listed(step.awaited)}", step.operation,
        f"publish {_listed([(write.slot, write.number) for write in step.published])}",
    )
    for category, name, begun, ended in zip(("wait", "compute", "publish"), names, times, times[1:], strict=False):
        if ended > begun and not name.endswith(" "):
            yield {
                "name": name, "cat": category, "ph": "X", "ts": begun, "dur": ended - begun, "pid": node, "tid": row,
                "args": {"step": traced},
            }


def _listed(publications: Sequence[tuple[Key, int]]) -> str:
    return ", ".join(f"{key[0]} {number}" for key, number in publications)


def _arrows(participants: Participants, times: Sequence[np.ndarray], traced: int) -> Iterator[dict[str, Any]]:
    """Arrows from a publication to each step of another layer that waited for it."""
    identity = 0
    for row, steps in enumerate(participants.steps):
        for place, _ in enumerate(steps):
            for kind, writer, step in participants.writers(row, place):
                if participants.steps[writer] is participants.steps[row]:
                    continue
                identity += 1
                common = {"name": kind, "cat": "message", "id": f"{traced}.{identity}"}
                ends = ("s", {}, writer, times[writer][step, DONE]), ("f", {"bp": "e"}, row, times[row][place, READY])
                for phase, more, number, time in ends:
                    yield common | more | {"ph": phase, "ts": time, "pid": participants.nodes[number], "tid": number}
