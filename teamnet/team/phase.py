"""One phase of one unit, compiled, for exchanges that call units phase by phase."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import ACT, LEARN, REFRESH, SETTLE
from teamnet.units import step
from teamnet.units.records import units_at


@kernel
def do_phase(address: int, phase: int) -> int:
    """One phase of the unit whose record is at ``address``; returns 0 if a value is not finite, else 1."""
    unit = units_at(address, 1)[0]
    if phase == ACT:
        step.act(unit)
        if unit.value != 0:
            step.publish_value(unit)
    elif phase == LEARN:
        if unit.step > 0 and not unit.single_step:
            step.learn(unit)
    elif phase == SETTLE:
        step.settle(unit)
    elif phase == REFRESH:
        step.refresh(unit)
    else:
        if unit.single_step:
            step.learn_at_once(unit)
        else:
            step.trace(unit)
        return int(step.finish(unit))
    if unit.value != 0:
        step.publish_gate(unit)
    return 1
