"""MAP propagation that settles by alternating sweeps: errors downwards, means upwards.

    act      H_1 .. H_L upwards
    learn    W_l += rate * Adam(delta z_l)
    settle   N times: downwards f_l = e_{l+1} W_{l+1}^T, e_l = f'(p_l) f_l; upwards m_l anew, H_l = m_l + v_l f_l
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l

Where a sweep changes nothing any more, ``(m_l - H_l) / v_l + f_l = 0``: the activations are the most probable ones, as
after very many steps of the published schedule. One sweep alone is backpropagation by another name.

A Gaussian output clamped at ``H_L`` feels ``e_L = (H_L - m_L) / v_L``, and ``m_L`` follows the errors that it sent:
with a small ``v_L`` plain sweeps overshoot. Its units therefore find the error that is its own answer by secant steps.

The last way up changes no error, only the activations that the trace is made of. ``descents`` leaves it out: it ends
with the errors going down, and its trace has the activations that those errors belong to.

Where the TD error is passed down, it comes with the first errors of a step, and a critic's gate with the last.
"""

from __future__ import annotations

from teamnet.kernels.constants import ACT, ASCEND, CHAIN, SHOW_SOLVED_GATE, SOLVE, SOLVE_FIRST
from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules.phase import NOTHING, Phase, then_learn, trace


def sweeps(layer: LayerSpec) -> list[Phase]:
    """``settle_steps`` times down and up; the trace is made of the last activations and the last errors."""
    return _alternate(layer, ups=layer.settle_steps)


def descents(layer: LayerSpec) -> list[Phase]:
    """``settle_steps`` times down, and up in between."""
    return _alternate(layer, ups=layer.settle_steps - 1)


def _alternate(layer: LayerSpec, ups: int) -> list[Phase]:
    steps = layer.settle_steps
    sent = layer.is_last and not layer.is_first
    phases = then_learn(Phase(ACT, below=0, activation=0, error=0 if sent else NOTHING), layer)
    for k in range(1, steps + 1):
        if not layer.is_last:
            phases.append(Phase(CHAIN, above=k - 1, error=NOTHING if layer.is_first else k - 1))
            if k <= ups:
                phases.append(Phase(ASCEND, below=0 if layer.is_first else k, activation=k))
        elif k < steps and sent:
            phases.append(Phase(SOLVE_FIRST if k == 1 else SOLVE, below=k, error=k))
    if layer.gated and layer.is_last:
        last_error = NOTHING
        if sent and layer.passes_down:  # goes out with the gate
            last_error, phases[-1] = steps - 1, phases[-1]._replace(error=NOTHING)
        phases.append(Phase(SHOW_SOLVED_GATE, error=last_error, shown_gate=0))
    return [*phases, trace(layer, below=ups, above=steps - 1)]
