"""Whether the state of a user's rule is all that it carries from one environment step to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import Diverged, SpecError
from teamnet.kernels.user_file import source_of
from teamnet.rules.rule import Rule
from teamnet.team.executor import Executor
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge, outgoing_of, split
from teamnet.units.arrays import CONSTANT, kept_arrays, make_arrays

STEPS = 3
"""Environment steps that are tried."""
Teams = Sequence[Sequence[LayerSpec]]


def line_with(layer: LayerSpec, name: str) -> str:
    """The first line of a rule's file that contains a name."""
    source = source_of(type(layer.rule))
    if source is None:
        return type(layer.rule).__name__
    lines, last = source.text.splitlines(), name.rpartition(".")[2]
    for pattern in (f"unit.{name}", f'"{last}"', f".{last}", last):
        for number, line in enumerate(lines, 1):
            if pattern in line:
                return f"{source.path}:{number}"
    return source.path


def check_state(teams: Teams) -> None:
    """Overwrite each array that a snapshot lacks, and continue from the snapshot: no result may change.

    Raises:
        SpecError: an array carries values from one environment step to the next and is not part of the state.
    """
    start = LocalExecutor(teams, divide_all(teams, "layer", 0))
    drive(start, teams, range(STEPS))
    state = _state(start)
    _check_mirrors(start, state)
    expected = _continued(teams, state, "", {})
    for name, (layer, values) in _passing(start).items():
        try:
            differs = not _same(_continued(teams, state, name, values), expected)
        except Diverged:
            differs = True
        if differs:
            raise SpecError(
                line_with(layer, name), expected=f"array {name!r} to be written in every step before it is read",
                found="one that has values of the step before and is not part of the state",
                remedy=f"Declare {name!r} with kept=True, so that snapshots and checkpoints have it; if it is an array "
                "that every unit has, copy it to such a one of your own.",
            )


def _check_mirrors(executor: LocalExecutor, state: State) -> None:
    """A unit's copies of its outgoing synapses are not saved, but rebuilt from the layer above: they must be equal.

    Weights of the unit's own are saved, and fixed ones have no updates.
    """
    for unit in executor.units:
        layer, above = unit.spec.layer, outgoing_of(unit.spec, state)
        mirrored = {} if layer.rule.outgoing == "fixed" else unit.mirror()
        for part, copy in mirrored.items():
            own = part == "value" and layer.rule.outgoing == "own"
            if not own and not np.array_equal(copy, above[part]):
                raise SpecError(
                    line_with(layer, f"outgoing.{part}"),
                    expected=f"outgoing.{part} to mirror incoming.{part} of the layer above, bit for bit",
                    found=f"other values in {unit.spec.name} after {STEPS} steps",
                    remedy=f"Make both layers update {part!r} in the same way: mirrors are not saved, but rebuilt "
                    "from the layer above.",
                )


Values = dict[str, np.ndarray | float]
"""Values of an array by the names of the units that have it."""


def _passing(executor: LocalExecutor) -> dict[str, tuple[LayerSpec, Values]]:
    """The arrays of users' rules that are not part of the state, by name, with a layer that has it.

    An array of the rule may have any value at the start of a step, NaN included. Those that begin at an initial value,
    and those that every unit has, need not be written by all layers: of them the value that they have is tried.
    """
    found: dict[str, tuple[LayerSpec, Values]] = {}
    for unit in executor.units:
        layer = unit.spec.layer
        if not isinstance(layer.rule, Rule) or source_of(type(layer.rule)) is None:
            continue
        known = {*kept_arrays(layer), *(f"outgoing.{part}" for part in unit.mirror()), *CONSTANT}
        for name in make_arrays(unit.spec).keys() - known:
            group, _, part = name.rpartition(".")
            own = layer.rule.state().get(part)
            spoilt = own is not None and own.of_synapses == bool(group) and not own.initial
            value = np.nan if spoilt else unit.private(name)
            found.setdefault(name, (layer, {}))[1][unit.spec.name] = value
    return dict(sorted(found.items()))


def _continued(teams: Teams, state: State, name: str, values: Values) -> State:
    """The state after more steps from a state, where an array has other values at first."""
    executor = LocalExecutor(teams, divide_all(teams, "layer", 0))
    executor.restore(split([unit.spec for unit in executor.units], state), STEPS)
    for unit in executor.units:
        if unit.spec.name in values:
            unit.overwrite(name, values[unit.spec.name])
    drive(executor, teams, range(STEPS, 2 * STEPS))
    return _state(executor, check=False)


def _state(executor: LocalExecutor, *, check: bool = True) -> State:
    return merge([unit.spec for unit in executor.units], executor.snapshot(), check=check)


def drive(executor: Executor, teams: Teams, steps: range) -> None:
    """Run environment steps of a synthetic task that depends only on the number of the step."""
    layer = teams[0][0]
    for number in steps:
        generator = np.random.default_rng(number)
        mask = (generator.random(layer.rows) > 0.2).astype(float)
        executor.act(generator.standard_normal((layer.rows, layer.fan_in)), mask)
        executor.learn(generator.standard_normal(layer.rows))
    executor.pause()


def _same(found: State, expected: State) -> bool:
    return all(np.array_equal(array, expected[name]) for name, array in found.items())
