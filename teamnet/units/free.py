"""What a unit that runs free does: the ticks of asynchronous MAP propagation, placed by itself.

Its numbers of observations count from 1, and ``keep`` holds for each row that with which its episode began: a unit that
misses observations still learns that an episode has begun.
"""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import vector
from teamnet.units.acting import show_gate
from teamnet.units.learning import learn
from teamnet.units.settling import refresh, settle
from teamnet.units.ticking import forget, look, resample
from teamnet.units.views import keep


@kernel
def _take_newest(unit):
    """Slots have one buffer that is always the newest; the observation alternates, and so does the action.

    An action stands where the last publication of the ticked form does, and whoever reads it need not know the form.
    """
    unit.below_round = unit.step if unit.first_layer else 0
    unit.activation_round = (unit.step + 1) * unit.activation_rounds - 1 if unit.last_layer else 0
    unit.error_round = -1 if unit.first_layer else 0
    unit.above_round = 0


@kernel
def observe(unit, number):
    """Turn to observation ``number``; where an episode has begun since the last one, values start anew."""
    seen = unit.step
    unit.step = number - 1
    _take_newest(unit)
    begun = keep(unit)
    for row in range(unit.rows):
        if begun[row] > seen:
            forget(unit, row)
    look(unit)


@kernel
def learn_late(unit, number):
    """Learn from the newest TD error; then the traces decay by all observations since the last time, or start anew.

    They do so when something is next added to them, and what they owe until then is remembered.
    """
    learn(unit)
    begun, decay = keep(unit), vector(unit.decay, unit.rows)
    kept = 1.0
    for _ in range(number - unit.learned):
        kept *= unit.trace_decay
    for row in range(unit.rows):
        decay[row] *= 0.0 if begun[row] > unit.learned else kept
    unit.learned = number


@kernel
def act(unit, final):
    """A tick of an output unit that acts: a critic takes its mean but in the ``final`` one, and then shows its gate."""
    resample(unit, unit.gated != 0 and not final)
    if unit.gated and final:
        show_gate(unit)


@kernel
def move(unit):
    """A tick in which a hidden unit settles, and an output unit rests."""
    if not unit.last_layer:
        settle(unit)
    refresh(unit)
    if unit.last_layer and unit.gated:
        show_gate(unit)
