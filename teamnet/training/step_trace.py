"""The timestamps of some steps of a run, of the coordinator and of every unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StepTrace:
    """When the participants of some consecutive steps of the whole batch did what.

    Each participant has int64 ``(steps, phases, 4)`` nanoseconds of its node's monotonic clock: when each step of its
    dataflow began to wait, could begin, was done, and was published.

    Args:
        first: the number of the first step.
        coordinator: of the coordinator.
        units: of each unit in canonical order.
        nodes: each unit's node; the coordinator is at node 0.
    """

    first: int
    coordinator: np.ndarray
    units: Sequence[np.ndarray]
    nodes: Sequence[int]

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.coordinator)
