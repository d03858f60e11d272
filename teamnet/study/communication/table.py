"""The records of a grid as a Markdown table and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from teamnet.study.communication.grid import Configuration, label
from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.table import ABSENT, markdown, percent, shown
from teamnet.study.rates import disturbance

_HEADER = (
    "configuration", "actors", "steps/s", "exchanges a step", "messages a step", "bytes a step", "between nodes",
    "waiting", "bottleneck",
)
_TIMES = (
    "configuration", "step, us (median)", "90 %", "99 %", "longest", "environment, us", "hidden", "critical path"
)
_WAITING = "waiting, % of a unit's time"
_MOST = 3
"""Parts of the critical path that are named."""


def labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The label of each record: what distinguishes it from the others of its grid."""
    configurations = [Configuration(**{field.name: row[field.name] for field in fields(Configuration)}) for row in rows]
    return [label(configuration, configurations) for configuration in configurations]


def comm_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table, a line for each configuration; counts are per step of the batch."""
    lines = []
    for name, row in zip(labels(rows), rows, strict=True):
        ledger = row["ledger"]
        total, between = ledger["total"], ledger["links"]["between_nodes"]
        lines.append([
            name, str(row["actors"]), f"{row['env_steps_per_second']:,.0f}", shown(ledger["exchanges_per_step"]),
            f"{total['messages_per_step']:,.0f}", f"{total['bytes_per_step']:,.0f}",
            f"{between['bytes_per_step']:,.0f}", percent(row["waiting"]), ledger["straggler"] or ABSENT,
        ])
    return "\n\n".join(filter(None, (markdown(_HEADER, lines), _times(rows), disturbance(rows))))


def _times(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table: the distribution of the times of the steps, and what the critical path spends most on."""
    lines = []
    for name, row in zip(labels(rows), rows, strict=True):
        times, losses = row["ledger"]["step_times"] or {}, row["losses"] or {}
        most = [f"{loss['name']} ({loss['kind']}) {percent(loss['share'])}" for loss in losses.get("critical_path", [])]
        lines.append([
            name, *(_microseconds(times.get(each)) for each in ("median", "p90", "p99", "worst")),
            _microseconds(losses.get("environment_seconds")), percent(losses.get("environment_hidden")),
            "; ".join(most[:_MOST]) or ABSENT,
        ])
    return markdown(_TIMES, lines)


def _microseconds(seconds: float | None) -> str:
    return shown(None if seconds is None else 1e6 * seconds, "{:,.0f}")


def draw_comm(rows: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """A PNG file, bars for each configuration: steps a second, bytes a step, and an average unit's waiting share.

    The last one is left out where no unit waits, as in one process.
    """
    names = labels(rows)
    values = {
        "environment steps a second": [row["env_steps_per_second"] for row in rows],
        "bytes a step": [row["ledger"]["total"]["bytes_per_step"] for row in rows],
    }
    if any(row["waiting"] is not None for row in rows):
        values[_WAITING] = [100 * (row["waiting"] or 0.0) for row in rows]
    figure, panels = new_figure(len(values), 3, 11 / 3, 1.3 + 0.36 * len(rows), sharey=True)
    for axes, (quantity, lengths), colour in zip(panels.flat, values.items(), COLOURS, strict=False):
        axes.barh(names, lengths, color=colour)
        axes.set_xlabel(quantity)
        if quantity != _WAITING and max(*lengths, 1.0) > 30 * max(1e-9, min(lengths)):
            axes.set_xscale("log")
    panels[0, 0].invert_yaxis()
    figure.suptitle(title, fontsize="medium")
    return as_png(figure)
