"""Asynchronous MAP propagation, ticked: every unit updates in every tick, while the team acts and afterwards.

Chung, arXiv 2010.07893, first version, Algorithm 3, as DEVIATIONS 12 and 13 state it. At once:

    H_l += a v_l ((m_l - H_l) / v_l + e_{l+1} W_{l+1}^T)      hidden units
    H_L ~ Categorical(softmax(p_L / T)) or N(p_L, v_L)        output units while the team acts; then they rest

and once all have settled on the chosen action

    z_l <- gamma lambda z_l + H_{l-1}^T e_l

A critic's output takes its mean while the team acts and samples in the last tick, so that its value estimate does not
follow its own samples. Values and traces start anew with each episode.
"""

from __future__ import annotations

from teamnet.kernels.constants import BEGIN, EXPECT, FIND_ERROR, PREDICT, REFRESH, RESAMPLE, SETTLE, SHOW_GATE
from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules.phase import NOTHING, Phase, then_learn, trace


def ticks(layer: LayerSpec) -> list[Phase]:
    """``acting_steps`` ticks in which the output is resampled, then ``settle_steps`` ticks with the action kept.

    What the first layer sees does not change meanwhile, so that its mean stays but for what it learns.
    """
    acting, last = layer.acting_steps, layer.acting_steps + layer.settle_steps
    phases = [Phase(BEGIN, below=0, activation=0, error=NOTHING if layer.is_first else 0)]
    for k in range(1, last + 1):
        look, error = (0, NOTHING) if layer.is_first else (k, k)
        if layer.ships and k == last:
            error = NOTHING  # the last one is for the traces of those who mirror synapses
        if not layer.is_last:
            phases.append(Phase(SETTLE, above=k - 1, activation=k))
            if not layer.is_first:
                phases.append(Phase(REFRESH, below=look, error=error))
            elif k == acting + 1:
                phases.append(Phase(PREDICT, below=0))
        elif k <= acting:
            operation = EXPECT if layer.gated and k < acting else RESAMPLE
            phases.append(Phase(operation, below=look, activation=k, error=error))
        else:
            phases.append(Phase(REFRESH, below=look, error=error))
        if k == acting:
            phases[-1:] = then_learn(phases[-1], layer)
    if layer.is_first and not layer.is_last:
        phases.append(Phase(FIND_ERROR))
    if layer.gated and layer.is_last:
        phases.append(Phase(SHOW_GATE, shown_gate=0))
    return [*phases, trace(layer, below=last, above=last)]
