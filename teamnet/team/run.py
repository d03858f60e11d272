"""A unit's environment steps on the board, in one compiled call that holds no lock and runs no Python code."""

from __future__ import annotations

from teamnet.board.round_counters import publish, store_release, wait
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BROKEN, FAILED, LINE, PUBLISHED_AT, READY
from teamnet.kernels.memory import integers
from teamnet.units.layout import OWN, READ, STEP, UNIT, WRITE
from teamnet.units.stepping import do_step
from teamnet.units.timing import clock, finish, is_timed, note

_READ, _STEP, _WRITE = READ.size, STEP.size, WRITE.size


@kernel
def _wait_for_reads(unit, step, first):
    """Wait for the slots that a step reads; the run may pause before the first step of an environment step."""
    beginning = unit.step if first else -1
    for number in range(step.read_count):
        read = READ(step.reads + _READ * number)
        if read.counter != 0:
            status = wait(read.counter, unit.step * read.rounds + read.number + 1, unit.control, beginning, -1)
            if status != READY:
                return status
            beginning = -1
    return READY


@kernel
def _reads_published_at(step):
    """When the last slot that a step reads was published on this node, in nanoseconds."""
    latest = 0
    for number in range(step.read_count):
        read = READ(step.reads + _READ * number)
        if read.counter != 0:
            latest = max(latest, integers(read.counter, LINE // 8)[PUBLISHED_AT])
    return latest


@kernel
def _publish(unit, step):
    """Advance the round counters of the slots that a step publishes."""
    for number in range(step.write_count):
        write = WRITE(step.writes + _WRITE * number)
        own = OWN(write.own)
        if write.publishes and own.counter != 0:
            publish(own.counter, unit.step * own.rounds + write.number + 1, own.peers)


@kernel
def run(address: int, steps: int) -> int:
    """Run up to ``steps`` environment steps of the unit whose record is at ``address``.

    Returns:
        ``READY`` after ``steps`` steps, else the reason of the stop: ``ENDED``, ``ABORTED``, ``BROKEN`` or ``FAILED``.
    """
    unit = UNIT(address)
    for _ in range(steps):
        for number in range(unit.step_count):
            step = STEP(unit.steps + _STEP * number)
            begun = clock(unit)
            status = _wait_for_reads(unit, step, number == 0)
            if status != READY:
                return status
            ready = clock(unit)
            if is_timed(unit):
                unit.transferred += max(0, ready - max(begun, _reads_published_at(step)))
            if not do_step(address, number):
                store_release(unit.control, 1)
                return FAILED
            done = clock(unit)
            _publish(unit, step)
            note(unit, number, begun, ready, done, clock(unit))
        if not finish(unit):
            store_release(unit.control, 1)
            return BROKEN
        store_release(address, unit.step)
    return READY
