"""The statistics of an experiment: over the seeds of one cell, and between two cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from teamnet.units.streams import keyed_generator

LEVEL = 0.05
"""The significance level: a difference with a smaller p is beyond chance."""
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Spread:
    """Mean of ``n`` values, their standard deviation (n - 1 in the denominator), and a 95 % interval of the mean.

    ``std`` is 0 and the interval a point for a single value.
    """

    n: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Published:
    """A published mean and standard deviation of the average return over ``n`` runs.

    The deviation is printed by the official code's ``print_stat``, with ``n`` in the denominator (NumPy's default).
    """

    mean: float
    std: float
    n: int = 10

    @property
    def spread(self) -> Spread:
        """The same with ``n - 1`` in the denominator, as in :func:`spread`."""
        std = self.std * math.sqrt(self.n / (self.n - 1)) if self.n > 1 else 0.0
        return Spread(self.n, self.mean, std, self.mean, self.mean)


def spread(values: Sequence[float], key: str) -> Spread | None:
    """Mean, standard deviation and bootstrap interval (percentiles) of some values; ``None`` if there are none.

    Args:
        values: one for each seed.
        key: names the random stream of the bootstrap, so that other cells do not change this interval.
    """
    if not values:
        return None
    array = np.array(values, np.float64)
    low, high = interval_of_mean(array, key)
    std = float(array.std(ddof=1)) if len(array) > 1 else 0.0
    return Spread(len(array), float(array.mean()), std, float(low), float(high))


def interval_of_mean(values: np.ndarray, key: str) -> tuple[np.ndarray, np.ndarray]:
    """A 95 % interval of means over the seeds, by bootstrap (percentiles); it stays within the range of the values.

    Args:
        values: float64 ``(n, ...)``, the seeds first; all columns are resampled alike.
        key: names the random stream.

    Returns:
        Its lower and its upper ends, ``(...)``.
    """
    chosen = keyed_generator(0, *key.encode()).integers(0, len(values), (_RESAMPLES, len(values)))
    weights = np.stack([(chosen == seed).mean(axis=1) for seed in range(len(values))], axis=1)
    ends = np.quantile(weights @ values, (LEVEL / 2, 1 - LEVEL / 2), axis=0)
    low, high = np.clip(ends, values.min(axis=0), values.max(axis=0))  # rounding can exceed the range
    return low, high


def welch(one: Spread, other: Spread) -> float | None:
    """Welch's two-sided t-test that both means are equal, from means, deviations and numbers of runs.

    Returns:
        its p; ``None`` if either has a single run, or if neither varies.
    """
    if min(one.n, other.n) < 2 or one.std == other.std == 0:
        return None
    result = stats.ttest_ind_from_stats(one.mean, one.std, one.n, other.mean, other.std, other.n, equal_var=False)
    return float(result.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p of a family: the chance of any such p among them if no mean differed."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted
