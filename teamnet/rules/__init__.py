"""The learning rules, each in its own file, and the parts from which users make their own."""

from teamnet.dataflow.ports import SlotSpec, above, carried, episode_mask, inputs, own, step, td_error, top, trace_mask
from teamnet.rules.rule import (
    PER_NEURON,
    PER_ROW,
    PER_SYNAPSE,
    TRACES,
    Array,
    PrivateArray,
    Rule,
    Unit,
    operation,
)

__all__ = [
    "PER_NEURON", "PER_ROW", "PER_SYNAPSE", "TRACES", "Array", "PrivateArray", "Rule", "SlotSpec", "Unit", "above",
    "carried", "episode_mask", "inputs", "operation", "own", "step", "td_error", "top", "trace_mask",
]
