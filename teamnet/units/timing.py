"""Where a unit's time goes: some steps are timed, so that the clock costs next to nothing."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.processor import nanoseconds


@kernel
def is_timed(unit):
    """Whether the step in hand is timed."""
    return unit.step & unit.timed_mask == 0


@kernel
def clock(unit):
    """Nanoseconds in a step that is timed, and 0 in others, so that differences can be added up in all."""
    return nanoseconds() if is_timed(unit) else 0
