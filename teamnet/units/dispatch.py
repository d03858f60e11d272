"""The operations of a rule as one compiled function, and the same in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from teamnet.dataflow.layers import LayerRule
from teamnet.kernels.compile import Kernel, kernel
from teamnet.kernels.memory import matrix
from teamnet.kernels.view import Record
from teamnet.units.layout import READ, STEP, unit_of

_READ = READ.size


@kernel
def read_slot(unit, step, number):
    """What a step reads, ``(rows, numbers)``; no rows where there is nothing.

    One publication is not copied; several are, side by side.
    """
    read = READ(step.reads + _READ * number)
    if read.others == 0:
        return _publication(unit, read)
    joined = matrix(read.joined, read.rows, read.columns)
    first = _copy_columns(_publication(unit, read), joined, 0)
    for other in range(read.beside, read.beside + read.others):
        first = _copy_columns(_publication(unit, READ(step.reads + _READ * other)), joined, first)
    return joined


@kernel
def _publication(unit, read):
    place = (unit.step * read.rounds + read.number) & read.mask
    return matrix(read.address + place * read.stride, read.rows, read.width)


@kernel
def _copy_columns(part, joined, first):
    """Copy to the columns from ``first`` on; returns the next one."""
    for row in range(part.shape[0]):
        for j in range(part.shape[1]):
            joined[row, first + j] = part[row, j]
    return first + part.shape[1]


def parameters_of(operation: Kernel) -> int:
    """How many arrays an operation is given beside the unit."""
    return len(inspect.signature(operation.function).parameters) - 1


def operation_numbers(rule: LayerRule) -> dict[str, int]:
    """The numbers of the operations of a rule, by which steps name them."""
    return {name: number for number, name in enumerate(sorted(rule.operations()))}


def dispatcher_of(rule: LayerRule) -> Kernel:
    """The kernel that does a step of a unit: ``perform(unit, step)``, addresses of their records.

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
    """The same in Python: does a step, by the address of its record, of a unit."""
    operations = rule.operations()
    names = {number: name for name, number in operation_numbers(rule).items()}

    def perform(unit: Record, place: int) -> None:
        step = STEP(place)
        operation = operations[names[step.operation]]
        operation(unit, *(read_slot(unit, step, number) for number in range(parameters_of(operation))))

    return perform
