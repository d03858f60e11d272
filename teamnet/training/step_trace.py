"""The timestamps of some steps of a run, of the coordinator and of every unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from teamnet.team.executor import Executor
from teamnet.training.coordinator import Coordinator
from teamnet.training.task import Episode


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


class Advancing(Protocol):
    """A run, as far as a trace needs it; see :class:`teamnet.training.run.Run`."""

    stop_asked: bool

    @property
    def exclusive(self) -> AbstractContextManager[object]:
        """See :class:`teamnet.training.run.Run`."""
        ...

    @property
    def step(self) -> int:
        """Steps so far."""
        ...

    @property
    def done(self) -> bool:
        """Whether it is at its end."""
        ...

    def advance(self, until: Callable[[], bool]) -> list[Episode]:
        """Train until an episode ends, the run is done, or ``until()`` is true."""
        ...


def trace_steps(
    run: Advancing, executor: Executor, coordinator: Coordinator, steps: int
) -> tuple[StepTrace, list[Episode]]:
    """Do some steps of the batch, every one of which is timed; fewer if the run ends before.

    The averages of the ledger's times begin anew.

    Args:
        run: the run.
        executor, coordinator: of the run.
        steps: how many, after one that is not kept, as its units may have waited for it already.

    Returns:
        The timestamps, and the episodes that ended.

    Raises:
        TeamnetError: see :meth:`teamnet.training.run.Run.advance`.
    """
    with run.exclusive:
        executor.time_all(steps)
        coordinator.keep_timestamps(steps)
    first, ended = run.step + 1, []
    try:
        while run.step < first + steps and not run.done and not run.stop_asked:
            ended += run.advance(lambda: run.step >= first + steps)
    except BaseException:
        coordinator.keep_episodes(ended)
        raise
    with run.exclusive:
        found, nodes = executor.timestamps(), [unit["node"] for unit in executor.ledger().units]
        own = coordinator.timestamps()
        executor.time_all(0)
        coordinator.keep_timestamps(0)
    kept = slice(len(own) - max(0, run.step - first), None)
    return StepTrace(first, own[kept], [each[kept] for each in found], nodes), ended
