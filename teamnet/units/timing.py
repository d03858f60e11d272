"""Timing of a unit: only some environment steps are timed, so that the clock costs almost nothing."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import integers
from teamnet.kernels.processor import nanoseconds


@kernel
def is_timed(unit):
    """Whether the current environment step is timed."""
    return unit.step & unit.timed_mask == unit.timed_mask >> 1  # not the first one, which is slow


@kernel
def clock(unit):
    """Nanoseconds in a step that is timed, and 0 in others, so that differences can be added in every step."""
    return nanoseconds() if is_timed(unit) else 0


@kernel
def note(unit, number, begun, ready, done, ended):
    """Add the duration of step ``number`` to the unit's times, and keep its timestamps."""
    if begun == 0 or not is_timed(unit):  # it may have been told while it waited
        return
    unit.waited += ready - begun
    unit.computed += done - ready
    unit.published += ended - done
    kept = unit.timed_steps % unit.timestamps_kept
    times = integers(unit.timestamps + 32 * (kept * unit.step_count + number), 4)
    times[0], times[1], times[2], times[3] = begun, ready, done, ended


@kernel
def finish(unit):
    """Count the environment step and return whether every activation and mean is finite."""
    unit.timed_steps += is_timed(unit)
    unit.step += 1
    unfinished = 0
    activation, mean = unit.activation, unit.mean
    for row in range(unit.rows):
        for j in range(unit.size):
            a, m = activation[row, j], mean[row, j]
            unfinished |= (a - a != 0.0) | (m - m != 0.0)
    return unfinished == 0
