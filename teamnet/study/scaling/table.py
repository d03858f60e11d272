"""The points as a table and a figure: speed-up, efficiency, and the prediction compared with the measurement."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.table import markdown, percent, shown
from teamnet.study.rates import disturbance

Row = Mapping[str, Any]
_HEADER = (
    "actors", "nodes", "measured steps/s", "predicted", "predicted / measured", "speed-up", "efficiency", "waiting",
)
_COMPARED = ("one process", "over it")
_MARGIN = 1.08
"""Of an axis beyond the largest value, so that its marker is whole."""


def speed_up(rows: Sequence[Row], kind: str) -> list[float | None]:
    """Work per second, as a multiple of the first point's; ``kind`` is ``measured`` or ``predicted``."""
    first = rows[0][kind]
    return [
        None if row[kind] is None or first is None else row[kind] * row["work"] / (first * rows[0]["work"])
        for row in rows
    ]


def efficiency(rows: Sequence[Row], kind: str) -> list[float | None]:
    """Speed-up for each actor, or for each core, node or environment, where their number grows."""
    units = {"cores": "cores", "nodes": "nodes", "weak-nodes": "nodes", "batch": "batches"}
    unit = units.get(rows[0]["factor"], "actors")
    return [
        None if gained is None else gained * rows[0][unit] / row[unit]
        for gained, row in zip(speed_up(rows, kind), rows, strict=True)
    ]


def over_one_process(rows: Sequence[Row], kind: str) -> list[float | None]:
    """The rate of actors, as a multiple of that of the same run in one process; ``None`` where that is not known."""
    alone = "one_process" if kind == "measured" else "one_process_predicted"
    return [row[kind] / row[alone] if row[kind] is not None and row.get(alone) else None for row in rows]


def turning_point(rows: Sequence[Row]) -> str | None:
    """The value after which more of the factor lowers the predicted speed-up; ``None`` if none does."""
    gains = [gain or 0.0 for gain in speed_up(rows, "predicted")]
    best = max(range(len(gains)), key=lambda place: (round(gains[place], 6), place))
    return None if best == len(gains) - 1 else rows[best]["value"]


def scaling_table(rows: Sequence[Row]) -> str:
    """A Markdown table, a line for each point, and a summary; predicted values where none is measured."""
    columns = [_both(rows, function) for function in (speed_up, efficiency, over_one_process)]
    compared = any(row.get("one_process_predicted") for row in rows)
    lines = []
    for row, gain, efficient, over in zip(rows, *columns, strict=True):
        ratio = None if row["measured"] is None else row["predicted"] / row["measured"]
        alone = row.get("one_process")
        lines.append([
            row["value"], str(row["actors"]), str(row["nodes"]), shown(row["measured"], "{:,.0f}"),
            shown(row["predicted"], "{:,.0f}"), shown(ratio, "{:.2f}"),
            gain, efficient, percent(row["waiting"]), *((shown(alone, "{:,.0f}"), over) if compared else ()),
        ])
    table = markdown((rows[0]["factor"], *_HEADER, *(_COMPARED if compared else ())), lines)
    return f"{table}\n\nIn brackets: predicted. {_summary(rows)} {disturbance(rows)}".rstrip()


def _both(rows: Sequence[Row], function: Callable[[Sequence[Row], str], list[float | None]]) -> list[str]:
    """A column: what was measured, or else what was predicted, in brackets."""
    measured, predicted = function(rows, "measured"), function(rows, "predicted")
    return [
        shown(expected, "({:.2f})") if found is None else f"{found:.2f}"
        for found, expected in zip(measured, predicted, strict=True)
    ]


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
    """A PNG file of speed-up, efficiency and the ratio to one process over the factor, measured and predicted."""
    shown_functions = [(speed_up, "speed-up"), (efficiency, "efficiency")]
    if any(row.get("one_process_predicted") for row in rows):
        shown_functions.append((over_one_process, "rate / rate of one process"))
    figure, panels = new_figure(len(shown_functions), 3, 4.0, 3.4)
    names = [row["value"] for row in rows]
    for axes, (function, title) in zip(panels.flat, shown_functions, strict=True):
        most = 0.0
        for kind, style, colour in (("measured", "o-", COLOURS[0]), ("predicted", "s--", COLOURS[1])):
            values = [math.nan if value is None else value for value in function(rows, kind)]
            if known := [value for value in values if not math.isnan(value)]:
                axes.plot(names, values, style, color=colour, label=kind)
                most = max(most, *known)
        axes.set(xlabel=rows[0]["factor"], ylabel=title)
        axes.set_ylim(0.0, _MARGIN * most or None)
    panels[0, 0].legend(frameon=False)
    figure.suptitle(f"{rows[0]['task']}, scaled over {rows[0]['factor']}", fontsize="medium")
    return as_png(figure)
