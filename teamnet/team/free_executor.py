"""The board executor of a free-running team: the coordinator waits for the actions, and units never wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.kernels.native import native
from teamnet.team.board_executor import BoardExecutor
from teamnet.team.worker_pool import WorkerPool
from teamnet.units.unit import Snapshot

_LOOK_EVERY = 1.0
"""Seconds between two checks for failed actors: no unit waits for a hidden unit, so no wait would detect its loss."""


class FreeExecutor(BoardExecutor):
    """Units that run without a common tick and use the newest values on the board; see :mod:`teamnet.team.free_run`.

    :meth:`pause` waits for every unit, however slow: a snapshot includes all units.

    Args:
        teams: the layers of every team, from the observation upwards.
        units: all units in canonical order.
        pool: hosts of one :class:`teamnet.team.worker.FreeWorker` for each unit.
    """

    _free_running = True

    def __init__(self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], pool: WorkerPool) -> None:
        super().__init__(teams, units, pool)
        self._set_control = native("teamnet.team.coordinator_kernels", "set_control")
        self._output_rounds[:] = 1
        self._clock = self._control + 8
        self._begun = np.zeros(teams[0][0].rows)
        self._look_at = 0.0

    def act(self, observation: np.ndarray, keep: np.ndarray, valid: np.ndarray | None = None) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._wait_until_rested()
        number = self._step + 1
        self._begun[keep == 0.0] = number
        self._observations[self._step & 1] = observation
        self._masks[self._step & 1] = self._begun
        self._set_control(self._clock, number)
        if not self._running:
            self._begin()
        elif time.monotonic() >= self._look_at:
            self._look_after_workers(aborted=False)
            self._look_at = time.monotonic() + _LOOK_EVERY
        self._wait_for_outputs(2 * self._step + 1)

    def _wait_until_rested(self) -> None:
        """Wait for the second publication of the outputs, ``settle_steps`` of their ticks after the TD error."""
        self._wait_for_outputs(2 * self._step)

    def pause(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._wait_until_rested()
        super().pause()

    def _query(self, method: str, *arguments: Any) -> list[Any]:
        self.pause()
        return super()._query(method, *arguments)

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        super().restore(snapshots, step)
        self._begun[:] = 0.0
        for counter in self._output_counters.tolist():
            self._set_control(counter, 2 * step)
