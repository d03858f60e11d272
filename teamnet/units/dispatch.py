"""The operations of a rule as one compiled function, and the same in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from teamnet.dataflow.layers import LayerRule
from teamnet.kernels.compile import Kernel, kernel
from teamnet.kernels.view import Record
from teamnet.units.layout import STEP, unit_of
from teamnet.units.reading import read_slot


def parameters_of(operation: Kernel) -> int:
    """The number of arrays that an operation takes besides the unit."""
    return len(inspect.signature(operation.function).parameters) - 1


def operation_numbers(rule: LayerRule) -> dict[str, int]:
    """The numbers of the operations of a rule, by which steps refer to them."""
    return {name: number for number, name in enumerate(sorted(rule.operations()))}


def dispatcher_of(rule: LayerRule) -> Kernel:
    """The kernel that runs a step of a unit: ``perform(unit, step)``, addresses of their records.

    It returns 0, or 1 if the rule has no such operation.
    """
    operations, lines = rule.operations(), []
    for name, number in operation_numbers(rule).items():
        reads = "".join(f", read_slot(unit, step, {place})" for place in range(parameters_of(operations[name])))
        lines.append(f"    if step.operation == {number}:\n        {name}(unit{reads})\n        return 0\n")
    source = "def perform(address: int, place: int) -> int:\n    unit, step = UNIT(address), STEP(place)\n"
    scope = {**operations, "UNIT": unit_of(rule), "STEP": STEP, "read_slot": read_slot}
    exec(source + "".join(lines) + "    return 1\n", scope)
    perform = scope["perform"]
    assert inspect.isfunction(perform)
    return kernel(perform)


def plain_dispatcher_of(rule: LayerRule) -> Callable[[Record, int], None]:
    """The same in Python: runs a step of a unit, by the address of the step's record.

    What the step reads cannot be written: other units of this process read the same memory.
    """
    operations = rule.operations()
    names = {number: name for name, number in operation_numbers(rule).items()}

    def perform(unit: Record, place: int) -> None:
        step = STEP(place)
        operation = operations[names[step.operation]]
        reads = [read_slot(unit, step, number) for number in range(parameters_of(operation))]
        for array in reads:
            array.flags.writeable = False
        operation(unit, *reads)

    return perform
