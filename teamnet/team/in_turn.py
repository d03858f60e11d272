"""Run the steps of all units of a process in sequence, compiled."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import integers
from teamnet.units.layout import UNIT
from teamnet.units.stepping import do_step
from teamnet.units.timing import clock, finish, note

FINE = -1
"""What :func:`run_in_turn` returns if there was no error."""


@kernel
def run_in_turn(units: int, count: int, order: int, length: int) -> int:
    """Run steps in an order in which every value is published before it is read.

    Args:
        units: address of the addresses of ``count`` units' records, int64.
        count: number of units.
        order: address of ``length`` pairs of int64: a unit's number and that of its step.
        length: number of pairs in ``order``.

    Returns:
        The number of the first unit that ended its environment step with a non-finite value, ``count`` more if its
        operation failed, or :data:`FINE`.
    """
    addresses, pairs = integers(units, count), integers(order, 2 * length)
    broken = FINE
    for place in range(length):
        number, step = pairs[2 * place], pairs[2 * place + 1]
        unit = UNIT(addresses[number])
        begun = clock(unit)
        if not do_step(addresses[number], step) and broken < 0:
            broken = number + count
        done = clock(unit)
        note(unit, step, begun, begun, done, done)
        if step == unit.step_count - 1 and not finish(unit) and broken < 0:
            broken = number
    return broken
