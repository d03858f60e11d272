"""One phase of one unit: its place in the step is set, and its operation done."""

from __future__ import annotations

from teamnet.kernels import constants
from teamnet.kernels.compile import kernel
from teamnet.units import acting, learning, settling, ticking


@kernel
def _take_place(unit, phase):
    """Which publications this phase reads and makes, counted from the first step on."""
    unit.below_round = unit.step * unit.below_rounds + phase.below
    unit.above_round = unit.step * unit.above_rounds + phase.above
    unit.activation_round = unit.step * unit.activation_rounds + phase.activation if phase.activation >= 0 else -1
    unit.error_round = unit.step * unit.error_rounds + phase.error if phase.error >= 0 else -1


@kernel
def _settle(unit, operation):
    if operation == constants.SETTLE:
        settling.settle(unit)
    elif operation == constants.REFRESH:
        settling.refresh(unit)
    elif operation == constants.PREDICT:
        acting.predict(unit)
    elif operation == constants.FIND_ERROR:
        acting.find_error(unit)
    elif operation == constants.SHOW_GATE:
        acting.show_gate(unit)
    elif operation == constants.SHOW_SOLVED_GATE:
        acting.show_solved_gate(unit)
    elif operation == constants.CHAIN:
        settling.chain(unit)
    elif operation == constants.ASCEND:
        settling.ascend(unit)
    elif operation == constants.SOLVE_FIRST:
        settling.solve(unit, True)
    elif operation == constants.SOLVE:
        settling.solve(unit, False)


@kernel
def _tick(unit, operation):
    if operation == constants.BEGIN:
        ticking.begin(unit)
    elif operation == constants.EXPECT:
        ticking.resample(unit, True)
    elif operation == constants.RESAMPLE:
        ticking.resample(unit, False)


@kernel
def perform(unit, phase):
    """Do one phase; what it reads must have been published."""
    _take_place(unit, phase)
    operation = phase.operation
    if operation == constants.ACT:
        acting.act(unit)
    elif operation == constants.LEARN:
        learning.learn(unit)
    elif operation == constants.TRACE:
        learning.trace(unit)
    elif operation == constants.LEARN_AT_ONCE:
        learning.learn_at_once(unit)
    elif operation >= constants.BEGIN:
        _tick(unit, operation)
    else:
        _settle(unit, operation)
