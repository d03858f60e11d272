"""The in-process exchange: the same units and the same slots, called in turn by one compiled function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.team.exchange import non_finite
from teamnet.team.ledger import Ledger, book
from teamnet.team.order import order_of_step
from teamnet.team.partition import noise_steps
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit


class LocalExchange:
    """All units of a run in this process.

    Args:
        teams: the layers of every team, from the observation upwards.
        units: all units in canonical order: team, layer, neuron.
        noise: recorded noise for every unit, instead of its own streams.
    """

    actors = 0

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], noise: Sequence[np.ndarray] | None = None
    ) -> None:
        self._teams = teams
        self.board = Board(teams, private_memory(board_size(teams)))
        recorded = [None] * len(units) if noise is None else [RecordedNoise(block) for block in noise]
        self.units = [Unit(unit, source) for unit, source in zip(units, recorded, strict=True)]
        for unit in self.units:
            unit.attach(self.board.hand_out(unit.spec, peers=1))
        self._records = np.concatenate([unit.record for unit in self.units])
        for number, unit in enumerate(self.units):
            unit.record = self._records[number : number + 1]
        self._units_at = self._records.ctypes.data, self._records.size
        self._perform = native("teamnet.team.in_turn", "perform_in_turn")
        self._acting, self._rest = (
            np.array([(turn.unit, turn.number) for wave in waves for turn in wave], np.int64)
            for waves in order_of_step(teams, units)
        )
        self._observations, self._keep = self.board.observations, self.board.keep
        self._delta, self._kept = self.board.delta
        self._noise_steps = noise_steps(teams)
        self._noise_left = 0
        self._step = self._first_step = 0

    def act(self, observation: np.ndarray, keep: np.ndarray) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        if self._noise_left == 0:
            self._noise_left = self._noise_steps
            for unit in self.units:
                unit.draw_noise(self._noise_steps)
        self._noise_left -= 1
        self._observations[self._step & 1] = observation
        self._keep[self._step & 1] = keep
        self._perform(*self._units_at, self._acting.ctypes.data, len(self._acting))

    def learn(self, delta: np.ndarray) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._delta[:], self._kept[:] = delta, self._keep[self._step & 1]
        broken = self._perform(*self._units_at, self._rest.ctypes.data, len(self._rest))
        if broken >= 0:
            unit = self.units[broken].spec
            said = self.board.activations(unit.layer)[..., unit.start : unit.stop]
            raise non_finite(unit, self._step, said)
        self._step += 1

    def pause(self) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""

    def snapshot(self) -> list[Snapshot]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return [unit.snapshot() for unit in self.units]

    def mirrors(self) -> list[Snapshot]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return [unit.mirror() for unit in self.units]

    def ledger(self) -> Ledger:
        """See :class:`teamnet.team.exchange.Exchange`."""
        specs = [unit.spec for unit in self.units]
        counts = [unit.counts() for unit in self.units]
        return book(self._teams, specs, [0] * len(specs), counts, {}, steps=self._step - self._first_step, pauses=0)

    def laps(self) -> list[np.ndarray]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return [unit.laps() for unit in self.units]

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._noise_left = 0
        self._step = self._first_step = step
        for unit, (own, above) in zip(self.units, snapshots, strict=True):
            unit.restore(own, above)

    def revive(self) -> int:
        """See :class:`teamnet.team.exchange.Exchange`; units of this process are never lost."""
        return 0

    def close(self) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""

