"""The sensitivity of the score to each varied field, from the trials of a sweep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from teamnet.study.sweep.ranges import Choice, Interval, show
from teamnet.study.sweep.variation import Variation

Row = Mapping[str, Any]
_FEW = 5
"""Whole numbers of a range that are groups of their own."""


@dataclass(frozen=True)
class Group:
    """Trials whose value lies in one part of a range.

    Args:
        name: the part, for instance ``0.1..0.4`` or ``relu``.
        trials: their number.
        score: their mean score; ``None`` if there are none.
    """

    name: str
    trials: int
    score: float | None


@dataclass(frozen=True)
class Sensitivity:
    """The relation between a field and the score.

    Args:
        field: the variation's label.
        correlation: Spearman's, of value and score; ``None`` where values have no order, or are all equal.
        groups: the thirds of a range (of its logarithm if it is logarithmic), or its values if they are few, or the
            choices.
        spread: the best group's score minus the worst one's; ``None`` with less than two groups.
    """

    field: str
    correlation: float | None
    groups: tuple[Group, ...]
    spread: float | None


def common_scores(rows: Sequence[Row]) -> tuple[list[float], int]:
    """The score of every trial at the last report that all trials reached, and that report's number.

    A trial that was stopped early had less time to learn, so scores at different ages are not comparable. A trial that
    failed, or had not finished an episode, counts as the worst of the others.
    """
    age = min((len(row["curve"]) for row in rows if not row["error"]), default=0)
    found = [row["curve"][age - 1] if age and not row["error"] else None for row in rows]
    worst = min((score for score in found if score is not None), default=math.nan)
    return [worst if score is None else score for score in found], age


def rank_correlation(first: Sequence[Any], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation, -1 to 1; ``None`` if either has less than two different values."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in first)
    if not numeric or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    result: Any = stats.spearmanr(first, second)
    return float(result.statistic)


def find_sensitivity(rows: Sequence[Row], variations: Sequence[Variation]) -> list[Sensitivity]:
    """The sensitivity to each field, the largest spread first; none if no trial has a score."""
    scores, _ = common_scores(rows)
    if all(map(math.isnan, scores)):
        return []
    found = []
    for variation in variations:
        values = [row["values"][variation.label] for row in rows]
        groups = _group(variation, values, scores)
        means = [group.score for group in groups if group.score is not None]
        spread = max(means) - min(means) if len(means) > 1 else None
        found.append(Sensitivity(variation.label, rank_correlation(values, scores), groups, spread))
    return sorted(found, key=lambda entry: -1.0 if entry.spread is None else entry.spread, reverse=True)


def parts_of(interval: Interval) -> list[tuple[float, float]]:
    """The thirds of a range, equally likely, or each of a few whole numbers.

    A value belongs to the last part that does not begin above it.
    """
    if interval.whole and interval.high - interval.low < _FEW:
        return [(value, value) for value in range(int(interval.low), int(interval.high) + 1)]
    return list(itertools.pairwise(float(interval.at(number / 3)) for number in range(4)))


def _group(variation: Variation, values: Sequence[Any], scores: Sequence[float]) -> tuple[Group, ...]:
    if isinstance(variation.range, Choice):
        # compared as text, because a tuple is a list in a JSON file
        names = [show(choice) for choice in variation.range.values]
        places = [names.index(show(value)) for value in values]
    else:
        parts = parts_of(variation.range)
        names = [show(low) if low == high else f"{show(low)}..{show(high)}" for low, high in parts]
        places = [sum(value >= low for low, _ in parts[1:]) for value in values]
    members = [[score for score, place in zip(scores, places, strict=True) if place == n] for n in range(len(names))]
    return tuple(
        Group(name, len(inside), float(np.mean(inside)) if inside else None)
        for name, inside in zip(names, members, strict=True)
    )
