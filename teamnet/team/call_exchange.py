"""The plain Ray transport: every exchange is a round of actor calls through the coordinator.

Slow and simple: the yardstick that shows what the board buys. The units and their phases are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.kernels.constants import ACT, FINISH, LEARN, REFRESH, SETTLE
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.team.crew import Crew
from teamnet.team.exchange import non_finite
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit

_NOISE_STEPS = 64
_Reads = Callable[[LayerSpec], tuple[str, ...] | None]


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
        self._inbox = {"delta": board.signal("delta"), "keep": board.signal("keep")}
        self._inbox["below"] = board.observations if layer.is_first else board.activations(team[layer.number - 1])
        if not layer.is_last:
            self._inbox["above"] = board.errors(team[layer.number + 1])
        if layer.gated:
            self._inbox["gate"] = board.signal("gate", layer.team)
        self._noise_left = 0
        self._do_phase = native("teamnet.team.phase", "do_phase", "ii")

    def phase(self, phase: int, deliveries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Take in what neighbours published, do one phase, and return what the unit publishes."""
        if phase == ACT:
            if self._noise_left == 0:
                self._noise_left = _NOISE_STEPS
                self._unit.draw_noise(_NOISE_STEPS)
            self._noise_left -= 1
        for name, values in deliveries.items():
            self._inbox[name][:] = values
        finite = self._do_phase(self._unit.record.ctypes.data, phase)
        layer, board = self._unit.spec.layer, self._board
        buffer, neurons = int(self._unit.record["round"][0]) & 1, slice(self._unit.spec.start, self._unit.spec.stop)
        published = {"finite": np.array(finite)}
        if phase in (ACT, SETTLE):
            published["activation"] = board.activations(layer)[buffer][:, neurons].copy()
        if phase in (ACT, REFRESH):
            published["error"] = board.errors(layer)[buffer][:, neurons].copy()
        if layer.gated and layer.is_last:
            published |= {name: board.signal(name, layer.team).copy() for name in ("value", "gate")}
        return published

    def snapshot(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.snapshot`."""
        self._noise_left = 0
        return self._unit.snapshot()

    def mirror(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.mirror`."""
        return self._unit.mirror()

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
    """

    def __init__(self, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], crew: Crew) -> None:
        self.actors = crew.size
        self.board = Board(teams, private_memory(board_size(teams)))
        self._teams, self._units, self._crew = teams, units, crew
        self._settle_steps = teams[0][0].settle_steps
        self._step = self._round = 0
        self._observation = self.board.observations[0]

    def act(self, observation: np.ndarray) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._round = self._step * (self._settle_steps + 1)
        self._observation = observation.copy()
        for number in range(1, max(len(team) for team in self._teams) + 1):
            self._phase(ACT, lambda layer, number=number: ("below",) if layer.number == number else None)

    def learn(self, delta: np.ndarray, keep: np.ndarray) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self.board.signal("delta")[:] = delta
        self.board.signal("keep")[:] = keep
        self._phase(LEARN, lambda layer: ("delta", "keep"))
        for _ in range(self._settle_steps):
            self._phase(SETTLE, lambda layer: None if layer.is_last else ("above",), advance=True)
            self._phase(REFRESH, lambda layer: ("below",))
        self._phase(
            FINISH, lambda layer: (*(() if layer.is_last else ("above",)), *(("gate",) if layer.gated else ()))
        )
        self._step += 1

    def _phase(self, phase: int, reads: _Reads, *, advance: bool = False) -> None:
        """One phase of every unit for which ``reads`` names slots, with what it reads; results go to the board."""
        chosen = [(number, unit) for number, unit in enumerate(self._units) if reads(unit.layer) is not None]
        arguments = [
            (phase, {name: self._slot(unit.layer, name) for name in reads(unit.layer) or ()}) for _, unit in chosen
        ]
        if advance:
            self._round += 1
        results = self._crew.call_some("phase", [number for number, _ in chosen], arguments)
        for (_, unit), published in zip(chosen, self._crew.results(results), strict=True):
            if not published["finite"]:
                raise non_finite(unit, self._step)
            self._publish(unit, published)

    def _slot(self, layer: LayerSpec, name: str) -> np.ndarray:
        team = next(team for team in self._teams if team[0].team == layer.team)
        buffer = self._round & 1
        if name == "below":
            return self._observation if layer.is_first else self.board.activations(team[layer.number - 2])[buffer]
        if name == "above":
            return self.board.errors(team[layer.number])[buffer]
        return self.board.signal("gate", layer.team) if name == "gate" else self.board.signal(name)

    def _publish(self, unit: UnitSpec, published: Mapping[str, np.ndarray]) -> None:
        neurons, buffer = slice(unit.start, unit.stop), self._round & 1
        if "activation" in published:
            self.board.activations(unit.layer)[buffer][:, neurons] = published["activation"]
        if "error" in published:
            self.board.errors(unit.layer)[buffer][:, neurons] = published["error"]
        for name in ("value", "gate"):
            if name in published:
                self.board.signal(name, unit.layer.team)[:] = published[name]

    def pause(self) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""

    def snapshot(self) -> list[Snapshot]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return self._crew.results(self._crew.call("snapshot", [()] * self._crew.size))

    def mirrors(self) -> list[Snapshot]:
        """See :class:`teamnet.team.exchange.Exchange`."""
        return self._crew.results(self._crew.call("mirror", [()] * self._crew.size))

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._crew.results(self._crew.call("restore", list(snapshots)))
        self._step = step

    def close(self) -> None:
        """See :class:`teamnet.team.exchange.Exchange`."""
        self._crew.close()
