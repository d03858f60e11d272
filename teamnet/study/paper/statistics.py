"""The statistics of the study: over the seeds of one cell, and between a cell and a published one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from teamnet.study.paper.published import Published
from teamnet.units.streams import keyed_generator

LEVEL = 0.05
"""Differences with a smaller p are called so."""

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Spread:
    """Mean of ``n`` values, their standard deviation (n - 1 below the line), and a 95 % interval of the mean.

    ``std`` is 0 and the interval a point for a single value.
    """

    n: int
    mean: float
    std: float
    low: float
    high: float


def spread(values: Sequence[float], key: str) -> Spread | None:
    """Mean, standard deviation and bootstrap interval (percentiles) of some values; ``None`` if there are none.

    Args:
        values: one for each seed.
        key: names the random stream of the bootstrap, so that other cells do not change this interval.
    """
    if not values:
        return None
    array = np.array(values, np.float64)
    chosen = keyed_generator(0, *key.encode()).integers(0, len(array), (_RESAMPLES, len(array)))
    low, high = np.quantile(array[chosen].mean(axis=1), (LEVEL / 2, 1 - LEVEL / 2))
    std = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    return Spread(len(array), float(array.mean()), std, float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """Ours less the published mean, and the p of Welch's two-sided t-test; ``adjusted`` is Holm's p of the family."""

    difference: float
    p: float
    adjusted: float

    @property
    def verdict(self) -> str:
        """What the unadjusted test says at the 5 % level: the strict way round for who claims to be no worse."""
        if self.p >= LEVEL:
            return "not below beyond chance"
        return "above" if self.difference > 0 else "below"


def welch(ours: Spread, published: Published) -> float | None:
    """Welch's two-sided t-test that both means are equal, from means, deviations and numbers of runs.

    Returns:
        its p; ``None`` if one of both has a single run, or if neither varies.
    """
    return welch_of(ours, Spread(published.n, published.mean, published.sample_std, published.mean, published.mean))


def welch_of(one: Spread, other: Spread) -> float | None:
    """The same for two cells of our own."""
    if min(one.n, other.n) < 2 or one.std == other.std == 0:
        return None
    result = stats.ttest_ind_from_stats(
        one.mean, one.std, one.n, other.mean, other.std, other.n, equal_var=False
    )
    return float(result.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p of a family: the chance of any such p among them if no mean differed."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted
