"""Records of units as compiled code sees them."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import array_of
from teamnet.units.layout import PHASE, UNIT

units_at = array_of(UNIT)
"""The records of units at an address: ``units_at(address, count)``."""
_phases_at = array_of(PHASE)


@kernel
def schedule_of(unit):
    """The phases of the unit's environment step, as an array of ``PHASE``."""
    return _phases_at(unit.schedule, unit.phases)
