"""Compiled kernel for one step of one unit, used by the transport that calls units step by step."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BROKEN, FAILED, READY
from teamnet.units.layout import UNIT
from teamnet.units.stepping import do_step
from teamnet.units.timing import clock, finish, note


@kernel
def run_step(address: int, number: int) -> int:
    """Run step ``number`` of the unit whose record is at ``address``.

    Returns:
        ``BROKEN`` if it was the last step of an environment step and a value is not finite, ``FAILED`` if its
        operation failed, else ``READY``.
    """
    unit = UNIT(address)
    begun = clock(unit)
    fine = do_step(address, number)
    done = clock(unit)
    note(unit, number, begun, begun, done, done)
    if not fine:
        return FAILED
    if number == unit.step_count - 1 and not finish(unit):
        return BROKEN
    return READY
