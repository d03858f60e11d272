"""Errors of the layer above, computed by the layer below, so that only activations travel while a team settles.

    p_{l+1} = H_l W_{l+1} + b_{l+1}      e_{l+1} = (H_{l+1} - m_{l+1}) f'(p_{l+1}) / v_{l+1}

The layer below has ``H_l``, a mirror of ``W_{l+1}`` and the activations ``H_{l+1}``; the layer above sends its biases
once a step, after it has learned. Sums have the order of the layer above, so the errors have the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import ClassVar

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, SlotSpec, above, inputs, step, td_error, top, trace_mask
from teamnet.dataflow.slots import Read
from teamnet.kernels.arithmetic import add_products
from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import copy, flat, transpose
from teamnet.operations.acting import expect, score
from teamnet.operations.learning import learn_at_once, trace
from teamnet.rules.feedback import ErrorsDown
from teamnet.rules.rule import PER_NEURON, Array, PrivateArray, Unit, operation

_ABOVE = PrivateArray(("rows", "fan_out"))


@kernel
def find_error_above(unit: Unit, above: Array, biases: Array) -> None:
    """The errors of the layer above from its activations and its biases, both ``(rows, fan_out)``."""
    compiled_once()
    p, m, s = unit.preactivation_above, unit.mean_above, unit.derivative_above
    copy(flat(biases), flat(p))
    add_products(p, unit.activation, unit.transposed_mirror)
    ends = unit.ends_above
    expect(unit.family_above, unit.function_above, unit.temperature_above, ends, p, m, s)
    score(unit.family_above, unit.variance_above, unit.temperature_above, ends, above, m, s, unit.error_above)


class RecomputedErrors(ErrorsDown):
    """A rule whose units can compute the errors of the layer above."""

    private: ClassVar = MappingProxyType({
        "transposed_mirror": PrivateArray(("size", "fan_out")), "sent_biases": PER_NEURON,
        "ends_above": PrivateArray((1, "fan_out")), "preactivation_above": _ABOVE, "mean_above": _ABOVE,
        "derivative_above": _ABOVE, "error_above": _ABOVE,
    })

    @property
    def allows_skips(self) -> bool:
        """See :attr:`teamnet.rules.rule.Rule.allows_skips`; of several layers above each has inputs of its own."""
        return super().allows_skips and not self.recomputes

    @property
    def whole_layers(self) -> bool:
        """See :attr:`teamnet.rules.rule.Rule.whole_layers`; errors depend on all neurons below."""
        return super().whole_layers or self.recomputes

    def slots(self, layer: LayerSpec) -> list[SlotSpec]:
        """Biases, where the layer below needs them."""
        found = super().slots(layer)
        return [*found, SlotSpec("sent_biases", exact=True)] if self.recomputes and not layer.is_first else found

    def exchange_weights(self, layer: LayerSpec) -> Iterator[Draft]:
        """Once a step, after learning: what computing the errors above takes beside activations."""
        if not layer.is_first:
            yield step("send_biases", (), ["sent_biases"])
        if not layer.is_last:
            yield step("transpose_mirror")

    def activations_above(self, layer: LayerSpec, number: int) -> list[Read | None]:
        """Publication ``number`` of the activations above, or the output's only one; and the biases above."""
        return [above(layer, "activation", 0 if layer.output_reads else number), above(layer, "sent_biases")]

    def trace_recomputed_errors(self, layer: LayerSpec, last: int) -> Iterator[Draft]:
        """The end of a step, with the errors above after settle step ``last``."""
        yield step("find_error_above", self.activations_above(layer, last))
        reads = inputs(layer, last), top(layer, "gate") if layer.gated else None
        if layer.single_step:
            yield step("learn_recomputed_at_once", [*reads, td_error])
        else:
            yield step("trace_recomputed", [*reads, trace_mask])

    @operation
    def send_biases(unit: Unit) -> None:
        """Show the biases to the layer below, once for each row."""
        for row in range(unit.rows):
            for j in range(unit.size):
                unit.sent_biases[row, j] = unit.biases.value[0, j]

    @operation
    def transpose_mirror(unit: Unit) -> None:
        """The weights above as the layer above has them, ``(size, fan_out)``."""
        transpose(unit.outgoing.value, unit.transposed_mirror)

    @operation
    def find_error_above(unit: Unit, above: Array, biases: Array) -> None:
        """The last errors, for the traces of mirrors."""
        find_error_above(unit, above, biases)

    @operation
    def trace_recomputed(unit: Unit, inputs: Array, gate: Array, trace_mask: Array) -> None:
        """Traces, with the errors above that the unit has computed."""
        trace(unit, inputs, unit.error_above, gate, trace_mask)

    @operation
    def learn_recomputed_at_once(unit: Unit, inputs: Array, gate: Array, signal: Array) -> None:
        """Learn in a task of one step, with the errors above that the unit has computed."""
        learn_at_once(unit, inputs, unit.error_above, gate, signal)
