"""What a rule of a user must satisfy before anything is started: its slots, its operations, and its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from teamnet.dataflow.check import check_flow
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import Diverged, SpecError, nearest
from teamnet.rules.rule import Rule
from teamnet.rules.source import source_of
from teamnet.team.local import LocalExchange
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge, split
from teamnet.units.arrays import kept_arrays, make_arrays
from teamnet.units.code import compile_rule
from teamnet.units.dispatch import parameters_of

_SIZE, _ROWS, _STEPS = 3, 2, 3
Teams = Sequence[Sequence[LayerSpec]]


def check_rules(teams: Teams, *, compiled: bool = True) -> None:
    """Refuse a user's rule that cannot run; those of this package have tests of their own.

    Args:
        teams: the layers of every team.
        compiled: whether operations are to be compiled.

    Raises:
        SpecError: a step names an operation or a slot that is none, reads what nobody writes, or waits for ever; an
            array does not fit its slot; an operation does not compile; or an array carries something from one
            environment step to the next that is not part of the state. With the line of the rule's file.
    """
    users = [layer for team in teams for layer in team if not type(layer.rule).__module__.startswith("teamnet.")]
    if not users:
        return
    flow = Dataflow(teams)
    for layer in users:
        _check_operations(flow, layer)
        _check_slots(flow, layer)
        _check_arrays(layer)
    check_flow(flow)
    if not compiled:
        return
    for kind in dict.fromkeys(type(layer.rule) for layer in users):
        compile_rule(kind)
    _check_state(_small(teams))


def _check_operations(flow: Dataflow, layer: LayerSpec) -> None:
    operations = layer.rule.operations()
    for step in flow.steps[layer.group]:
        if step.operation not in operations:
            raise SpecError(
                step.where, expected="an operation of the rule", found=repr(step.operation),
                mend=nearest(step.operation, operations),
            )
        count = parameters_of(operations[step.operation])
        if count != len(step.reads):
            raise SpecError(
                step.where, expected=f"{count} reads, as many as {step.operation!r} has parameters after the unit",
                found=str(len(step.reads)), mend="Read as many, None for one that there is not.",
            )


def _check_slots(flow: Dataflow, layer: LayerSpec) -> None:
    arrays = make_arrays(divide_all([[layer]], "layer", 0)[0])
    for slot in flow.written_by(layer.group):
        expected = slot.rows, layer.size if slot.split else slot.size
        found = arrays[slot.kind].shape if slot.kind in arrays else None
        if found != expected:
            raise SpecError(
                _line(layer, slot.kind), expected=f"a private array {slot.kind!r} {expected}, which its slot publishes",
                found="none" if found is None else str(found), mend="Declare it in `private`, with this shape.",
            )


def _check_arrays(layer: LayerSpec) -> None:
    """What is kept of a layer is put together from its units, neuron by neuron."""
    for name, array in layer.rule.state().items():
        if array.kept and array.shape[-1] not in ("size", "outputs"):
            raise SpecError(
                _line(layer, name), expected=f"the neurons as the last extent of {name!r}, which is kept: ... , 'size'",
                found=str(array.shape), mend="Change its shape, so that it can be divided among units.",
            )


def _line(layer: LayerSpec, name: str) -> str:
    """The first line of a rule's file in which a name stands."""
    source = source_of(type(layer.rule))
    if source is None:
        return type(layer.rule).__name__
    lines = source.text.splitlines()
    for pattern in (f"unit.{name}", f'"{name}"', name):
        for number, line in enumerate(lines, 1):
            if pattern in line:
                return f"{source.path}:{number}"
    return source.path


def _small(teams: Teams) -> list[list[LayerSpec]]:
    """The same teams with few neurons and rows."""
    def size(count: int) -> int:
        return min(count, _SIZE)

    return [
        [
            replace(
                its, fan_in=size(its.fan_in), size=size(its.size), fan_out=size(its.fan_out), rows=min(its.rows, _ROWS)
            ) for its in team
        ] for team in teams
    ]


def _check_state(teams: Teams) -> None:
    """Continue a team from a snapshot with each array that is not in it spoiled: that has to change nothing."""
    start = LocalExchange(teams, divide_all(teams, "layer", 0))
    _drive(start, teams, range(_STEPS))
    state = _state(start)
    expected = _continued(teams, state, "")
    for name, layer in _passing(teams):
        try:
            differs = not _same(_continued(teams, state, name), expected)
        except Diverged:
            differs = True
        if differs:
            raise SpecError(
                _line(layer, name), expected=f"array {name!r} to be written in every step before it is read",
                found="one that has something from the step before and is not part of the state",
                mend=f"Declare {name!r} with kept=True, so that snapshots and checkpoints have it.",
            )


def _passing(teams: Teams) -> Iterator[tuple[str, LayerSpec]]:
    """The arrays of users' rules that are not part of the state."""
    for layer in (layer for team in teams for layer in team):
        if isinstance(layer.rule, Rule) and source_of(type(layer.rule)):
            for name, array in layer.rule.state().items():
                if not array.kept and not array.initial and name not in kept_arrays(layer):
                    yield name, layer


def _continued(teams: Teams, state: State, spoiled: str) -> State:
    exchange = LocalExchange(teams, divide_all(teams, "layer", 0))
    exchange.restore(split([unit.spec for unit in exchange.units], state), _STEPS)
    for unit in exchange.units:
        unit.spoil(spoiled)
    _drive(exchange, teams, range(_STEPS, 2 * _STEPS))
    return _state(exchange, check=False)


def _state(exchange: LocalExchange, *, check: bool = True) -> State:
    return merge([unit.spec for unit in exchange.units], exchange.snapshot(), check=check)


def _drive(exchange: LocalExchange, teams: Teams, steps: range) -> None:
    layer = teams[0][0]
    for number in steps:
        generator = np.random.default_rng(number)
        mask = (generator.random(layer.rows) > 0.2).astype(float)
        exchange.act(generator.standard_normal((layer.rows, layer.fan_in)), mask)
        exchange.learn(generator.standard_normal(layer.rows))


def _same(one: State, other: State) -> bool:
    return all(np.array_equal(array, other[name]) for name, array in one.items())
