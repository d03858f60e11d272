"""The points for readers: speed-up, efficiency, and the prediction beside the measurement."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.paper.figures import COLOURS
from teamnet.study.picture import as_png
from teamnet.study.rates import disturbance

_HEADER = (
    "actors", "nodes", "measured steps/s", "predicted", "predicted / measured", "speed-up", "efficiency", "waiting",
)


def speed_up(rows: Sequence[Mapping[str, Any]], kind: str) -> list[float | None]:
    """Work done in a second, as a multiple of the first point's; ``kind`` is ``measured`` or ``predicted``."""
    first = rows[0][kind]
    return [
        None if row[kind] is None or first is None else row[kind] * row["work"] / (first * rows[0]["work"])
        for row in rows
    ]


def efficiency(rows: Sequence[Mapping[str, Any]], kind: str) -> list[float | None]:
    """Speed-up for each actor, for each node where nodes grow, and for each environment where the batch grows."""
    unit = {"nodes": "nodes", "batch": "batches"}.get(rows[0]["factor"], "actors")
    return [
        None if gained is None else gained * rows[0][unit] / row[unit]
        for gained, row in zip(speed_up(rows, kind), rows, strict=True)
    ]


def turning_point(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The value after which more of the factor lowers the predicted speed-up; ``None`` if none does."""
    gains = [gain or 0.0 for gain in speed_up(rows, "predicted")]
    best = max(range(len(gains)), key=gains.__getitem__)
    return None if best == len(gains) - 1 else rows[best]["value"]


def scaling_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table, a line for each point, and what it says; the prediction's efficiency where none is measured."""
    factor = rows[0]["factor"]
    header = (factor, *_HEADER)
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    measured, predicted = ((speed_up(rows, kind), efficiency(rows, kind)) for kind in ("measured", "predicted"))
    for row, gain, efficient, expected_gain, expected in zip(rows, *measured, *predicted, strict=True):
        ratio = None if row["measured"] is None else row["predicted"] / row["measured"]
        lines.append([
            row["value"], str(row["actors"]), str(row["nodes"]), _number(row["measured"], "{:,.0f}"),
            _number(row["predicted"], "{:,.0f}"), _number(ratio, "{:.2f}"),
            _number(gain, "{:.2f}") if gain is not None else f"({expected_gain:.2f})",
            _number(efficient, "{:.2f}") if efficient is not None else f"({expected:.2f})",
            _number(None if row["waiting"] is None else 100 * row["waiting"], "{:.0f} %"),
        ])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\nIn brackets: predicted. {_summary(rows)} {disturbance(rows)}".rstrip()


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    errors = prediction_errors(rows)
    said = f"The median error of the prediction is {100 * statistics.median(errors):.0f} %" if errors else ""
    held = [abs(row["memory_predicted"] / row["memory"] - 1.0) for row in rows if row.get("memory")]
    said += f", of memory {100 * statistics.median(held):.0f} %" if held else ""
    said += ". " if said else ""
    turn = turning_point(rows)
    factor = rows[0]["factor"]
    if turn is None:
        return f"{said}Up to the last point, more {factor} do more work in a second."
    return f"{said}Beyond {factor} {turn}, communication eats the gain."


def prediction_errors(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """How far predictions are from measurements, as shares of the measurements."""
    return [abs(row["predicted"] / row["measured"] - 1.0) for row in rows if row["measured"]]


def _number(value: float | None, pattern: str) -> str:
    return "-" if value is None else pattern.format(value)


def draw_scaling(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG file of speed-up and efficiency over the factor, measured and predicted."""
    import matplotlib as mpl  # late: most commands draw nothing

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    names = [row["value"] for row in rows]
    for axes, function, title in zip(panels, (speed_up, efficiency), ("speed-up", "efficiency"), strict=True):
        for kind, style, colour in (("measured", "o-", COLOURS[0]), ("predicted", "s--", COLOURS[1])):
            values = [math.nan if its is None else its for its in function(rows, kind)]
            axes.plot(names, values, style, color=colour, label=kind)
        axes.set_xlabel(rows[0]["factor"])
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0.0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.suptitle(f"{rows[0]['task']}, scaled over {rows[0]['factor']}", fontsize="medium")
    return as_png(figure)
