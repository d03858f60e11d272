"""The plain Ray transport: every exchange is a round of actor calls through the coordinator.

Slow and simple: the baseline with which the board is compared. The units and their steps are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from teamnet.board.addresses import addresses_of
from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.dataflow.order import Turn, Wave, order_of_step
from teamnet.dataflow.ports import ACTION_MASK, EPISODE_MASK, OBSERVATION, TD_ERROR, TRACE_MASK
from teamnet.dataflow.slots import Key, Read, Slot
from teamnet.kernels.constants import READY
from teamnet.kernels.native import native
from teamnet.team.executor import PATIENCE, failed
from teamnet.team.ledger import Ledger, count_traffic
from teamnet.team.worker_pool import WorkerPool
from teamnet.units.code import compiled_code
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Counts, Snapshot, Unit

_NOISE_STEPS = 64


class CallWorker:
    """Hosts one unit; its inputs arrive as arguments, and its publications are returned as results.

    Args:
        teams: the layers of every team.
        unit: the neurons to host.
        noise: recorded noise ``(steps, rows, width)`` instead of the unit's own streams.
    """

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], unit: UnitSpec, noise: np.ndarray | None = None
    ) -> None:
        self._unit = Unit(unit, compiled_code(unit.layer), None if noise is None else RecordedNoise(noise))
        self._flow = flow = Dataflow(teams)
        self._board = Board(flow, private_memory(board_size(flow)))
        self._steps = flow.steps[unit.layer.group]
        self._unit.attach(addresses_of(self._board, unit), self._steps)
        self._noise_left = 0
        self._run_step = native("teamnet.team.one_step", "run_step")

    def step(self, number: int, deliveries: Mapping[Key, np.ndarray]) -> tuple[int, dict[Key, np.ndarray]]:
        """Store the publications of other units, run step ``number``, and return its status and its publications."""
        if number == 0:
            if self._noise_left == 0:
                self._noise_left = _NOISE_STEPS
                self._unit.draw_noise(_NOISE_STEPS)
            self._noise_left -= 1
        for key, values in deliveries.items():
            self._board.slot(key)[:] = values
        step = int(self._unit.record["step"][0])
        status = self._run_step(self._unit.address, number)
        published = {}
        for write in self._steps[number].published:
            slot = self._flow.slots[write.slot]
            place = (step * self._flow.rounds(slot.key) + write.number) % slot.buffers
            published[slot.key] = self._board.slot(slot.key)[place][:, _columns(slot, self._unit.spec)].copy()
        return status, published

    def snapshot(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.snapshot`."""
        return self._unit.snapshot()

    def mirror(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.mirror`."""
        return self._unit.mirror()

    def counts(self) -> Counts:
        """See :meth:`teamnet.units.unit.Unit.counts`."""
        return self._unit.counts()

    def timestamps(self) -> np.ndarray:
        """See :meth:`teamnet.units.unit.Unit.timestamps`."""
        return self._unit.timestamps()

    def time_all(self, kept: int) -> None:
        """See :meth:`teamnet.units.unit.Unit.time_all`."""
        self._unit.time_all(kept)

    def restore(self, own: Snapshot, above: Snapshot) -> None:
        """See :meth:`teamnet.units.unit.Unit.restore`."""
        self._noise_left = 0
        self._unit.restore(own, above)


class CallExecutor:
    """Units in Ray actors, activations in the arguments and results of calls.

    Args:
        teams: the layers of every team, from the observation upwards.
        units: all units in canonical order.
        pool: hosts of one :class:`CallWorker` for each unit.
        nodes: each unit's node, for the ledger; a single node if left out.
    """

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], pool: WorkerPool,
        nodes: Sequence[int] | None = None,
    ) -> None:
        self.actors = pool.size
        self._flow = flow = Dataflow(teams)
        self.board = Board(flow, private_memory(board_size(flow)))
        self._units, self._pool = units, pool
        self._nodes = nodes or [0] * len(units)
        self._acting, self._rest = order_of_step(flow, units)
        self._published: dict[tuple[Key, int], np.ndarray] = {}
        self._step = self._first_step = 0

    def act(self, observation: np.ndarray, keep: np.ndarray, valid: np.ndarray | None = None) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        mask = np.array(keep, float)[:, None]
        self._published = {
            (OBSERVATION, 0): observation.copy(), **dict.fromkeys(((EPISODE_MASK, 0), (TRACE_MASK, 0)), mask),
        }
        if valid is not None:
            self._published[ACTION_MASK, 0] = valid.copy()
        for wave in self._acting:
            self._do(wave)
        for output in self._flow.outputs:
            for slot in (output, *self._flow.carried_with(output)):
                rounds = self._flow.rounds(slot.key)
                place = ((self._step + 1) * rounds - 1) % slot.buffers
                self.board.slot(slot.key)[place] = self._published[slot.key, rounds - 1]

    def learn(self, delta: np.ndarray) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._published[TD_ERROR, 0] = np.array(delta, float)[:, None]
        for wave in self._rest:
            self._do(wave)
        self._step += 1

    def _do(self, wave: Wave) -> None:
        """One round of calls: each call sends the inputs of a step and returns the step's publications."""
        arguments = [(turn.number, self._deliveries(turn)) for turn in wave]
        calls = self._pool.call_some("step", [turn.unit for turn in wave], arguments)
        for turn, (status, published) in zip(wave, self._pool.results(calls), strict=True):
            unit = self._units[turn.unit]
            if status != READY:
                activation = published.get(self._flow.activation(unit.layer).key, np.zeros(0))
                raise failed(status, unit, self._step, activation)
            for write in turn.step.published:
                slot = self._flow.slots[write.slot]
                blank = np.empty((slot.rows, slot.size))
                whole = self._published.setdefault((slot.key, write.number), blank)
                whole[:, _columns(slot, unit)] = published[slot.key]

    def _deliveries(self, turn: Turn) -> dict[Key, np.ndarray]:
        return {read.slot: self._published[read.slot, self._number(read)] for read in turn.step.parts}

    def _number(self, read: Read) -> int:
        """The publication in which the numbers of a read were written."""
        aligned = read.via is not None and self._flow.rounds(read.slot) == self._flow.rounds(read.via[0])
        return read.awaited[1] if aligned else read.number

    def pause(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""

    def snapshot(self) -> list[Snapshot]:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._pool.results(self._pool.call("snapshot", [()] * self._pool.size))

    def mirrors(self) -> list[Snapshot]:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._pool.results(self._pool.call("mirror", [()] * self._pool.size))

    def ledger(self) -> Ledger:
        """See :class:`teamnet.team.executor.Executor`."""
        counts = self._pool.results(self._pool.call("counts", [()] * self._pool.size))
        return count_traffic(
            self._flow, self._units, self._nodes, counts, {}, steps=self._step - self._first_step, pauses=0
        )

    def pinning(self) -> str:
        """See :class:`teamnet.team.executor.Executor`; nothing is pinned."""
        return "none"

    def timestamps(self) -> list[np.ndarray]:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._pool.results(self._pool.call("timestamps", [()] * self._pool.size))

    def time_all(self, kept: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._pool.results(self._pool.call("time_all", [(kept,)] * self._pool.size))

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._pool.results(self._pool.call("restore", list(snapshots)))
        self._step = self._first_step = step

    def replace_failed(self) -> int:
        """See :class:`teamnet.team.executor.Executor`."""
        return self._pool.replace_lost(PATIENCE)

    def close(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._pool.close()


def _columns(slot: Slot, unit: UnitSpec) -> slice:
    """The columns of a slot that a unit writes."""
    return slice(unit.start, unit.stop) if slot.split else slice(None)
