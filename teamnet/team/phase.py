"""One phase of one unit, compiled, for exchanges that call units phase by phase."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.units.learning import finish
from teamnet.units.perform import perform
from teamnet.units.records import schedule_of, units_at
from teamnet.units.timing import clock, note


@kernel
def do_phase(address: int, number: int) -> int:
    """Phase ``number`` of the unit whose record is at ``address``.

    Returns:
        0 if it was the last of a step and a value is not finite, else 1.
    """
    unit = units_at(address, 1)[0]
    begun = clock(unit)
    perform(unit, schedule_of(unit)[number])
    done = clock(unit)
    note(unit, number, begun, begun, done, done)
    if number == unit.phases - 1:
        return int(finish(unit))
    return 1
