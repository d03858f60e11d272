"""The phases of all units of a process in turn, compiled."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.units import step
from teamnet.units.records import units_at


@kernel
def act(address: int, count: int) -> int:
    """Let ``count`` units act, in canonical order."""
    units = units_at(address, count)
    for number in range(units.size):
        step.act(units[number])
        if units[number].value != 0:
            step.publish_value(units[number])
    return 0


@kernel
def learn(address: int, count: int) -> int:
    """Let them learn, settle and trace; returns the number of the first with a non-finite value, or -1."""
    units = units_at(address, count)
    for number in range(units.size):
        if units[number].step > 0 and not units[number].single_step:
            step.learn(units[number])
    for _ in range(units[0].settle_steps):
        for number in range(units.size):
            if not units[number].last_layer:
                step.settle(units[number])
        for number in range(units.size):
            step.refresh(units[number])
    for number in range(units.size):
        if units[number].value != 0:
            step.publish_gate(units[number])
    broken = -1
    for number in range(units.size):
        if units[number].single_step:
            step.learn_at_once(units[number])
        else:
            step.trace(units[number])
        if not step.finish(units[number]) and broken < 0:
            broken = number
    return broken
