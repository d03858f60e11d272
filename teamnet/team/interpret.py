"""Run the steps of all units in sequence, interpreted as plain Python, so that breakpoints and prints work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from teamnet.team.in_turn import FINE
from teamnet.units.layout import STEP, UNIT
from teamnet.units.publishing import write_slots
from teamnet.units.reading import join_reads
from teamnet.units.timing import finish
from teamnet.units.unit import Unit


def interpret_in_turn(units: Sequence[Unit]) -> Callable[[np.ndarray], int]:
    """A Python version of :func:`teamnet.team.in_turn.run_in_turn`; an exception in an operation is not caught.

    Args:
        units: all units of the run, whose code is interpreted.

    Returns:
        A function of the order, int64 ``(turns, 2)``: numbers of units and of their steps.
    """
    records = [unit.plain_record() for unit in units]

    def run(order: np.ndarray) -> int:
        broken = FINE
        for number, step in order.tolist():
            unit, at = UNIT(units[number].address), units[number].step_address(step)
            join_reads(unit, STEP(at))
            units[number].perform(records[number], at)
            write_slots(unit, STEP(at))
            if step == unit.step_count - 1 and not finish(unit) and broken < 0:
                broken = number
        return broken

    return run
