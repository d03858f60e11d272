"""The plain Ray transport: every exchange is a round of actor calls through the coordinator.

Slow and simple: the yardstick that shows what the board buys. The units and their phases are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.team.crew import Crew
from teamnet.team.exchange import PATIENCE, non_finite
from teamnet.team.ledger import Ledger, book
from teamnet.team.order import Turn, Wave, order_of_step
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import NOTHING, rounds
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit

_NOISE_STEPS = 64


class CallWorker:
    """Hosts one unit; what it reads arrives as arguments and what it publishes leaves as results.

    Args:
        teams: the layers of every team.
        unit: which neurons.
        noise: recorded noise ``(steps, rows, width)`` instead of the unit's own streams.
    """

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], unit: UnitSpec, noise: np.ndarray | None = None
    ) -> None:
        self._unit = Unit(unit, None if noise is None else RecordedNoise(noise))
        self._board = board = Board(teams, private_memory(board_size(teams)))
        self._unit.attach(board.hand_out(unit, 1))
        team = {layer.number: layer for layer in next(team for team in teams if team[0].team == unit.layer.team)}
        layer = unit.layer
        self._inbox = {"delta": board.delta, "keep": board.keep}
        self._inbox["below"] = board.observations if layer.is_first else board.activations(team[layer.number - 1])
        if not layer.is_last:
            self._inbox["above"] = board.errors(team[layer.number + 1])
        if layer.gated:
            self._inbox["gate"] = board.gates(layer)
        self._phases = schedule_of(layer)
        self._noise_left = 0
        self._do_phase = native("teamnet.team.phase", "do_phase")

    def phase(self, number: int, deliveries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Take in what neighbours published, do phase ``number``, and return what the unit publishes."""
        if number == 0:
            if self._noise_left == 0:
                self._noise_left = _NOISE_STEPS
                self._unit.draw_noise(_NOISE_STEPS)
            self._noise_left -= 1
        for name, values in deliveries.items():
            self._inbox[name][:] = values
        finite = self._do_phase(self._unit.record.ctypes.data, number)
        layer, board, phase, record = self._unit.spec.layer, self._board, self._phases[number], self._unit.record[0]
        neurons = slice(self._unit.spec.start, self._unit.spec.stop)
        published = {"finite": np.array(finite)}
        if phase.activation != NOTHING:
            published["activation"] = board.activations(layer)[record["activation_round"] & 1][:, neurons].copy()
            if layer.gated and layer.is_last:
                published["value"] = board.value(layer.team).copy()
        if phase.error != NOTHING:
            published["error"] = board.errors(layer)[record["error_round"] & 1][:, _said_by(self._unit.spec)].copy()
        if phase.shown_gate != NOTHING:
            published["gate"] = board.gates(layer)[phase.shown_gate].copy()
        return published

    def snapshot(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.snapshot`."""
        return self._unit.snapshot()

    def mirror(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.mirror`."""
        return self._unit.mirror()

    def counts(self) -> dict[str, int]:
        """See :meth:`teamnet.units.unit.Unit.counts`."""
        return self._unit.counts()

    def laps(self) -> np.ndarray:
        """See :meth:`teamnet.units.unit.Unit.laps`."""
        return self._unit.laps()

    def restore(self, own: Snapshot, above: Snapshot) -> None:
        """See :meth:`teamnet.units.unit.Unit.restore`."""
        self._noise_left = 0
        self._unit.restore(own, above)


class CallExchange:
    """Units in Ray actors, activations in the arguments and results of calls.

    Args:
        teams: the layers of every team, from the observation upwards.
        units: all units in canonical order.
        crew: hosts of one :class:`CallWorker` for each unit.
        nodes: each unit's node, for the ledger; one for all if left out.
    """

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], crew: Crew,
        nodes: Sequence[int] | None = None,
    ) -> None:
        self.actors = crew.size
        self.board = Board(teams, private_memory(board_size(teams)))
        self._teams, self._units, self._crew = teams, units, crew
        self._nodes = nodes or [0] * len(units)
        self._acting, self._rest = order_of_step(teams, units)
        self._published: dict[tuple[object, ...], np.ndarray] = {}
        self._step = self._first_step = 0

    def act(self, observation: np.ndarray, keep: np.ndarray) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._published = {("observation",): observation.copy(), ("keep",): keep.copy()}
        for wave in self._acting:
            self._do(wave)
        for team in self._teams:
            shown = rounds(schedule_of(team[-1]), "activation")
            output = self._published["activation", team[0].team, len(team), shown - 1]
            self.board.activations(team[-1])[((self._step + 1) * shown - 1) & 1] = output
            if team[0].gated:
                self.board.value(team[0].team)[:] = self._published["value", team[0].team, len(team)]

    def learn(self, delta: np.ndarray) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._published["delta",] = np.stack([delta, self._published["keep",]])
        for wave in self._rest:
            self._do(wave)
        self._step += 1

    def _do(self, wave: Wave) -> None:
        """One round of calls: what each phase reads goes out with it, and what it publishes comes back."""
        arguments = [(turn.number, self._reads(turn)) for turn in wave]
        calls = self._crew.call_some("phase", [turn.unit for turn in wave], arguments)
        for turn, published in zip(wave, self._crew.results(calls), strict=True):
            if not published["finite"]:
                raise non_finite(self._units[turn.unit], self._step, published.get("activation", np.zeros(0)))
            self._publish(turn, published)

    def _reads(self, turn: Turn) -> dict[str, np.ndarray]:
        layer, phase = self._units[turn.unit].layer, turn.phase
        found = {"keep": self._published["keep",]} if layer.begins_anew and turn.number == 0 else {}
        if phase.below != NOTHING:
            place = ("observation",) if layer.is_first else ("activation", layer.team, layer.number - 1, phase.below)
            found["below"] = self._published[place]
        if phase.above != NOTHING:
            found["above"] = self._published["error", layer.team, layer.number + 1, phase.above]
        comes_down = layer.is_told_from_above and phase.above != NOTHING
        if phase.delta or comes_down:
            found["delta"] = self._published["delta",]
        gate = "gate", layer.team, max(0, phase.gate)
        if phase.gate != NOTHING or (comes_down and gate in self._published):
            found["gate"] = self._published[gate]
        return found

    def _publish(self, turn: Turn, published: Mapping[str, np.ndarray]) -> None:
        """Put a unit's neurons to those of its layer; a slot is complete once the wave is."""
        unit, phase = self._units[turn.unit], turn.phase
        layer = unit.layer
        for name, number, width, columns in (
            ("activation", phase.activation, layer.size, slice(unit.start, unit.stop)),
            ("error", phase.error, layer.error_size, _said_by(unit)),
        ):
            if name in published:
                values = published[name]
                blank = np.empty((len(values), width))
                self._published.setdefault((name, layer.team, layer.number, number), blank)[:, columns] = values
        if "value" in published:
            self._published["value", layer.team, layer.number] = published["value"]
        if "gate" in published:
            self._published["gate", layer.team, phase.shown_gate] = published["gate"]

    def pause(self) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""

    def snapshot(self) -> list[Snapshot]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return self._crew.results(self._crew.call("snapshot", [()] * self._crew.size))

    def mirrors(self) -> list[Snapshot]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return self._crew.results(self._crew.call("mirror", [()] * self._crew.size))

    def ledger(self) -> Ledger:
        """See :class:`teamnet.team.exchange.Exchange`."""
        counts = self._crew.results(self._crew.call("counts", [()] * self._crew.size))
        return book(self._teams, self._units, self._nodes, counts, {}, steps=self._step - self._first_step, pauses=0)

    def laps(self) -> list[np.ndarray]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return self._crew.results(self._crew.call("laps", [()] * self._crew.size))

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._crew.results(self._crew.call("restore", list(snapshots)))
        self._step = self._first_step = step

    def revive(self) -> int:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return self._crew.replace_lost(PATIENCE)

    def close(self) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._crew.close()


def _said_by(unit: UnitSpec) -> slice:
    """A unit's columns of its layer's errors; who ships products is the whole layer."""
    return slice(None) if unit.layer.ships else slice(unit.start, unit.stop)
