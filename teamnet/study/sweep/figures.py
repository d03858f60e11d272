"""The picture of a sweep: the score against each varied field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.experiment.figure import as_png
from teamnet.study.sweep.ranges import Choice, Interval, show
from teamnet.study.sweep.sensitivity import common_scores, find_sensitivity, thirds
from teamnet.study.sweep.trials import REPORTS
from teamnet.study.sweep.vary import Variation

_FINISHED, _STOPPED, _FAILED, _MEAN = "#0072B2", "#E69F00", "#D55E00", "#333333"
_COLUMNS = 3


def draw_sweep(rows: Sequence[Mapping[str, Any]], variations: Sequence[Variation], title: str) -> bytes:
    """A PNG file with a panel for each varied field, the one with the largest spread first.

    Each dot is a trial, each bar the mean of a third of the range or of a choice. Colours are those of Okabe and Ito,
    which colour-blind readers tell apart; the marks differ too.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    scores, age = common_scores(rows)
    order = [its.field for its in find_sensitivity(rows, variations)]
    varied = [its for its in variations if not isinstance(its.range, Choice) or len(its.range.values) > 1]
    ordered = sorted(varied or variations, key=lambda its: order.index(its.label))
    columns = min(_COLUMNS, len(ordered))
    lines = -(-len(ordered) // columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(max(5.0, 3.4 * columns), 2.9 * lines + 0.5), sharey=True, squeeze=False,
        layout="constrained",
    )
    for axes, variation in zip(panels.flat, ordered, strict=False):
        _draw_panel(axes, rows, scores, variation)
    for axes in panels.flat[len(ordered) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("mean return" if age == REPORTS else f"mean return, first {100 * age // REPORTS} %")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(title, fontsize="medium")
    return as_png(figure, dpi=150)


def _draw_panel(axes: Any, rows: Sequence[Mapping[str, Any]], scores: Sequence[float], variation: Variation) -> None:
    its = variation.range
    values = [row["values"][variation.label] for row in rows]
    if isinstance(its, Choice):
        names = [show(choice) for choice in its.values]
        places = [float(names.index(show(value))) for value in values]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.6, len(names) - 0.4)
        parts = [(number - 0.3, number + 0.3) for number in range(len(names))]
    else:
        places = [float(value) for value in values]
        if its.log:
            _scale_by_logarithm(axes, its)
        parts = thirds(its)
    kinds = ["failed" if row["error"] else "stopped early" if row["stopped_early"] else "finished" for row in rows]
    for kind, colour, mark in (
        ("finished", _FINISHED, "o"), ("stopped early", _STOPPED, "^"), ("failed", _FAILED, "x"),
    ):
        chosen = [number for number, other in enumerate(kinds) if other == kind]
        if kind in kinds:
            axes.scatter(
                [places[number] for number in chosen], [scores[number] for number in chosen], s=22, c=colour,
                marker=mark, label=kind, alpha=0.85, linewidths=1.2 if mark == "x" else 0.0, zorder=2,
            )
    (found,) = find_sensitivity(rows, [variation])
    label = "mean"
    for (low, high), group in zip(parts, found.groups, strict=True):
        if group.score is not None:
            axes.hlines(group.score, low, high, colors=_MEAN, linewidth=1.5, label=label, zorder=1)
            label = "_another"  # one entry in the legend
    axes.set_xlabel(variation.label.replace("*", " (factor)").replace("+", " + "))
    axes.tick_params(labelsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def _scale_by_logarithm(axes: Any, its: Interval) -> None:
    """Label powers of ten, and what is between them where there is room for it, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    between = (1.0, 2.0, 5.0) if its.high / its.low <= 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=between))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
