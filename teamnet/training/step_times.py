"""How long the steps of a run took: a histogram that costs a step next to nothing, and the slowest step."""

from __future__ import annotations

from typing import Any

_BITS = 4
_PARTS = 1 << _BITS
"""Bins for each power of two, so that a quantile is exact within 3 %."""
_BINS = _PARTS * 60
_SECOND = 1e9


class StepTimes:
    """The distribution of the times of all steps of the whole batch."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS
        self._worst, self._worst_step = -1, 0

    def add(self, nanoseconds: int, step: int) -> None:
        """Count a step.

        Args:
            nanoseconds: that it took.
            step: its number.
        """
        shift = max(0, nanoseconds.bit_length() - _BITS - 1)
        self._counts[shift * _PARTS + (nanoseconds >> shift)] += 1
        if nanoseconds > self._worst:
            self._worst, self._worst_step = nanoseconds, step

    @property
    def count(self) -> int:
        """Steps that were counted."""
        return sum(self._counts)

    def quantile(self, share: float) -> float:
        """Seconds in which this share of the steps was done, within 3 %.

        Args:
            share: 0.5 for the median; there must be a step.
        """
        left = share * self.count
        for number, count in enumerate(self._counts):
            left -= count
            if count and left <= 0.0:
                shift = max(0, number // _PARTS - 1)
                return min(self._worst, (number - shift * _PARTS + 0.5) * (1 << shift)) / _SECOND
        raise ValueError("there is no step")

    def as_plain(self) -> dict[str, Any] | None:
        """JSON types: quantiles and the slowest step in seconds, with its number; ``None`` before the first step."""
        if not self.count:
            return None
        return {
            "median": self.quantile(0.5), "p90": self.quantile(0.9), "p99": self.quantile(0.99),
            "worst": self._worst / _SECOND, "worst_step": self._worst_step,
        }
