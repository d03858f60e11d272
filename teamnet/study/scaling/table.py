"""The points as a table and a figure: speed-up, efficiency, and the prediction compared with the measurement."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.table import markdown, percent, shown
from teamnet.study.rates import disturbance

Row = Mapping[str, Any]
_HEADER = (
    "actors", "nodes", "measured steps/s", "predicted", "predicted / measured", "speed-up", "efficiency", "waiting",
)


def speed_up(rows: Sequence[Row], kind: str) -> list[float | None]:
    """Work per second, as a multiple of the first point's; ``kind`` is ``measured`` or ``predicted``."""
    first = rows[0][kind]
    return [
        None if row[kind] is None or first is None else row[kind] * row["work"] / (first * rows[0]["work"])
        for row in rows
    ]


def efficiency(rows: Sequence[Row], kind: str) -> list[float | None]:
    """Speed-up for each actor, for each node where nodes grow, and for each environment where the batch grows."""
    unit = {"nodes": "nodes", "batch": "batches"}.get(rows[0]["factor"], "actors")
    return [
        None if gained is None else gained * rows[0][unit] / row[unit]
        for gained, row in zip(speed_up(rows, kind), rows, strict=True)
    ]


def turning_point(rows: Sequence[Row]) -> str | None:
    """The value after which more of the factor lowers the predicted speed-up; ``None`` if none does."""
    gains = [gain or 0.0 for gain in speed_up(rows, "predicted")]
    best = max(range(len(gains)), key=gains.__getitem__)
    return None if best == len(gains) - 1 else rows[best]["value"]


def scaling_table(rows: Sequence[Row]) -> str:
    """A Markdown table, a line for each point, and a summary; predicted values where none is measured."""
    columns = [function(rows, kind) for function in (speed_up, efficiency) for kind in ("measured", "predicted")]
    lines = []
    for row, gain, expected_gain, efficient, expected in zip(rows, *columns, strict=True):
        ratio = None if row["measured"] is None else row["predicted"] / row["measured"]
        lines.append([
            row["value"], str(row["actors"]), str(row["nodes"]), shown(row["measured"], "{:,.0f}"),
            shown(row["predicted"], "{:,.0f}"), shown(ratio, "{:.2f}"),
            shown(expected_gain, "({:.2f})") if gain is None else f"{gain:.2f}",
            shown(expected, "({:.2f})") if efficient is None else f"{efficient:.2f}", percent(row["waiting"]),
        ])
    table = markdown((rows[0]["factor"], *_HEADER), lines)
    return f"{table}\n\nIn brackets: predicted. {_summary(rows)} {disturbance(rows)}".rstrip()


def _summary(rows: Sequence[Row]) -> str:
    errors = prediction_errors(rows, "measured", "predicted")
    memory = prediction_errors(rows, "memory", "memory_predicted")
    text = f"The median error of the prediction is {percent(statistics.median(errors))}" if errors else ""
    text += f", of memory {percent(statistics.median(memory))}" if memory else ""
    text += ". " if text else ""
    turn, factor = turning_point(rows), rows[0]["factor"]
    if turn is None:
        return f"{text}The predicted speed-up over {factor} is largest at the last point."
    return f"{text}Beyond {factor} {turn}, communication costs more than it gains."


def prediction_errors(rows: Sequence[Row], measured: str, predicted: str) -> list[float]:
    """How far predictions are from measurements, as shares of the measurements; the names are those of the fields."""
    return [abs(row[predicted] / row[measured] - 1.0) for row in rows if row.get(measured)]


def draw_scaling(rows: Sequence[Row]) -> bytes:
    """A PNG file of speed-up and efficiency over the factor, measured and predicted."""
    figure, panels = new_figure(2, 2, 4.5, 3.4)
    names = [row["value"] for row in rows]
    for axes, function, title in zip(panels.flat, (speed_up, efficiency), ("speed-up", "efficiency"), strict=True):
        for kind, style, colour in (("measured", "o-", COLOURS[0]), ("predicted", "s--", COLOURS[1])):
            values = [math.nan if value is None else value for value in function(rows, kind)]
            axes.plot(names, values, style, color=colour, label=kind)
        axes.set(xlabel=rows[0]["factor"], ylabel=title)
        axes.set_ylim(bottom=0.0)
    panels[0, 0].legend(frameon=False)
    figure.suptitle(f"{rows[0]['task']}, scaled over {rows[0]['factor']}", fontsize="medium")
    return as_png(figure)
