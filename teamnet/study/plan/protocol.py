"""The exchange protocol of a run as data: who waits for what, how long it works, and whom its publications reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from teamnet.board.routes import Routes, Slot
from teamnet.kernels.constants import FLOAT64, WIRE_FORMATS, packed_size
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import NOTHING, Phase, rounds

_OBSERVATION, _DELTA = ("observation",), ("delta",)


class Activity(NamedTuple):
    """One thing that a process does again in every step.

    Args:
        needs: slots, and how many publications of this step it waits for.
        operation: of a unit; ``None`` for the coordinator's.
        publishes: slots.
    """

    needs: tuple[tuple[Slot, int], ...]
    operation: int | None
    publishes: tuple[Slot, ...]


COORDINATE, DECIDE, ENVIRONMENT = range(3)
"""The coordinator's activities: to give the observation, to find the TD error, and to step the environment."""


@dataclass(frozen=True)
class Protocol:
    """What happens in a step, wherever it happens.

    Args:
        activities: of the coordinator, then of each layer's units, by team and number of the layer.
        rounds: publications of each slot in a step.
        every: of which one travels to other nodes.
    """

    activities: Mapping[tuple[str, int], Sequence[Activity]]
    rounds: Mapping[Slot, int]
    every: Mapping[Slot, int]


COORDINATOR = ("coordinator", 0)


def protocol_of(teams: Sequence[Sequence[LayerSpec]]) -> Protocol:
    """The protocol of a run with these layers."""
    counts: dict[Slot, int] = {_OBSERVATION: 1, _DELTA: 1}
    activities: dict[tuple[str, int], Sequence[Activity]] = {COORDINATOR: _coordinate(teams)}
    last: set[Slot] = set()
    for team in teams:
        for layer in team:
            schedule = schedule_of(layer)
            for kind in ("activation", "error"):
                counts[kind, layer.team, layer.number] = rounds(schedule, kind)
            activities[layer.team, layer.number] = [_activity(layer, phase) for phase in schedule]
        last.add(("activation", team[-1].team, team[-1].number))
        counts["gate", team[0].team] = rounds(schedule_of(team[-1]), "shown_gate")
    return Protocol(activities, counts, {slot: count if slot in last else 1 for slot, count in counts.items()})


def _coordinate(teams: Sequence[Sequence[LayerSpec]]) -> list[Activity]:
    outputs = tuple(
        (("activation", team[-1].team, team[-1].number), rounds(schedule_of(team[-1]), "activation")) for team in teams
    )
    give = Activity((), COORDINATE, (_OBSERVATION,))
    if teams[0][0].single_step:  # the reward comes first
        return [give, Activity(outputs, ENVIRONMENT, ()), Activity((), DECIDE, (_DELTA,))]
    return [give, Activity(outputs, DECIDE, (_DELTA,)), Activity((), ENVIRONMENT, ())]


def _activity(layer: LayerSpec, phase: Phase) -> Activity:
    team, number = layer.team, layer.number
    below = _OBSERVATION if layer.is_first else ("activation", team, number - 1)
    reads = ((below, phase.below), (("error", team, number + 1), phase.above), (("gate", team), phase.gate))
    needs = [(slot, place + 1) for slot, place in reads if place != NOTHING]
    if phase.delta:
        needs.append((_DELTA, 1))
    shows = (
        (("activation", team, number), phase.activation), (("error", team, number), phase.error),
        (("gate", team), phase.shown_gate),
    )
    publishes = tuple(slot for slot, place in shows if place != NOTHING)
    return Activity(tuple(needs), phase.operation, publishes)


def part_bytes(
    routes: Routes, slot: Slot, node: int, layers: Mapping[tuple[object, object], LayerSpec], rows: int, header: int
) -> int:
    """Bytes of what a node's units publish in a slot at once, as the relay sends them."""
    first = layers[min(layers)]
    if slot == _OBSERVATION:
        return header + 8 * rows * (first.begins_anew + first.fan_in)
    if slot == _DELTA:
        return header + 8 * rows * first.signals
    if slot[0] == "gate":
        return header + 8 * rows
    layer = layers[slot[1], slot[2]]
    is_output = slot[0] == "activation" and layer.is_last
    lines, width = (rows * layer.channels, layer.error_size) if slot[0] == "error" else (rows, layer.size)
    wire = FLOAT64 if is_output else WIRE_FORMATS[layer.wire]
    parts = (
        packed_size(lines * width, wire) if (begin, end) == (0, layer.size)
        else lines * packed_size(end - begin, wire)
        for begin, end in routes.writers[slot][node]
    )
    value = is_output and layer.gated
    passed_down = (layer.signals + layer.gated) * (slot[0] == "error" and layer.passes_down)
    return header + sum(parts) + 8 * rows * (value + passed_down)


def units_by_layer(units: Sequence[UnitSpec]) -> dict[tuple[str, int], list[int]]:
    """Numbers of the units of each layer."""
    found: dict[tuple[str, int], list[int]] = {}
    for number, unit in enumerate(units):
        found.setdefault((unit.layer.team, unit.layer.number), []).append(number)
    return found
