"""What the rules of this package have in common: units that learn from their score, with eligibility traces.

    e_l   = d log P(H_l) / d p_l                            the error of the unit's own policy
    z_l  <- gamma lambda z_l + h_{l-1}^T e_l                once a step
    W_l  <- W_l + rate * Adam(mean over rows of delta z_l)  with the TD error delta of the step after

A critic's errors pass its output's gate, ``1 / (H_L - m_L)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import ClassVar

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, SlotSpec, inputs, step, td_error, top, trace_mask
from teamnet.dataflow.slots import Read
from teamnet.operations import acting, learning
from teamnet.rules.rule import PER_NEURON, PER_ROW, TRACES, PrivateArray, Rule


class TraceRule(Rule):
    """A rule whose units learn from traces of errors, or in tasks of one step from the errors at once."""

    private: ClassVar = MappingProxyType({
        "error": PER_NEURON, "modulated_error": PER_NEURON, "modulated_above": PrivateArray(("rows", "fan_out")),
        "gate": PER_ROW, "decay": PrivateArray(("rows",), initial=1.0),
        "trace": TRACES._replace(shape=("traces", "inputs", "outputs")),  # tasks of one step need none
    })

    act = acting.act
    predict = acting.predict
    find_error = acting.find_error
    find_gate = acting.find_gate
    learn = learning.learn
    trace = learning.trace
    learn_at_once = learning.learn_at_once

    def slots(self, layer: LayerSpec) -> list[SlotSpec]:
        """A critic's output publishes its gate."""
        return [SlotSpec("gate", 1, exact=True, buffers=1)] if layer.gated and layer.is_last else []

    def learn_step(self, layer: LayerSpec, signal: Read = td_error) -> Iterator[Draft]:
        """Learning from the TD error; tasks of one step learn at the end of the step instead."""
        if not layer.single_step:
            yield step("learn", [signal])

    def end_of_step(
        self, layer: LayerSpec, below: int = 0, above: Read | None = None, gate: Read | None = None,
        signal: Read = td_error, mask: Read = trace_mask,
    ) -> Iterator[Draft]:
        """Accumulate the trace, or in a task of one step learn at once.

        Args:
            layer: whose units.
            below: the publication of the activations below that the trace is made of.
            above: the errors above, for units that mirror synapses.
            gate: a critic's gate; its output's publication if left out.
            signal, mask: how the TD error and the trace mask come.
        """
        gate = (gate or top(layer, "gate")) if layer.gated else None
        reads = inputs(layer, below), above, gate
        if layer.single_step:
            yield step("learn_at_once", [*reads, signal])
        else:
            yield step("trace", [*reads, mask])
