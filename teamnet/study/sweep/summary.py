"""The result of a sweep as text: its trials, best first, then the sensitivity to each field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from teamnet.study.experiment.table import aligned, shown
from teamnet.study.sweep.ranges import show
from teamnet.study.sweep.sensitivity import Sensitivity, common_scores, find_sensitivity
from teamnet.study.sweep.trials import REPORTS
from teamnet.study.sweep.variation import Variation

Row = Mapping[str, Any]
_WIDEST = 16


def outcome(row: Row) -> str:
    """How a trial ended."""
    return "failed" if row["error"] else "stopped early" if row["stopped_early"] else "finished"


def best_first(rows: Sequence[Row]) -> list[Row]:
    """Trials that finished, then those that were stopped early, then those that failed; each by mean return."""
    order = ("finished", "stopped early", "failed")
    return sorted(rows, key=lambda row: (
        order.index(outcome(row)), math.inf if row["mean_return"] is None else -row["mean_return"]
    ))


def summarise(rows: Sequence[Row], variations: Sequence[Variation]) -> dict[str, Any]:
    """The result of a sweep as JSON types."""
    return {
        "trials": len(rows), "stopped_early": sum(outcome(row) == "stopped early" for row in rows),
        "failed": sum(outcome(row) == "failed" for row in rows), "best": next(iter(best_first(rows)), None),
        "sensitivity": [asdict(entry) for entry in find_sensitivity(rows, variations)],
    }


def result_lines(rows: Sequence[Row], variations: Sequence[Variation]) -> list[str]:
    """The table of trials, best first, and the table of sensitivities."""
    labels = [variation.label for variation in variations]
    heads = [label if len(label) <= _WIDEST else f"[{number}]" for number, label in enumerate(labels, 1)]
    lines = aligned(["trial", "mean return", "episodes", "seconds", *heads], [
        [
            str(row["trial"]), shown(row["mean_return"], "{:.2f}"), f"{row['episodes']:,}", f"{row['seconds']:.1f}",
            *(show(row["values"][label]) for label in labels),
        ]
        for row in best_first(rows)
    ])
    ends = ["", *("" if outcome(row) == "finished" else f"  {outcome(row)}" for row in best_first(rows))]
    lines = [line + end for line, end in zip(lines, ends, strict=True)]
    lines += [f"{head} {label}" for head, label in zip(heads, labels, strict=True) if head != label]
    if len(rows) > 2 and (found := find_sensitivity(rows, variations)):
        lines += ["", *_sensitivity_lines(rows, found)]
    return lines


def _sensitivity_lines(rows: Sequence[Row], found: Sequence[Sensitivity]) -> list[str]:
    _, age = common_scores(rows)
    part = "all" if age == REPORTS else f"the first {100 * age // REPORTS} %"
    table = aligned(["spread", "rank corr.", "field"], [
        [shown(entry.spread, "{:.2f}"), shown(entry.correlation, "{:+.2f}"), entry.field] for entry in found
    ])
    groups = [", ".join(f"{group.name}: {shown(group.score, '{:.1f}')}" for group in entry.groups) for entry in found]
    groups = ["mean return in each part of the range", *groups]
    # the 5 % point of Spearman's correlation of unrelated values is near 1.96 / sqrt(n - 1)
    chance = min(1.0, 1.96 / math.sqrt(len(rows) - 1))
    return [
        f"Sensitivity of the mean return over {part} of each run:", "",
        *(f"{line}  {text}" for line, text in zip(table, groups, strict=True)),
        "", f"With {len(rows)} trials a rank correlation between -{chance:.2f} and {chance:.2f} may be chance.",
    ]
