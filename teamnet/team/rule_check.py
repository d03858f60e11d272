"""Checks of a user's rule before anything is started: its slots and its operations."""

from __future__ import annotations

import math
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np

from teamnet.dataflow.check import check_flow
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, linked
from teamnet.errors import SpecError, TeamnetError, nearest
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.rule_state import STEPS, Teams, check_state, drive, line_with
from teamnet.units.arrays import make_arrays
from teamnet.units.code import compile_rule
from teamnet.units.dispatch import parameters_of
from teamnet.units.layout import CHANGING, SYNAPSE_FIELDS, UNIT_FIELDS
from teamnet.units.unit import Unit

_ROWS = 2
_PACKAGE = Path(__file__).parent.parent


def check_rules(teams: Teams, *, compiled: bool = True) -> None:
    """Refuse a user's rule that cannot run, and layers that do not fit each other.

    Args:
        teams: the layers of every team.
        compiled: whether operations are to be compiled.

    Raises:
        SpecError: a step names an operation or a slot that does not exist, reads a slot that no step writes, or waits
            forever; an array does not fit its slot; an operation does not compile; or an array carries values from one
            environment step to the next and is not part of the state. With the line of the rule's file.
    """
    _check_threshold(teams)
    users = [layer for team in teams for layer in team if not type(layer.rule).__module__.startswith("teamnet.")]
    differing = [
        layer for team in teams for layer in team
        if not layer.is_chained or layer.rule != team[-1].rule
    ]
    if not users and not differing:
        return
    flow = Dataflow(teams)
    for layer in users:
        _check_operations(flow, layer)
        _check_slots(flow, layer)
        _check_arrays(layer)
    check_flow(flow)
    if not users:
        return
    small = _small(teams)
    _check_interpreted(small)
    if not compiled:
        return
    for kind in dict.fromkeys(type(layer.rule) for layer in users):
        compile_rule(kind)
    check_state(small)


def _check_threshold(teams: Teams) -> None:
    """Refuse a send threshold if no slot with one is published twice in a step: no message would be suppressed."""
    if not any(layer.messages.send_threshold for team in teams for layer in team):
        return
    flow = Dataflow(teams)
    if not any(slot.channel.threshold >= 0.0 and flow.rounds(slot.key) > 1 for slot in flow.published()):
        raise SpecError(
            "send_threshold", expected="a rule that publishes activations or errors several times in a step",
            found="one that publishes each once", remedy="Use 0: no message would be suppressed.",
        )


def _check_operations(flow: Dataflow, layer: LayerSpec) -> None:
    operations = layer.rule.operations()
    for step in flow.steps[layer.group]:
        if step.operation not in operations:
            raise SpecError(
                step.where, expected="an operation of the rule", found=repr(step.operation),
                remedy=nearest(step.operation, operations),
            )
        count = parameters_of(operations[step.operation])
        if count != len(step.reads):
            raise SpecError(
                step.where, expected=f"{count} reads, as many as {step.operation!r} has parameters after the unit",
                found=str(len(step.reads)), remedy="Give as many reads, None for one that does not exist.",
            )


def _check_slots(flow: Dataflow, layer: LayerSpec) -> None:
    arrays = make_arrays(divide_all([[layer]], "layer", 0)[0])
    for slot in flow.written_by(layer.group):
        expected = slot.rows, layer.size if slot.split else slot.size
        found = arrays[slot.kind].shape if slot.kind in arrays else None
        if found != expected:
            raise SpecError(
                line_with(layer, slot.kind),
                expected=f"a private array {slot.kind!r} {expected}, which its slot publishes",
                found="none" if found is None else str(found), remedy="Declare it in `private`, with this shape.",
            )


def _check_arrays(layer: LayerSpec) -> None:
    """Refuse names that units already have, and kept arrays that cannot be divided by neurons."""
    of_synapses = {name: array.of_synapses for name, array in layer.rule.arrays().items()}
    numbers = layer.rule.numbers()
    for name in (*of_synapses, *numbers):
        known = SYNAPSE_FIELDS if of_synapses.get(name) else UNIT_FIELDS
        if name in known or name in of_synapses.keys() & numbers.keys():
            raise SpecError(
                line_with(layer, name), expected="a name that units do not have already", found=repr(name),
                remedy="Choose another.",
            )
    for name, array in layer.rule.state().items():
        neurons = [extent in ("size", "outputs") for extent in array.shape]
        if array.kept and neurons != [False] * (len(neurons) - 1) + [True]:
            raise SpecError(
                line_with(layer, name),
                expected=f"the neurons as the last extent of {name!r}, which is kept, and as no other: ... , 'size'",
                found=str(array.shape), remedy="Change its shape, so that it can be divided among units.",
            )


def _small(teams: Teams) -> list[list[LayerSpec]]:
    """The same teams with few neurons, no two layers with the same number of them, two agents at most, and few rows."""
    def small(layer: LayerSpec) -> LayerSpec:
        number, choices = layer.number, layer.choices[:0]
        size = min(layer.size, number + 2)
        if len(layer.choices) > 1:
            choices = min(layer.choices[0], 2), min(layer.choices[1], max(number, 2))
            size = sum(choices)
        return replace(layer, size=size, choices=choices, rows=min(layer.rows, _ROWS))

    return [linked(2, [small(layer) for layer in team]) for team in teams]


def _check_interpreted(teams: Teams) -> None:
    """Run some steps in plain Python, where an index out of range is an error with a line.

    Compiled code would write out of bounds.

    Raises:
        SpecError: an operation raised an exception, changed numbers of its unit, or sampled more often than declared.
    """
    executor = LocalExecutor(teams, divide_all(teams, "layer", 0), interpret=True)
    before = [unit.record.copy() for unit in executor.units]
    try:
        with np.errstate(all="ignore"):
            drive(executor, teams, range(STEPS))
    except TeamnetError as error:
        raise SpecError(
            "rule", expected="a few steps of a small team", found=str(error), remedy="Debug them with --interpret."
        ) from None
    except Exception as error:  # a user's operations can raise anything
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{_PACKAGE}/" not in frame.filename]
        last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
        raise SpecError(
            f"{last.filename}:{last.lineno}", expected="an operation that runs without an exception",
            found=f"{type(error).__name__}: {error}", remedy="Debug it with --backend local --interpret.",
        ) from None
    for unit, record in zip(executor.units, before, strict=True):
        _check_numbers(unit, record)
        _check_draws(unit)


def _check_numbers(unit: Unit, before: np.ndarray) -> None:
    """Refuse a rule that has changed numbers of its unit: they are not part of the state."""
    for name in before.dtype.names or ():
        if name not in CHANGING and unit.record[name].tobytes() != before[name].tobytes():
            raise SpecError(
                line_with(unit.spec.layer, name), expected=f"operations that only read unit.{name}",
                found=f"{before[name][0]} changed to {unit.record[name][0]}",
                remedy="Write to a private array with kept=True: numbers of a unit are not part of its state.",
            )


def _check_draws(unit: Unit) -> None:
    """Refuse a rule that samples more often than it declares: noise is drawn in advance."""
    layer, drawn = unit.spec.layer, unit.spec.layer.rule.draws(unit.spec.layer)
    used = math.ceil(int(unit.record["noise_index"][0]) / STEPS)
    if used > drawn:
        raise SpecError(
            line_with(layer, "sample(unit"), expected=f"{drawn} samples a step in {unit.spec.name}", found=str(used),
            remedy=f"Let a method draws(self, layer) of the class return {used}: noise is drawn in advance.",
        )
