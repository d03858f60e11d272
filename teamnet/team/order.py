"""The order of an environment step, for exchanges that call units: what can be done at once, wave by wave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from teamnet.errors import SpecError
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import NOTHING, Phase


class Turn(NamedTuple):
    """A phase of a unit: the unit's number in canonical order, the phase's number in its schedule, and the phase."""

    unit: int
    number: int
    phase: Phase


Wave = list[Turn]


class _Layer:
    """How far a layer is in the step, and what it has published."""

    def __init__(self, layer: LayerSpec) -> None:
        self.layer = layer
        self.schedule = schedule_of(layer)
        self.next = 0
        self.published = {"activation": 0, "error": 0, "shown_gate": 0}

    @property
    def done(self) -> bool:
        return self.next == len(self.schedule)

    @property
    def has_acted(self) -> bool:
        return all(phase.activation == NOTHING for phase in self.schedule[self.next :])

    def advance(self) -> None:
        phase = self.schedule[self.next]
        for slot in self.published:
            self.published[slot] += getattr(phase, slot) != NOTHING
        self.next += 1


def order_of_step(
    teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec]
) -> tuple[list[Wave], list[Wave]]:
    """The waves of acting, after which every output is published, and the waves of the rest of the step.

    Raises:
        SpecError: the schedules of some layers wait for each other for ever.
    """
    states = [[_Layer(layer) for layer in team] for team in teams]
    members: dict[tuple[str, int], list[int]] = {}
    for number, unit in enumerate(units):
        members.setdefault((unit.layer.team, unit.layer.number), []).append(number)
    acting: list[Wave] = []
    rest: list[Wave] = []
    while not all(layer.done for team in states for layer in team):
        acted = all(team[-1].has_acted for team in states)
        ready = [
            layer for team in states for place, layer in enumerate(team) if _is_ready(team, place, told=acted)
        ]
        if not ready:
            raise SpecError("schedule", expected="an order of phases", found="none", mend="Mend the rule's schedule.")
        (rest if acted else acting).append([
            Turn(number, layer.next, layer.schedule[layer.next])
            for layer in ready for number in members[layer.layer.team, layer.layer.number]
        ])
        for layer in ready:
            layer.advance()
    return acting, rest


def _is_ready(team: Sequence[_Layer], place: int, *, told: bool) -> bool:
    layer = team[place]
    if layer.done:
        return False
    phase = layer.schedule[layer.next]
    return (
        (layer.layer.is_first or team[place - 1].published["activation"] > phase.below)
        and (layer.layer.is_last or team[place + 1].published["error"] > phase.above)
        and team[-1].published["shown_gate"] > phase.gate
        and (told or not phase.delta)
    )
