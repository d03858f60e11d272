"""The figure of a sweep: the score against each varied field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.experiment.figure import as_png, new_figure
from teamnet.study.sweep.ranges import Choice, Interval, show
from teamnet.study.sweep.sensitivity import common_scores, find_sensitivity, parts_of
from teamnet.study.sweep.summary import outcome
from teamnet.study.sweep.trials import REPORTS
from teamnet.study.sweep.variation import Variation

_MARKS = (("finished", "#0072B2", "o"), ("stopped early", "#E69F00", "^"), ("failed", "#D55E00", "x"))
_COLUMNS = 3


def draw_sweep(rows: Sequence[Mapping[str, Any]], variations: Sequence[Variation], title: str) -> bytes:
    """A PNG file with a panel for each varied field, the one with the largest spread first.

    Each dot is a trial, each bar the mean of a third of the range, of a value or of a choice. Colours are those of
    Okabe and Ito, which colour-blind readers can distinguish; the marks differ too. At least one trial must have a
    score.
    """
    scores, age = common_scores(rows)
    by_label = {variation.label: variation for variation in variations}
    ordered = [by_label[found.field] for found in find_sensitivity(rows, variations)]
    varied = [
        entry for entry in ordered if not isinstance(entry.range, Choice) or len(entry.range.values) > 1
    ] or ordered
    width = 5.0 if len(varied) == 1 else 3.4
    figure, panels = new_figure(len(varied), _COLUMNS, width, 3.1, sharey=True)
    for axes, variation in zip(panels.flat, varied, strict=False):
        _draw_panel(axes, rows, scores, variation)
    for axes in panels[:, 0]:
        axes.set_ylabel("mean return" if age == REPORTS else f"mean return, first {100 * age // REPORTS} %")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(title, fontsize="medium")
    return as_png(figure, dpi=150)


def _draw_panel(axes: Any, rows: Sequence[Mapping[str, Any]], scores: Sequence[float], variation: Variation) -> None:
    values = [row["values"][variation.label] for row in rows]
    if isinstance(variation.range, Choice):
        names = [show(choice) for choice in variation.range.values]
        places = [float(names.index(show(value))) for value in values]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.6, len(names) - 0.4)
        parts = [(number - 0.3, number + 0.3) for number in range(len(names))]
    else:
        places = [float(value) for value in values]
        half = 0.3  # of the bar of a single value
        parts = [part if part[0] < part[1] else (part[0] - half, part[1] + half) for part in parts_of(variation.range)]
        if variation.range.log:
            _scale_by_logarithm(axes, variation.range)
    for kind, colour, mark in _MARKS:
        points = [point for point, row in zip(zip(places, scores, strict=True), rows, strict=True)
                  if outcome(row) == kind]
        if points:
            axes.scatter(
                *zip(*points, strict=True), s=22, c=colour, marker=mark, label=kind, alpha=0.85,
                linewidths=1.2 if mark == "x" else 0.0, zorder=2,
            )
    (found,) = find_sensitivity(rows, [variation])
    means = [(group.score, *part) for part, group in zip(parts, found.groups, strict=True) if group.score is not None]
    axes.hlines(*zip(*means, strict=True), colors="#333333", linewidth=1.5, label="mean", zorder=1)
    axes.set_xlabel(variation.label.replace("*", " (factor)").replace("+", " + "))
    axes.tick_params(labelsize="small")


def _scale_by_logarithm(axes: Any, interval: Interval) -> None:
    """Label powers of ten, and values between them where there is room, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    between = (1.0, 2.0, 5.0) if interval.high / interval.low <= 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=between))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
