"""Where a unit's time goes: some steps are timed, so that the clock costs next to nothing."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import integers
from teamnet.kernels.processor import nanoseconds


@kernel
def is_timed(unit):
    """Whether the step in hand is timed."""
    return unit.step & unit.timed_mask == unit.timed_mask >> 1  # not the first one, in which all is slow


@kernel
def clock(unit):
    """Nanoseconds in a step that is timed, and 0 in others, so that differences can be added up in all."""
    return nanoseconds() if is_timed(unit) else 0


@kernel
def note(unit, number, begun, ready, done, ended):
    """Add what phase ``number`` took to the unit's times, and remember when it was, for a trace of the step."""
    if not is_timed(unit):
        return
    unit.waited += ready - begun
    unit.computed += done - ready
    unit.published += ended - done
    lap = integers(unit.laps + 32 * number, 4)
    lap[0], lap[1], lap[2], lap[3] = begun, ready, done, ended
