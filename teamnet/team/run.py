"""A unit's environment steps on the board, in one compiled call that holds no lock and runs no Python."""

from __future__ import annotations

from teamnet.board.words import publish, store_release, wait
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BEGIN, BROKEN, LINE, PUBLISHED_AT, READY
from teamnet.kernels.memory import integers
from teamnet.units.learning import finish
from teamnet.units.perform import perform
from teamnet.units.records import schedule_of, units_at
from teamnet.units.timing import clock, is_timed, note


@kernel
def _wait_for_inputs(unit, phase, number):
    """Wait for what a phase reads; before the first phase of a step the run may pause."""
    beginning = unit.step if number == 0 else -1
    status = READY
    if phase.below >= 0:
        target = unit.step * unit.below_rounds + phase.below + 1
        status = wait(unit.below_word, target, unit.control, beginning, -1)
    if status == READY and phase.operation == BEGIN and not unit.first_layer:  # the rows that begin come with it
        status = wait(unit.keep_word, unit.step + 1, unit.control, -1, -1)
    if status == READY and phase.above >= 0:
        status = wait(unit.above_word, unit.step * unit.above_rounds + phase.above + 1, unit.control, -1, -1)
    if status == READY and phase.delta != 0:
        status = wait(unit.delta_word, unit.step + 1, unit.control, -1, -1)
    if status == READY and phase.gate >= 0:
        status = wait(unit.gate_word, unit.step * unit.gate_rounds + phase.gate + 1, unit.control, -1, -1)
    return status


@kernel
def _published_at(word):
    return integers(word, LINE // 8)[PUBLISHED_AT]


@kernel
def _inputs_published_at(unit, phase):
    """When the last of what a phase reads was published on this node, in nanoseconds."""
    latest = 0
    if phase.below >= 0:
        latest = _published_at(unit.below_word)
    if phase.above >= 0:
        latest = max(latest, _published_at(unit.above_word))
    if phase.delta != 0:
        latest = max(latest, _published_at(unit.delta_word))
    if phase.gate >= 0:
        latest = max(latest, _published_at(unit.gate_word))
    return latest


@kernel
def _publish(unit, phase):
    if phase.activation >= 0:
        publish(unit.activation_word, unit.activation_round + 1, unit.peers)
    if phase.error >= 0:
        publish(unit.error_word, unit.error_round + 1, unit.peers)
    if phase.shown_gate >= 0:
        publish(unit.gate_word, unit.step * unit.gate_rounds + phase.shown_gate + 1, unit.peers)


@kernel
def run(address: int, steps: int) -> int:
    """Run up to ``steps`` environment steps of the unit whose record is at ``address``.

    Returns:
        ``READY`` after ``steps`` steps, else why the unit stopped: ``ENDED``, ``ABORTED`` or ``BROKEN``.
    """
    unit = units_at(address, 1)[0]
    schedule = schedule_of(unit)
    for _ in range(steps):
        for number in range(unit.phases):
            phase = schedule[number]
            begun = clock(unit)
            status = _wait_for_inputs(unit, phase, number)
            if status != READY:
                return status
            ready = clock(unit)
            if is_timed(unit):
                unit.transferred += max(0, ready - max(begun, _inputs_published_at(unit, phase)))
            perform(unit, phase)
            done = clock(unit)
            _publish(unit, phase)
            note(unit, number, begun, ready, done, clock(unit))
        if not finish(unit):
            store_release(unit.control, 1)
            return BROKEN
        store_release(address, unit.step)
    return READY
