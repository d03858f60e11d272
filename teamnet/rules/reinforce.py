"""REINFORCE for every unit (Williams, 1992): each learns from its own sample and the global TD error alone.

    act      H_1 .. H_L upwards
    learn    W_l += rate * Adam(delta z_l)
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l        e_l = (H_l - m_l) f'(p_l) / v_l

Nothing comes down: one exchange up is all that a step needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, inputs, step
from teamnet.rules.traces import TraceRule


class Reinforce(TraceRule):
    """REINFORCE with eligibility traces."""

    name = "reinforce"

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        """Act, learn from the traces before, trace."""
        yield step("act", [inputs(layer)], ["activation"])
        yield step("find_error")
        yield from self.learn_step(layer)
        if layer.gated and layer.is_last:
            yield step("find_gate", (), ["gate"])
        yield from self.end_of_step(layer)
