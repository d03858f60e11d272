"""The graph of an environment step: everything is published before it is read, and nothing for nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from teamnet.dataflow.graph import DECIDE, Dataflow
from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.order import order_of_step, waves
from teamnet.dataflow.ports import Draft, SlotSpec, above, inputs, step
from teamnet.dataflow.slots import COORDINATOR, Key
from teamnet.errors import SpecError
from teamnet.rules.rule import PER_NEURON, Rule
from teamnet.team.partition import divide_all
from tests.team.test_same_bits import ALL, fed_back

SHIPPED = {f"shipped, {name}": teams for name, teams in fed_back("backprojected").items()}
TEAMS = ALL | SHIPPED


@pytest.mark.parametrize("teams", TEAMS.values(), ids=TEAMS.keys())
def test_every_step_comes_once_and_after_what_it_reads(teams: Sequence[Sequence[LayerSpec]]):
    flow, units = Dataflow(teams), divide_all(teams, "layer", 0)
    acting, rest = order_of_step(flow, units)
    give, *coordinated = flow.steps[COORDINATOR]
    written = {(write.slot, write.number) for write in give.published}
    done = [0] * len(units)
    for part, decided in ((acting, False), (rest, True)):
        if decided:
            outputs = [read.awaited for step in coordinated for read in step.reads]
            assert set(outputs) <= written, "the action is known"
            written |= {(write.slot, write.number) for step in coordinated for write in step.published}
        for wave in part:
            for turn in wave:
                group = units[turn.unit].layer.group
                assert turn.number == done[turn.unit]
                assert turn.step == flow.steps[group][turn.number]
                assert set(turn.step.awaited) <= written
                done[turn.unit] += 1
            for turn in wave:  # what a wave publishes is there for the next one
                written |= {(write.slot, write.number) for write in turn.step.published}
    assert done == [len(flow.steps[unit.layer.group]) for unit in units]


@pytest.mark.parametrize("teams", TEAMS.values(), ids=TEAMS.keys())
def test_publications_of_a_slot_are_counted_without_a_gap(teams: Sequence[Sequence[LayerSpec]]):
    flow = Dataflow(teams)
    for key in flow.slots:
        numbers = [write.number for steps in flow.steps.values() for step in steps for write in step.published
                   if write.slot == key]
        assert numbers == list(range(flow.rounds(key)))


@pytest.mark.parametrize("teams", TEAMS.values(), ids=TEAMS.keys())
def test_nothing_is_published_that_nobody_reads(teams: Sequence[Sequence[LayerSpec]]):
    """It would be waste, and the ledger would count it; of an output, which may be resampled, the last is read."""
    flow = Dataflow(teams)
    read: dict[Key, set[int]] = {}
    for steps in flow.steps.values():
        for its in steps:
            for key, number in its.awaited:
                read.setdefault(key, set()).add(number)
    for slot in flow.published():
        last = flow.rounds(slot.key) - 1
        expected = {last} if slot in flow.outputs else set(range(last + 1))
        assert read[slot.key] >= expected, slot.key


def test_backpropagation_is_one_exchange_up_and_one_down():
    flow = Dataflow(ALL["backpropagation"])
    for layer in flow.layers.values():
        assert flow.rounds(("activation", *layer.group)) == 1
        assert flow.rounds(("error", *layer.group)) == (0 if layer.is_first else 1)


class _Stuck(Rule):
    """Every layer waits for the one above before it acts."""

    private: ClassVar = {"error": PER_NEURON}

    def slots(self, layer: LayerSpec) -> list[SlotSpec]:
        return [SlotSpec("error")]

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        yield step("act", [inputs(layer), above(layer, "error")], ["activation", "error"])


def test_steps_that_wait_for_ever_are_refused_with_what_they_wait_for():
    teams = [[replace(layer, rule=_Stuck()) for layer in team] for team in ALL["two teams"]]
    with pytest.raises(SpecError) as refusal:
        waves(Dataflow(teams))
    assert refusal.value.where.startswith(f"{__file__}:")
    assert "'act' of actor layer 1 waits for publication 0 of error" in refusal.value.found


def test_the_coordinator_decides_once():
    for teams in ALL.values():
        steps = Dataflow(teams).steps[COORDINATOR]
        assert [its.operation for its in steps].count(DECIDE) == 1
