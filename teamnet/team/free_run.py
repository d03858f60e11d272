"""Asynchronous MAP propagation without a common tick: one unit on its own, with the newest values on the board.

The rule is that of :mod:`teamnet.units.schedules.asynchronous`; what differs is that nobody waits. A unit ticks as fast
as it is given a core, and its own ticks count: one that is slow moves less in an environment step, or misses whole
observations, and the others do not notice. When it comes by, it learns from the newest TD error; when it turns to the
next observation, its traces take what it has come to, with what its neighbours said then.

A hidden unit ticks when there are newer errors above, or a new observation. Without them it would go all the way to
what the old errors ask for, before the layer above could answer, and their conversation grows without bound once
weights have grown. An output unit always ticks, which keeps the others going; below a unit that has stopped, those that
have not move once in an observation.

Newest values: a unit's activations, errors and gate are overwritten in place. A number is read whole (aligned loads of
eight bytes are atomic on x86-64 and Arm64), but a vector may mix two publications, and an error may belong to another
moment than the activation with which it is multiplied. So the two ends of a synapse do not see the same moments, and
the mirror drifts away from its original; DEVIATIONS 17 says how far.
"""

from __future__ import annotations

from teamnet.board.words import announce, load_acquire, publish, reached, store_release
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import ABORTED, BROKEN, ENDED, READY
from teamnet.kernels.processor import give_way
from teamnet.units.free import act, learn_late, move, observe
from teamnet.units.learning import accumulate_noted, finish, note_neighbours
from teamnet.units.records import units_at

_MASK = 0xFFFFFFFF


@kernel
def _command(unit):
    """What the control line says: go on, abort, or pause before the next observation."""
    if load_acquire(unit.control) != 0:
        return ABORTED
    if load_acquire(unit.control + 4) == load_acquire(unit.control + 8):
        return ENDED
    return READY


@kernel
def _work(unit, ticks):
    """One tick of the unit; ``ticks`` have counted since the observation. Returns how many count now.

    Ticks of acting count, and those after the TD error is known. An output unit publishes twice in an observation: its
    action, and that it has rested.
    """
    acting, counts = unit.last_layer and ticks < unit.acting_steps, True
    if acting:
        act(unit, ticks == unit.acting_steps - 1)
    else:
        move(unit)
        counts = unit.learned == unit.step + 1
        if counts:
            note_neighbours(unit)
    if not unit.first_layer:
        announce(unit.error_word, unit.peers)
    ticks += counts
    if unit.last_layer and counts and ticks == unit.acting_steps:
        publish(unit.activation_word, 2 * unit.step + 1, unit.peers)
    elif unit.last_layer and counts and ticks == unit.acting_steps + max(1, unit.settle_steps):
        publish(unit.activation_word, 2 * unit.step + 2, unit.peers)
    return ticks


@kernel
def run_free(address: int, steps: int) -> int:
    """Run the unit whose record is at ``address`` until the run pauses, or until its noise is used up.

    Args:
        address: of the record.
        steps: observations for which there is noise.

    Returns:
        ``READY`` when the noise is used up, else why the unit stopped: ``ENDED``, ``ABORTED`` or ``BROKEN``.
    """
    unit = units_at(address, 1)[0]
    clock, seen, ticks, naps, heard = unit.step, 0, 0, 0, -1
    while True:
        status = _command(unit)
        newest = clock + ((load_acquire(unit.control + 8) - clock) & _MASK)
        if seen and unit.learned != clock and reached(unit.delta_word, clock):
            learn_late(unit, clock)
        if newest != clock or status != READY:
            if seen and unit.noted == clock:
                accumulate_noted(unit)
            if seen and not finish(unit):
                store_release(unit.control, 1)
                return BROKEN
            if status != READY or seen == steps:
                return status
            observe(unit, newest)
            clock, seen, ticks = newest, seen + 1, 0
            heard = -1
        news = heard + 1 if unit.last_layer else load_acquire(unit.above_word)
        if seen and news != heard:
            heard = news
            ticks = _work(unit, ticks)
        naps = give_way(naps)
