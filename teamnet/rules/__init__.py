"""The learning rules, each in a file of its own, and what a rule of one's own is made of."""

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
