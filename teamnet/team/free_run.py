"""Asynchronous MAP propagation without a common tick: one unit, which reads the newest values on the board.

The rule is that of :mod:`teamnet.rules.asynchronous`; the difference is that no unit waits. A unit ticks as
fast as its core allows, and counts its own ticks: a slow unit moves less in an environment step, or misses whole
observations, and the others do not detect it. A unit learns from the newest TD error as soon as it reads it; when it
starts the next observation, it updates its traces with its last values and those that its neighbours published then.

A hidden unit ticks when there are newer errors above, or a new observation. Otherwise it would converge to what the old
errors imply before the layer above could respond, and with large weights the activations of both would diverge. An
output unit always ticks, which keeps the others ticking; units below a stopped unit tick once per observation.

Newest values: a unit's activations, errors and gate are overwritten in place. A number is read whole (aligned loads of
eight bytes are atomic on x86-64 and Arm64), but a vector may mix two publications, and an error may be of another time
than the activation by which it is multiplied. So the two ends of a synapse read values of different times, and the
mirror drifts from its original; DEVIATIONS 17 states how far.
"""

from __future__ import annotations

from teamnet.board.round_counters import announce, load_acquire, publish, reached, store_release
from teamnet.dataflow.free import (
    ACCUMULATE,
    ACT,
    ACT_LAST,
    FIND_ERROR,
    LEARN,
    LOOK,
    NOTE,
    OBSERVE,
    SEND,
    SETTLE,
    SHOW_GATE,
)
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import ABORTED, BROKEN, ENDED, READY
from teamnet.kernels.processor import give_way
from teamnet.units.layout import OWN, READ, STEP, UNIT, WRITE
from teamnet.units.stepping import do_step
from teamnet.units.timing import finish

_STEP, _WRITE = STEP.size, WRITE.size
_MASK = 0xFFFFFFFF


@kernel
def _command(unit):
    """The command on the control line: continue, abort, or pause before the next observation."""
    if load_acquire(unit.control) != 0:
        return ABORTED
    if load_acquire(unit.control + 4) == load_acquire(unit.control + 8):
        return ENDED
    return READY


@kernel
def _read_counter(unit, number):
    """The round counter of the first slot that a step reads."""
    return READ(STEP(unit.steps + _STEP * number).reads).counter


@kernel
def _own_slot(unit, number):
    """The slot that a step writes last."""
    step = STEP(unit.steps + _STEP * number)
    return OWN(WRITE(step.writes + _WRITE * (step.write_count - 1)).own)


@kernel
def _find_error(address):
    do_step(address, FIND_ERROR)
    do_step(address, SEND)


@kernel
def _move(address, unit):
    """A tick in which a hidden unit settles, and an output unit rests."""
    if not unit.last_layer:
        do_step(address, SETTLE)
    do_step(address, LOOK)
    _find_error(address)
    if unit.last_layer and unit.gated:
        do_step(address, SHOW_GATE)


@kernel
def _act(address, unit, final):
    """A tick of an output unit that acts; a critic publishes its gate in the ``final`` one."""
    do_step(address, ACT_LAST if final else ACT)
    _find_error(address)
    if unit.gated and final:
        do_step(address, SHOW_GATE)


@kernel
def _work(address, unit, ticks, acting_steps, settle_steps):
    """One tick of the unit; ``ticks`` have counted since the observation. Returns the new count.

    Acting ticks count, and ticks after the TD error is known. An output unit publishes twice per observation: its
    action, and the end of its rest.
    """
    acting, counts = unit.last_layer and ticks < acting_steps, True
    if acting:
        _act(address, unit, ticks == acting_steps - 1)
    else:
        _move(address, unit)
        counts = unit.learned == unit.step + 1
        if counts:
            do_step(address, NOTE)
    if not unit.first_layer:
        own = _own_slot(unit, SEND)
        announce(own.counter, own.peers)
    ticks += counts
    if unit.last_layer and counts:
        own = _own_slot(unit, ACT)
        if ticks == acting_steps:
            publish(own.counter, 2 * unit.step + 1, own.peers)
        elif ticks == acting_steps + max(1, settle_steps):
            publish(own.counter, 2 * unit.step + 2, own.peers)
    return ticks


@kernel
def run_free(address: int, steps: int, acting_steps: int, settle_steps: int) -> int:
    """Run the unit whose record is at ``address`` until the run pauses, or until its noise is used up.

    Args:
        address: of the record.
        steps: observations for which there is noise.
        acting_steps, settle_steps: ticks of an output unit before and after it publishes its action.

    Returns:
        ``READY`` when the noise is used up, else the reason why the unit stopped: ``ENDED``, ``ABORTED`` or ``BROKEN``.
    """
    unit = UNIT(address)
    td_error = _read_counter(unit, LEARN)
    clock, seen, ticks, naps, heard = unit.step, 0, 0, 0, -1
    while True:
        status = _command(unit)
        newest = clock + ((load_acquire(unit.control + 8) - clock) & _MASK)
        if seen and unit.learned != clock and reached(td_error, clock):
            do_step(address, LEARN)
        if newest != clock or status != READY:
            if seen and unit.noted == clock:
                do_step(address, ACCUMULATE)
            if seen and not finish(unit):
                store_release(unit.control, 1)
                return BROKEN
            if status != READY or seen == steps:
                return status
            unit.seen = unit.step
            unit.step = newest - 1
            do_step(address, OBSERVE)
            _find_error(address)
            clock, seen, ticks = newest, seen + 1, 0
            heard = -1
        news = heard + 1 if unit.last_layer else load_acquire(_read_counter(unit, SETTLE))
        if seen and news != heard:
            heard = news
            ticks = _work(address, unit, ticks, acting_steps, settle_steps)
        naps = give_way(naps)
