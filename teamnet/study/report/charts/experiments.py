"""Charts of communication grids and of scaling experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.communication.table import labels
from teamnet.study.experiment.records import Record
from teamnet.study.report.charts.chart import Chart, Section, bars, category, coloured, number, spec
from teamnet.study.scaling.table import efficiency, speed_up

_KINDS = ("measured", "predicted")


def grid(name: str, rows: Sequence[Record]) -> Section:
    """Steps/s and bytes of each configuration."""
    names = labels(rows)
    values = {
        "steps/s": [row["env_steps_per_second"] for row in rows],
        "bytes a step": [row["ledger"]["total"]["bytes_per_step"] for row in rows],
    }
    charts = [
        Chart(title, bars(
            f"{title} of each configuration",
            ({"name": label, "value": float(value)} for label, value in zip(names, found, strict=True)), title,
        ))
        for title, found in values.items()
    ]
    return Section(f"Communication grid: {name}", "Environment steps a second, and bytes of a step.", charts)


def scaling(name: str, rows: Sequence[Record]) -> Section:
    """Speed-up and efficiency, measured and predicted."""
    factor = rows[0]["factor"]
    text = "Work done in a second, as a multiple of the first point's, and for each actor, node or environment."
    charts = []
    for title, function in (("speed-up", speed_up), ("efficiency", efficiency)):
        values = [
            {"value": str(row["value"]), "kind": kind, "gain": gain}
            for kind in _KINDS for row, gain in zip(rows, function(rows, kind), strict=True) if gain is not None
        ]
        line = {
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": category("value", title=factor, axis={"labelAngle": 0}), "y": number("gain", title, zero=True),
                "color": coloured("kind", _KINDS), "strokeDash": category("kind", legend=None),
                "tooltip": [
                    {"field": "value", "title": factor}, {"field": "kind"}, {"field": "gain", "format": ".3~g"},
                ],
            },
        }
        charts.append(Chart(title, spec(f"{title} over {factor}", values, line)))
    return Section(f"Scaling over {factor}: {name}", text, charts)


def plan(scalings: Mapping[str, Sequence[Record]]) -> Section | None:
    """Predictions against measurements; ``None`` without measurements."""
    points = [
        {
            "experiment": name, "point": f"{row['factor']} {row['value']}", "measured": float(row["measured"]),
            "predicted": float(row["predicted"]),
        }
        for name, rows in scalings.items() for row in rows if row["measured"]
    ]
    if not points:
        return None
    x, y = (number(kind, f"{kind} steps/s", log=True) for kind in _KINDS)
    ends = [value for point in points for value in (point["measured"], point["predicted"])]
    diagonal = [{"measured": end, "predicted": end} for end in (min(ends), max(ends))]
    drawn = spec(
        "Predicted against measured environment steps a second", points,
        {
            "data": {"values": diagonal}, "mark": {"type": "line", "strokeDash": [4, 4], "color": "#888888"},
            "encoding": {"x": x, "y": y},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 80},
            "encoding": {"x": x, "y": y, "color": coloured("experiment", list(scalings)), "tooltip": _tooltip()},
        },
    )
    text = "Environment steps a second: on the line, the prediction is right."
    return Section("Plan against measurement", text, [Chart("", drawn)])


def _tooltip() -> list[dict[str, Any]]:
    return [{"field": "point"}, *({"field": kind, "format": ",.0f"} for kind in _KINDS)]
