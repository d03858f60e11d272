"""Learning curves: each run as a thin line, the mean over the seeds of a method with its band."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from teamnet.spec.run import SINGLE_STEP_TASKS
from teamnet.study.experiment.statistics import interval_of_mean
from teamnet.study.report.charts.chart import Chart, Section, choice, coloured, faded, number, spec
from teamnet.study.report.found import FoundRun

_POINTS = 120
"""Of a mean."""
Methods = Mapping[str, Sequence[FoundRun]]


def learning(task: str, methods: Methods) -> Section:
    """The curves of all runs on a task."""
    shown = "Reward, mean of 100 batches" if task in SINGLE_STEP_TASKS else "Return, mean of the last 100 episodes"
    text = (
        f"{shown}. Thick lines are means over the runs of a method, bands the 95 % interval of the mean by bootstrap, "
        "thin lines single runs. A click in the legend shows one method alone."
    )
    colour = coloured("method", list(methods))
    x, y = number("steps", "environment steps"), number("value", "return")
    lines = [
        {"method": name, "run": run.name, "steps": float(step), "value": float(value)}
        for name, runs in methods.items() for run in runs
        for step, value in zip(run.curve.position, run.curve.value, strict=True)
    ]
    single = {
        "mark": {"type": "line", "strokeWidth": 0.8},
        "encoding": {
            "x": x, "y": y, "color": colour, "detail": {"field": "run"}, "opacity": faded("chosen", 0.35, 0.03),
        },
    }
    means = {"values": [row for name, runs in methods.items() for row in mean_curve(name, runs)]}
    band = {
        "data": means, "mark": "area",
        "encoding": {
            "x": x, "y": number("low", "return"), "y2": {"field": "high"}, "color": colour,
            "opacity": faded("chosen", 0.2, 0.02),
        },
    }
    mean = {
        "data": means, "params": choice("chosen", "method"), "mark": {"type": "line", "strokeWidth": 2.2},
        "encoding": {"x": x, "y": number("mean", "return"), "color": colour, "opacity": faded("chosen", 1.0, 0.1)},
    }
    points = {
        "data": means, "mark": {"type": "point", "size": 60, "opacity": 0},
        "encoding": {
            "x": x, "y": number("mean", "return"),
            "tooltip": [
                {"field": "method"}, {"field": "runs"},
                *({"field": name, "format": ",.5~g"} for name in ("steps", "mean", "low", "high")),
            ],
        },
    }
    counts = ", ".join(f"{name} ({len(runs)})" for name, runs in methods.items())
    drawn = spec(f"Learning curves on {task} by method, with the number of runs: {counts}", lines, single, band, mean,
                 points, height=360)
    return Section(f"Learning: {task}", text, [Chart("", drawn)])


def mean_curve(name: str, runs: Sequence[FoundRun]) -> Iterator[dict[str, Any]]:
    """Mean and band up to the end of the shortest run."""
    curves = [run.curve for run in runs if len(run.curve.position)]
    if not curves:
        return
    begin, end = max(curve.position[0] for curve in curves), min(curve.position[-1] for curve in curves)
    positions = np.linspace(begin, max(begin, end), _POINTS)
    values = np.stack([np.interp(positions, curve.position, curve.value) for curve in curves])
    means = values.mean(axis=0)
    low, high = interval_of_mean(values, name)
    for step, mean, lowest, highest in zip(positions, means, low, high, strict=True):
        yield {
            "method": name, "runs": len(curves), "steps": round(float(step)), "mean": float(mean),
            "low": float(lowest), "high": float(highest),
        }
