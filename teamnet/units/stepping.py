"""One step of a unit, in any process."""

from __future__ import annotations

from teamnet.kernels.calls import call_operation
from teamnet.kernels.compile import kernel
from teamnet.units.layout import STEP, UNIT
from teamnet.units.publishing import write_slots
from teamnet.units.reading import join_reads

_STEP = STEP.size


@kernel
def do_step(address, number):
    """Run step ``number`` of the unit whose record is at an address, and write what it publishes to its slots.

    All that the step reads must have been published. Returns whether the operation succeeded.
    """
    unit = UNIT(address)
    at = unit.steps + _STEP * number
    step = STEP(at)
    if step.joins != 0:
        join_reads(unit, step)
    done = call_operation(unit.perform, address, at) == 0
    write_slots(unit, step)
    return done
