"""The phases of all units of a process in turn, compiled."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import integers
from teamnet.units.learning import finish
from teamnet.units.perform import perform
from teamnet.units.records import schedule_of, units_at
from teamnet.units.timing import clock, note


@kernel
def perform_in_turn(address: int, count: int, order: int, length: int) -> int:
    """Do phases in an order in which everything is published before it is read.

    Args:
        address: of the records of ``count`` units.
        count: of units.
        order: address of ``length`` pairs of int64: a unit's number and that of its phase.
        length: of the order.

    Returns:
        The number of the first unit that ended its step with a non-finite value, or -1.
    """
    units, pairs = units_at(address, count), integers(order, 2 * length)
    broken = -1
    for place in range(length):
        number, phase = pairs[2 * place], pairs[2 * place + 1]
        unit = units[number]
        begun = clock(unit)
        perform(unit, schedule_of(unit)[phase])
        done = clock(unit)
        note(unit, phase, begun, begun, done, done)
        if phase == unit.phases - 1 and not finish(unit) and broken < 0:
            broken = number
    return broken
