"""What a compiled step knows of its unit: sizes, hyperparameters, counters, and the addresses that it may touch."""

from __future__ import annotations

import numpy as np

_SIZES = ("rows", "fan_in", "size", "fan_out", "offset", "layer_size")
_KINDS = ("first_layer", "last_layer", "function", "family", "gated", "single_step", "settle_steps")
_REALS = (
    "variance", "temperature", "step_size", "trace_decay", "rate_start", "rate_end", "rate_above_start",
    "rate_above_end", "anneal_steps", "power1", "power2",
)
_COUNTERS = ("step", "round", "updates", "noise_index")
_PRIVATE = ("incoming", "biases", "outgoing", "state", "signalled_above", "ones", "decay", "noise")
_SLOTS = ("below", "above", "own_activation", "own_error", "delta", "keep", "gate", "value")
_WORDS = (
    "delta_word", "below_word", "above_word", "activation_word", "error_word", "gate_word", "control",
    "peers",
)

UNIT = np.dtype([
    *((name, np.int64) for name in (*_SIZES, *_KINDS, *_COUNTERS, *_PRIVATE, *_SLOTS, *_WORDS)),
    *((name, np.float64) for name in _REALS),
])
"""One record a unit.

Sizes: parallel environments ``rows``, neurons below ``fan_in``, own ``size``, neurons above ``fan_out`` (0 at the top),
the first own neuron's place ``offset`` in a layer of ``layer_size``. Private and slot fields are addresses of float64
memory; words are addresses of the board's round counters (0 in-process). ``peers`` counts the units of the layer.
"""

STATE = ("activation", "error", "mean", "slope", "potential", "force", "signalled", "acting_mean")
"""The arrays ``(rows, size)`` of a unit's working state, in the order of its ``state`` block."""

SYNAPSES = ("value", "first", "second", "gradient")
"""The arrays ``(in, out)`` of a group of synapses before its ``rows`` traces; first and second are Adam's means."""
