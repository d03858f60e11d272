"""The in-process executor: the same units and the same slots, called in sequence by one compiled function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from teamnet.board.addresses import addresses_of
from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.dataflow.order import Wave, order_of_step
from teamnet.kernels.constants import BROKEN, FAILED
from teamnet.kernels.native import native
from teamnet.team.executor import failed
from teamnet.team.in_turn import FINE
from teamnet.team.interpret import interpret_in_turn
from teamnet.team.ledger import Ledger, count_traffic
from teamnet.team.partition import noise_steps
from teamnet.units.code import compiled_code, interpreted_code
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit


class LocalExecutor:
    """All units of a run in this process.

    Args:
        teams: the layers of every team, from the observation upwards.
        units: all units in canonical order: team, layer, neuron.
        noise: recorded noise for every unit, instead of its own streams.
        interpret: whether operations are called as plain Python on NumPy arrays.
    """

    actors = 0

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
        noise: Sequence[np.ndarray] | None = None, *, interpret: bool = False,
    ) -> None:
        self._flow = flow = Dataflow(teams)
        self.board = Board(flow, private_memory(board_size(flow)))
        recorded = [None] * len(units) if noise is None else [RecordedNoise(block) for block in noise]
        code = interpreted_code if interpret else compiled_code
        self.units = [Unit(unit, code(unit.layer), source) for unit, source in zip(units, recorded, strict=True)]
        for unit in self.units:
            unit.attach(addresses_of(self.board, unit.spec), flow.steps[unit.spec.layer.group])
        self._addresses = np.array([unit.address for unit in self.units], np.int64)
        self._run = interpret_in_turn(self.units) if interpret else self._compiled()
        self._acting, self._rest = (_pairs(waves) for waves in order_of_step(flow, units))
        self._observations, self._masks = self.board.observations, self.board.episode_masks
        self._valid = self.board.action_masks
        self._td_error, self._trace_mask = self.board.signals
        self._noise_steps = noise_steps(teams)
        self._noise_left = 0
        self._step = self._first_step = 0

    def _compiled(self) -> Callable[[np.ndarray], int]:
        run = native("teamnet.team.in_turn", "run_in_turn")
        units = self._addresses.ctypes.data, self._addresses.size
        return lambda order: run(*units, order.ctypes.data, len(order))

    def act(self, observation: np.ndarray, keep: np.ndarray, valid: np.ndarray | None = None) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        if self._noise_left == 0:
            self._noise_left = self._noise_steps
            for unit in self.units:
                unit.draw_noise(self._noise_steps)
        self._noise_left -= 1
        self._observations[self._step & 1] = observation
        self._masks[self._step & 1] = keep
        if valid is not None:
            self._valid[self._step & 1] = valid
        self._check(self._run(self._acting))

    def learn(self, delta: np.ndarray) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._td_error[:], self._trace_mask[:] = delta, self._masks[self._step & 1]
        self._check(self._run(self._rest))
        self._step += 1

    def _check(self, broken: int) -> None:
        if broken != FINE:
            number = broken % len(self.units)
            unit = self.units[number].spec
            raise failed(BROKEN if broken == number else FAILED, unit, self._step, self.board.published(unit))

    def pause(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""

    def snapshot(self) -> list[Snapshot]:
        """See :class:`teamnet.team.executor.Executor`."""
        return [unit.snapshot() for unit in self.units]

    def mirrors(self) -> list[Snapshot]:
        """See :class:`teamnet.team.executor.Executor`."""
        return [unit.mirror() for unit in self.units]

    def ledger(self) -> Ledger:
        """See :class:`teamnet.team.executor.Executor`."""
        specs = [unit.spec for unit in self.units]
        counts = [unit.counts() for unit in self.units]
        return count_traffic(
            self._flow, specs, [0] * len(specs), counts, {}, steps=self._step - self._first_step, pauses=0
        )

    def pinning(self) -> str:
        """See :class:`teamnet.team.executor.Executor`; nothing is pinned."""
        return "none"

    def timestamps(self) -> list[np.ndarray]:
        """See :class:`teamnet.team.executor.Executor`."""
        return [unit.timestamps() for unit in self.units]

    def time_all(self, kept: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        for unit in self.units:
            unit.time_all(kept)

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.executor.Executor`."""
        self._noise_left = 0
        self._step = self._first_step = step
        for unit, (own, above) in zip(self.units, snapshots, strict=True):
            unit.restore(own, above)

    def replace_failed(self) -> int:
        """See :class:`teamnet.team.executor.Executor`; units of this process are never lost."""
        return 0

    def close(self) -> None:
        """See :class:`teamnet.team.executor.Executor`."""


def _pairs(waves: Sequence[Wave]) -> np.ndarray:
    """Numbers of units and of their steps, int64 ``(turns, 2)``."""
    return np.array([(turn.unit, turn.number) for wave in waves for turn in wave], np.int64).reshape(-1, 2)
