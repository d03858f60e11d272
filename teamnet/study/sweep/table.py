"""What a sweep found, for people: its trials, best first, then what matters most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from teamnet.study.sweep.ranges import show
from teamnet.study.sweep.sensitivity import Sensitivity, common_scores, find_sensitivity
from teamnet.study.sweep.trials import REPORTS
from teamnet.study.sweep.vary import Variation

Row = Mapping[str, Any]
_WIDEST = 16


def best_first(rows: Sequence[Row]) -> list[Row]:
    """Trials that finished, then those that were stopped early, then those that failed; each by mean return."""
    def key(row: Row) -> tuple[bool, bool, float]:
        score = row["mean_return"]
        return row["error"] is None, not row["stopped_early"], -math.inf if score is None else score

    return sorted(rows, key=key, reverse=True)


def summarise(rows: Sequence[Row], variations: Sequence[Variation]) -> dict[str, Any]:
    """The result of a sweep as JSON types."""
    ordered = best_first(rows)
    return {
        "trials": len(rows), "stopped_early": sum(row["stopped_early"] and not row["error"] for row in rows),
        "failed": sum(row["error"] is not None for row in rows), "best": ordered[0] if ordered else None,
        "sensitivity": [asdict(its) for its in find_sensitivity(rows, variations)],
    }


def result_lines(rows: Sequence[Row], variations: Sequence[Variation]) -> list[str]:
    """The table of trials, best first, and the summary of what matters."""
    labels = [variation.label for variation in variations]
    heads = [label if len(label) <= _WIDEST else f"[{number}]" for number, label in enumerate(labels, 1)]
    widths = [
        max(len(head), *(len(show(row["values"][label])) for row in rows), 6)
        for head, label in zip(heads, labels, strict=True)
    ]
    header = "  ".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    lines = [f"{'trial':>5} {'mean return':>11} {'episodes':>8} {'seconds':>8}  {header}"]
    for row in best_first(rows):
        score = "-" if row["mean_return"] is None else f"{row['mean_return']:.2f}"
        values = "  ".join(
            f"{show(row['values'][label]):>{width}}" for label, width in zip(labels, widths, strict=True)
        )
        how = "  failed" if row["error"] else "  stopped early" if row["stopped_early"] else ""
        lines.append(f"{row['trial']:5} {score:>11} {row['episodes']:8,} {row['seconds']:8.1f}  {values}{how}")
    lines += [f"{head} {label}" for head, label in zip(heads, labels, strict=True) if head != label]
    if len(rows) > 2:
        lines += ["", *_sensitivity_lines(rows, find_sensitivity(rows, variations))]
    return lines


def _sensitivity_lines(rows: Sequence[Row], found: Sequence[Sensitivity]) -> list[str]:
    _, age = common_scores(rows)
    part = "all" if age == REPORTS else f"the first {100 * age // REPORTS} %"
    width = max(len("field"), *(len(its.field) for its in found))
    lines = [
        f"What matters, by the mean return over {part} of each run:", "",
        f"{'spread':>8} {'rank corr.':>10}  {'field':{width}} mean return in each part of the range",
    ]
    for its in found:
        spread = "-" if its.spread is None else f"{its.spread:.2f}"
        correlation = "-" if its.correlation is None else f"{its.correlation:+.2f}"
        groups = ", ".join(
            f"{group.name}: {'-' if group.score is None else format(group.score, '.1f')}" for group in its.groups
        )
        lines.append(f"{spread:>8} {correlation:>10}  {its.field:{width}} {groups}")
    # the 5 % point of Spearman's correlation of unrelated values is near 1.96 / sqrt(n - 1)
    chance = min(1.0, 1.96 / math.sqrt(len(rows) - 1))
    lines += ["", f"With {len(rows)} trials a rank correlation between -{chance:.2f} and {chance:.2f} may be chance."]
    return lines
