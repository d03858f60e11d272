"""MAP propagation as published: all hidden layers settle at once; without settle steps it is REINFORCE.

act      H_1 .. H_L upwards
learn    W_l += rate * Adam(delta z_l)
settle   N times: H_l += a v_l ((m_l - H_l) / v_l + e_{l+1} W_{l+1}^T), then m_l and e_l anew
trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l
"""

from __future__ import annotations

from teamnet.kernels.constants import ACT, FIND_ERROR, PREDICT, REFRESH, SETTLE, SHOW_GATE
from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules.phase import NOTHING, Phase, then_learn, trace


def jacobi(layer: LayerSpec) -> list[Phase]:
    """Settle step ``k`` reads the errors of step ``k - 1``, publishes activations, and then refreshes the errors.

    What the first layer sees does not change while the team settles, so its mean stays after the first settle step;
    and as nobody reads its error, its own trace needs only the last one.

    With ``exchange_every`` above 1 a unit publishes and refreshes only once in that many steps, and in the last one. In
    between it goes on settling towards what its neighbours said last.
    """
    steps, said = layer.settle_steps, 0
    phases = then_learn(Phase(ACT, below=0, activation=0, error=NOTHING if layer.is_first else 0), layer)
    for k in range(1, steps + 1):
        exchange = k % layer.exchange_every == 0 or k == steps
        if not layer.is_last:
            phases.append(Phase(SETTLE, above=said, activation=said + 1 if exchange else NOTHING))
        said += exchange
        if exchange and not layer.is_first:
            read = k < steps or not layer.ships  # the last error is for the traces of those who mirror synapses
            phases.append(Phase(REFRESH, below=said, error=said if read else NOTHING))
        elif layer.is_first and layer.is_last and k == steps:
            phases.append(Phase(REFRESH, below=0))
        elif layer.is_first and not layer.is_last and k == 1:
            phases.append(Phase(PREDICT, below=0))
    if layer.is_first and not layer.is_last and steps:
        phases.append(Phase(FIND_ERROR))
    if layer.gated and layer.is_last:
        phases.append(Phase(SHOW_GATE, shown_gate=0))
    return [*phases, trace(layer, below=said, above=said)]
