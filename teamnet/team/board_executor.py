"""The board executor: workers run until the run pauses, in one call, and share a board with the coordinator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.dataflow.ports import OBSERVATION, TD_ERROR
from teamnet.errors import RESUME, ActorLost
from teamnet.kernels.constants import ABORTED, BROKEN, FAILED, READY
from teamnet.kernels.native import native
from teamnet.team import executor
from teamnet.team.executor import failed, silent
from teamnet.team.ledger import Ledger, count_traffic
from teamnet.team.node import Node
from teamnet.team.nodes import Nodes
from teamnet.team.partition import noise_steps
from teamnet.team.worker_pool import Pending, WorkerPool
from teamnet.units.unit import Snapshot

_LOOK_EVERY = 0.05
"""Seconds between two checks for failed workers while waiting for a call."""


class BoardExecutor:
    """Units in workers, activations on a shared-memory board.

    Args:
        teams: the layers of every team, from the observation upwards.
        units: all units in canonical order.
        pool: hosts of one :class:`teamnet.team.worker.BoardWorker` for each unit.
        nodes: the boards that the units use; a single board if left out.
        pin: see :class:`teamnet.team.pinning.Pinning`; for a single board.
    """

    _free_running = False

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], pool: WorkerPool,
        nodes: Nodes | None = None, pin: str = "none",
    ) -> None:
        self.actors = pool.size
        self._publish = native("teamnet.team.coordinator_kernels", "publish_alone")
        self._wait_for_all = native("teamnet.team.coordinator_kernels", "wait_for_all")
        self._pool, self._units = pool, units
        self._flow = flow = Dataflow(teams, free_running=self._free_running)
        try:
            if nodes is None:
                nodes = Nodes(Node(teams, units, [0] * len(units), free_running=self._free_running), pin=pin)
            nodes.attach(pool)
        except BaseException:
            try:
                if nodes:
                    nodes.close()
            finally:
                pool.close()
            raise
        self._nodes = nodes
        self.board = self._nodes.board
        self._observations, self._masks = self.board.observations, self.board.episode_masks
        self._valid = self.board.action_masks
        self._td_error, self._trace_mask = self.board.signals
        start = self.board.start
        self._observation_counter, self._td_error_counter = (
            start + self.board.counter(key) for key in (OBSERVATION, TD_ERROR)
        )
        self._control = start
        outputs = flow.outputs
        self._output_counters = np.array([start + self.board.counter(slot.key) for slot in outputs], np.int64)
        self._output_rounds = np.array([flow.rounds(slot.key) for slot in outputs], np.int64)
        self._outputs_at = self._output_counters.ctypes.data, self._output_rounds.ctypes.data, len(outputs)
        self._noise_steps = noise_steps(teams)
        self._running: list[Pending] = []
        self._asked: list[Pending] = []
        self._step = self._first_step = self._pauses = 0

    def act(self, observation: np.ndarray, keep: np.ndarray, valid: np.ndarray | None = None) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        if not self._running:
            self._begin()
        self._observations[self._step & 1] = observation
        self._masks[self._step & 1] = keep
        if valid is not None:
            self._valid[self._step & 1] = valid
        self._publish(self._observation_counter, self._step + 1)
        self._wait_for_outputs(self._step + 1)

    def _wait_for_outputs(self, steps: int) -> None:
        begun = None
        while (status := self._wait_for_all(*self._outputs_at, steps, self._control)) != READY:
            begun = begun or time.monotonic()
            self._look_after_workers(aborted=status == ABORTED)
            if time.monotonic() - begun > executor.SILENCE:
                raise silent(executor.SILENCE)

    def _begin(self) -> None:
        """Start the workers in one call that ends when the run pauses: calls cost them and this process time."""
        self._running = self._pool.call("run", [(self._noise_steps,)] * self._pool.size)

    def _end(self) -> None:
        """Wait until the workers have stopped, if they are running, and raise the error of a unit that failed."""
        if not self._running:
            return
        self._wait_for(self._running)
        running, self._running = self._running, []
        for unit, (status, step, published) in zip(self._units, self._pool.results(running), strict=True):
            if status in (BROKEN, FAILED):
                raise failed(status, unit, step - (status == BROKEN), published)

    def _look_after_workers(self, aborted: bool) -> None:
        if not aborted and not self._pool.failed(self._running) and not self._aborted():
            return
        lost = self._nodes.failure()
        self._end()
        raise ActorLost(
            "team", expected="running units", found=lost or "an abort without a cause", remedy=RESUME
        )

    def _aborted(self) -> bool:
        """Whether any node has aborted or is lost."""
        try:
            return self._nodes.aborted()
        except ActorLost:
            return True

    def learn(self, delta: np.ndarray) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._td_error[:], self._trace_mask[:] = delta, self._masks[self._step & 1]
        self._publish(self._td_error_counter, self._step + 1)
        self._step += 1

    def pause(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._pauses += 1
        self._nodes.pause_before(self._step)
        self._end()
        self._nodes.pause_before(self._step - 1)

    def _wait_for(self, call: list[Pending]) -> None:
        """Wait until a call has ended on every worker; abort the run once one of them has failed.

        Otherwise the others would wait forever for its publications.
        """
        begun, aborted, patience = time.monotonic(), False, executor.SILENCE
        while not self._pool.done(call, _LOOK_EVERY):
            if time.monotonic() - begun > patience:
                raise silent(patience)
            if not aborted and (any(self._pool.failed(calls) for calls in (call, self._running)) or self._aborted()):
                self._nodes.abort()
                self._nodes.check()  # units of a node whose host is lost do not receive the abort
                begun, aborted, patience = time.monotonic(), True, executor.PATIENCE

    def _query(self, method: str, *arguments: Any) -> list[Any]:
        """The result of a method of every unit once it has finished the step; the workers stay in their calls."""
        self._asked = self._pool.call_beside("look", [(method, self._step, *arguments)] * self._pool.size)
        self._wait_for(self._asked)
        found = self._pool.results(self._asked)
        self._asked = []
        if not all(finished for finished, _ in found):
            self._look_after_workers(aborted=True)
        return [result for _, result in found]

    def snapshot(self) -> list[Snapshot]:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._query("snapshot")

    def mirrors(self) -> list[Snapshot]:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._query("mirror")

    def ledger(self) -> Ledger:
        """See :class:`teamnet.team.executor.Executor`."""
        counts = self._query("counts")
        return count_traffic(
            self._flow, self._units, self._nodes.places, counts, self._nodes.traffic(),
            steps=self._step - self._first_step, pauses=self._pauses,
            late_wakeups=self._nodes.late_wakeups(), free_running=self._free_running,
        )

    def timestamps(self) -> list[np.ndarray]:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._query("timestamps")

    def time_all(self, kept: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._query("time_all", kept)

    def pinning(self) -> str:
        """See :class:`teamnet.team.executor.Executor`."""
        return "; ".join(self._nodes.pinning())

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        if self._running:
            self.pause()
        self._pool.results(self._pool.call("restore", list(snapshots)))
        self._nodes.begin_at(step)
        self._step = self._first_step = step
        self._pauses = 0

    def replace_failed(self) -> int:
        """See :class:`teamnet.team.executor.Executor`."""
        self._nodes.abort()
        self._nodes.check()
        calls = [*self._running, *self._asked]
        self._running = []
        if calls:  # to run and to query: all must end before the abort is cleared from the board
            self._pool.done(calls, executor.PATIENCE)
        lost = self._pool.replace_lost(executor.PATIENCE)
        self._nodes.attach(self._pool)
        return lost

    def close(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        try:
            self._nodes.abort()
        finally:
            try:
                self._nodes.close()
            finally:
                self._pool.close()
