"""Asynchronous MAP propagation, ticked: every unit updates in every tick, while the team acts and afterwards.

Chung, arXiv 2010.07893, first version, Algorithm 3, as this project's design states it (DEVIATIONS 12 and 13). At once:

    H_l += a v_l ((m_l - H_l) / v_l + e_{l+1} W_{l+1}^T)      hidden units
    H_L ~ Categorical(softmax(p_L / T)) or N(p_L, v_L)        output units while the team acts; then they rest
    g   <- beta g + (1 - beta) dH                             how fast a unit moves
    z_l += H_{l-1}^T e_l / (eps + alpha g^2)                  once the action is chosen: what has settled counts

A critic's output takes its mean while the team acts and samples in the last tick, so that its value estimate does not
follow its own samples. Traces decay once in an environment step. Values, traces and ``g`` start anew with each episode.
"""

from __future__ import annotations

from teamnet.kernels.constants import ACCUMULATE, BEGIN, CONFIDE, EXPECT, LEARN, RESAMPLE, REST, SHOW_GATE, TICK
from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules.phase import NOTHING, Phase


def ticks(layer: LayerSpec) -> list[Phase]:
    """``acting_steps`` ticks in which the output is resampled, then ``settle_steps`` ticks with the action kept."""
    acting, last = layer.acting_steps, layer.acting_steps + layer.settle_steps
    shown = not layer.is_first
    phases = [Phase(BEGIN, below=0, activation=0, error=0 if shown else NOTHING)]
    for k in range(1, last + 1):
        look = 0 if layer.is_first else k
        error = k if shown else NOTHING
        if not layer.is_last:
            phases += [Phase(TICK, above=k - 1, activation=k), Phase(CONFIDE, below=look, error=error)]
        elif k <= acting:
            operation = EXPECT if layer.gated and k < acting else RESAMPLE
            phases.append(Phase(operation, below=look, activation=k, error=error))
        else:
            phases.append(Phase(REST, below=look, error=error))
        if k > acting:
            if layer.gated and layer.is_last:
                phases.append(Phase(SHOW_GATE, shown_gate=k - acting - 1))
            reads = {"above": NOTHING if layer.is_last else k, "gate": k - acting - 1 if layer.gated else NOTHING}
            phases.append(Phase(ACCUMULATE, below=look, **reads))
        if k == acting:
            phases.append(Phase(LEARN, delta=1))
    return phases
