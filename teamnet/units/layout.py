"""What a compiled step knows of its unit: sizes, hyperparameters, counters, and the addresses that it may touch."""

from __future__ import annotations

import numpy as np

_SIZES = (
    "rows", "fan_in", "size", "fan_out", "offset", "layer_size", "channels", "acting_steps",
    "settle_steps", "timed_mask", "wire", "error_feedback", "mirrors", "ships",
)
_KINDS = ("first_layer", "last_layer", "function", "family", "gated", "single_step")
_REALS = (
    "variance", "temperature", "step_size", "trace_decay", "rate_start", "rate_end", "rate_above_start",
    "rate_above_end", "anneal_steps", "entropy", "forgetting", "forgetting_above", "power1", "power2",
    "still_activation", "still_error",
)
_COUNTERS = (
    "step", "updates", "noise_index", "noise_count", "below_round", "above_round", "activation_round", "error_round",
    "learned", "noted",
)
LEDGER = (
    "sent_activations", "sent_errors", "sent_gates", "silent_activations", "silent_errors", "held_activations",
    "held_errors", "waited", "transferred", "computed", "published", "timed_steps",
)
"""What a unit counts: its publications, those that said nothing, the numbers that it did not say as they had settled,
and nanoseconds of its timed steps."""
_PRIVATE = (
    "incoming", "biases", "outgoing", "state", "transposed", "unsaid_products", "signalled_above", "ones", "decay",
    "noise", "schedule", "laps", "noted_below", "noted_above", "noted_gate",
)
_SLOTS = ("below", "above", "own_activation", "own_error", "delta", "keep", "gate", "value")
_WORDS = (
    "delta_word", "keep_word", "below_word", "above_word", "activation_word", "error_word", "gate_word", "control",
    "peers",
)
_ROUNDS = ("phases", "below_rounds", "above_rounds", "activation_rounds", "error_rounds", "gate_rounds")

UNIT = np.dtype([
    ("finished", np.int64),
    *((name, np.int64) for name in (*_SIZES, *_KINDS, *_COUNTERS, *LEDGER, *_PRIVATE, *_SLOTS, *_WORDS, *_ROUNDS)),
    *((name, np.float64) for name in _REALS),
])
"""One record a unit.

It begins with the number of ``finished`` steps, modulo 2**32, for who looks at the unit beside its run.

Sizes: parallel environments ``rows``, neurons below ``fan_in``, own ``size``, neurons above ``fan_out`` (0 at the top),
the first own neuron's place ``offset`` in a layer of ``layer_size``; errors have one or two ``channels``; a unit
``mirrors`` the synapses that leave it, unless it is an output or the one above ``ships`` products;
``acting_steps`` and ``settle_steps`` count ticks where a team runs free. Private and slot fields are addresses of
float64 memory, ``schedule`` of ``phases`` records, ``laps`` of ``phases`` times four int64 (the clock at a phase's
turns, in the newest timed step); words are addresses of the board's round counters (0 in-process). ``peers`` counts the
units of the layer, ``.._rounds`` how often a slot is published in one environment step, and ``.._round`` is the
publication that the phase in hand reads or makes. ``learned`` is the number of the observation whose TD error was
learned from last, where a team runs free, and ``noted`` the last one for which the unit has noted what its neighbours
say. ``noise`` holds ``noise_count`` samples, of which ``noise_index`` are taken. One step in ``timed_mask + 1`` is
timed, none if that is 0. ``still_..`` is by how much a number moves at most that is not said again, or negative.
"""

PHASE = np.dtype([
    (name, np.int64)
    for name in ("operation", "below", "above", "delta", "gate", "activation", "error", "shown_gate")
])
"""One phase of a schedule; see :class:`teamnet.units.schedules.phase.Phase`."""

STATE = (
    "activation", "error", "mean", "slope", "potential", "force", "signalled", "acting_mean", "second_error",
    "unsaid_activation", "unsaid_error",
)
"""The arrays ``(rows, size)`` of a unit's working state, in the order of its ``state`` block.

``second_error`` is what a second channel of errors carries; ``force`` is the feedback from above, and in an output
unit that settles by sweeps its last residual; ``unsaid_activation`` and ``unsaid_error`` are what messages have left
out.
"""

SYNAPSES = ("value", "first", "second", "gradient", "bonus")
"""The arrays ``(in, out)`` of a group of synapses before its ``rows`` traces.

First and second are Adam's means, and bonus is the gradient of the policy's entropy.
"""
