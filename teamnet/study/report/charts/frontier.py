"""Return against communication: what each method learns, beside the bytes and exchanges of a step."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from teamnet.study.experiment.statistics import spread
from teamnet.study.experiment.traffic import pareto
from teamnet.study.report.charts.chart import Chart, Section, bars, coloured, number, spec
from teamnet.study.report.charts.learning import Methods
from teamnet.study.report.found import FoundRun


def frontier(task: str, methods: Methods) -> Section:
    """Two charts: average return against bytes, and against exchanges, of a step."""
    text = (
        "Mean return over all episodes: means over the runs of a method, bars their 95 % intervals. The dashed line "
        "joins the methods that no other beats in both."
    )
    charts = [
        Chart(title, _against(task, methods, quantity, title))
        for quantity, title in (("bytes_per_step", "bytes a step"), ("exchanges_per_step", "exchanges a step"))
    ]
    return Section(f"Return against communication: {task}", text, charts)


def _amount(run: FoundRun, quantity: str) -> float | None:
    return run.ledger["total"][quantity] if quantity in run.ledger["total"] else run.ledger[quantity]


def _against(task: str, methods: Methods, quantity: str, title: str) -> dict[str, Any]:
    rows = []
    for name, runs in methods.items():
        amounts = [amount for run in runs if (amount := _amount(run, quantity))]
        found = spread([value for run in runs if (value := run.mean_return) is not None], name)
        if amounts and found:
            rows.append({
                "method": name, "amount": statistics.mean(amounts), "mean": found.mean, "low": found.low,
                "high": found.high, "runs": found.n,
            })
    front = pareto([(row["amount"], row["mean"]) for row in rows])
    x, colour = number("amount", title, log=True), coloured("method", list(methods))
    return spec(
        f"Mean return against {title} on {task}", rows,
        {
            "data": {"values": [{"amount": amount, "mean": mean} for amount, mean in front]},
            "mark": {"type": "line", "strokeDash": [4, 4], "color": "#888888", "strokeWidth": 1},
            "encoding": {"x": x, "y": number("mean", "mean return"), "order": {"field": "amount"}},
        },
        {
            "mark": "rule",
            "encoding": {"x": x, "y": number("low", "mean return"), "y2": {"field": "high"}, "color": colour},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
            "encoding": {
                "x": x, "y": number("mean", "mean return"), "color": colour,
                "tooltip": [
                    {"field": "method"}, {"field": "runs"}, {"field": "amount", "title": title, "format": ","},
                    {"field": "mean", "title": "mean return", "format": ",.5~g"},
                ],
            },
        },
    )


def edges(task: str, methods: Methods) -> Section:
    """Bytes of a step by kind of edge, of the last run of each method."""
    latest = {name: runs[-1].ledger["edges"] for name, runs in methods.items()}
    every = [(kind, sent["bytes_per_step"]) for found in latest.values() for kind, sent in found.items()]
    kinds = list(dict.fromkeys(kind for kind, size in every if size))
    rows = [
        {"name": name, "kind": kind, "value": float(found[kind]["bytes_per_step"])}
        for name, found in latest.items() for kind in kinds if kind in found
    ]
    drawn = bars(f"Bytes of a step on {task} by kind of edge", rows, "bytes a step", kinds)
    text = "By kind of edge: a message is one publication for one reader. For each method, the run found last."
    return Section(f"Bytes of a step: {task}", text, [Chart("", drawn)])


def counted(runs: Sequence[FoundRun]) -> list[FoundRun]:
    """The runs whose traffic was counted."""
    return [run for run in runs if run.ledger]
