"""The order of an environment step: everything is published before it is read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from teamnet.errors import SpecError
from teamnet.spec.layers import LayerSpec
from teamnet.team import order
from teamnet.team.order import order_of_step
from teamnet.team.partition import divide_all
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import Phase, rounds
from tests.team.test_same_bits import ALL, fed_back


@pytest.mark.parametrize("teams", ALL.values(), ids=ALL.keys())
def test_every_phase_comes_once_and_after_what_it_reads(teams: Sequence[Sequence[LayerSpec]]):
    units = divide_all(teams, "block:4", 0)
    acting, rest = order_of_step(teams, units)
    written: dict[tuple[str, int, str], set[int]] = {}
    done = [0] * len(units)
    for waves, told in ((acting, False), (rest, True)):
        for wave in waves:
            for turn in wave:
                layer, phase = units[turn.unit].layer, turn.phase
                assert turn.number == done[turn.unit]
                assert phase == schedule_of(layer)[turn.number]
                assert told or not phase.delta
                if phase.below >= 0 and not layer.is_first:
                    assert phase.below in written[layer.team, layer.number - 1, "activation"]
                if phase.above >= 0:
                    assert phase.above in written[layer.team, layer.number + 1, "error"]
                done[turn.unit] += 1
            for turn in wave:  # what a wave publishes is there for the next one
                layer, phase = units[turn.unit].layer, turn.phase
                for slot in ("activation", "error"):
                    written.setdefault((layer.team, layer.number, slot), set()).add(getattr(phase, slot))
        outputs = [team[-1] for team in teams]
        for layer in outputs:
            shown = rounds(schedule_of(layer), "activation")
            assert written[layer.team, layer.number, "activation"] >= set(range(shown))
    assert done == [len(schedule_of(unit.layer)) for unit in units]


@pytest.mark.parametrize("teams", ALL.values(), ids=ALL.keys())
def test_publications_of_a_slot_are_counted_without_a_gap(teams: Sequence[Sequence[LayerSpec]]):
    for team in teams:
        for layer in team:
            for slot in ("activation", "error", "shown_gate"):
                numbers = [getattr(phase, slot) for phase in schedule_of(layer) if getattr(phase, slot) >= 0]
                assert numbers == list(range(rounds(schedule_of(layer), slot)))


SHIPPED = {f"shipped, {name}": teams for name, teams in fed_back("shipped").items()}


@pytest.mark.parametrize("teams", (ALL | SHIPPED).values(), ids=(ALL | SHIPPED).keys())
def test_nothing_is_published_that_nobody_reads(teams: Sequence[Sequence[LayerSpec]]):
    """It would be waste, and the ledger would count it."""
    for team in teams:
        for low, high in itertools.pairwise(team):
            for writer, reader, said, read in ((low, high, "activation", "below"), (high, low, "error", "above")):
                places = {getattr(phase, read) for phase in schedule_of(reader)}
                assert places >= set(range(rounds(schedule_of(writer), said))), (writer.number, said)


def test_backpropagation_is_one_exchange_up_and_one_down():
    for layer in ALL["backpropagation"][0]:
        schedule = schedule_of(layer)
        assert rounds(schedule, "activation") == 1
        assert rounds(schedule, "error") == (0 if layer.is_first else 1)


def test_a_schedule_that_waits_for_ever_is_refused(monkeypatch: pytest.MonkeyPatch):
    teams = ALL["two teams"]
    monkeypatch.setattr(order, "schedule_of", lambda layer: [Phase(0, above=0 if not layer.is_last else -1)])
    with pytest.raises(SpecError, match=r"schedule: expected an order of phases; found none. Mend the rule's schedule"):
        order_of_step(teams, divide_all(teams, "layer", 0))
