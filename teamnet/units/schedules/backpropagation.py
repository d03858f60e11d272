"""Backpropagation, for comparison: output units learn by REINFORCE, hidden units by the chain rule.

    act      H_1 .. H_L upwards; hidden units take their mean, or sample H_l = m_l + sqrt(v_l) noise (reparametrization)
    chain    e_l = f'(p_l) (e_{l+1} W_{l+1}^T) downwards
    learn    W_l += rate * Adam(delta z_l)
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l

The same messages as those of MAP propagation, but one exchange up and one down; the errors are no longer those of a
unit's own policy. With entropy regularisation a second channel carries the gradient of the policy's entropy.
"""

from __future__ import annotations

from teamnet.kernels.constants import ACT, CHAIN, SHOW_GATE
from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules.phase import NOTHING, Phase, learn, trace


def chain(layer: LayerSpec) -> list[Phase]:
    """The errors go down before anything is learned, so that they are the gradient at which the team acted."""
    shown = NOTHING if layer.is_first else 0
    if layer.is_last:
        phases = [Phase(ACT, below=0, activation=0, error=shown)]
        if layer.gated:
            phases.append(Phase(SHOW_GATE, shown_gate=0))
    else:
        phases = [Phase(ACT, below=0, activation=0), Phase(CHAIN, above=0, error=shown)]
    return [*phases, *learn(layer), trace(layer, below=0, above=0)]
