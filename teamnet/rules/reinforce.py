"""REINFORCE for every unit (Williams, 1992): each learns from its own sample and the global TD error alone.

    act      H_1 .. H_L upwards
    learn    W_l += rate * Adam(delta z_l)
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l        e_l = (H_l - m_l) f'(p_l) / v_l

Nothing comes down: one exchange up is all that a step needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, inputs, step
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.traces import TraceRule


class _Exploration(NamedTuple):
    """Hyperparameters of units that explore by themselves; see DEVIATIONS 15.

    Args:
        rates: of the actor's layers.
        critic: factor of the critic's rates.
        variance: factor of MAP propagation's variances.
        temperature: factor of MAP propagation's temperature.
        trace_lambda: of both teams; that of MAP propagation if left out.
    """

    rates: tuple[float, float, float] = (1.8e-2, 5.4e-4, 1.8e-4)
    critic: float = 1.0
    variance: float = 3.0
    temperature: float = 0.5
    trace_lambda: float | None = None


_SWINGING = _Exploration((1.5e-2, 3e-5, 2.8e-3), 4.8, 0.25, 1.45, 0.9)
_LANDING = _Exploration((5e-3, 4e-5, 1.2e-3), 4.3, 6e-4, 0.5, 0.8)
_ALL_EXPLORE = {
    "acrobot": _SWINGING,
    "lunarlander": _LANDING,
    "mountaincar": _Exploration((3.6e-3, 0.2 * 5.4e-4, 0.2 * 1.8e-4), critic=3.0),
}
_SOME_EXPLORE = {
    "cartpole": _Exploration((4.2e-3, 1e-3, 2.4e-4), 2.2, 7.0, 0.54, 0.9),
    "acrobot": _SWINGING,
    "lunarlander": _LANDING,
    "mountaincar": _ALL_EXPLORE["mountaincar"],
}
"""By random searches, of all units and of a part of them."""


def _preset(spec: Any, exploration: float) -> Any:
    """Rates for units that explore by themselves, and a critic that learns by backpropagation (DEVIATIONS 15)."""
    actor, critic = spec.actor, spec.critic
    if actor is None or critic is None:
        return replace(spec, rule=Reinforce(), exploration=exploration)
    values = (_ALL_EXPLORE if exploration == 1.0 else _SOME_EXPLORE).get(spec.task, _Exploration())
    value_rates = tuple(values.critic * rate for rate in (3.4e-3, 3.4e-6, 3.4e-7))
    variances = tuple(values.variance * variance for variance in actor.variances)
    if spec.task == "mountaincar":
        variances = (0.03, 0.1, 0.1)  # every bit of exploration costs reward there
    return replace(
        spec, rule=Reinforce(), exploration=exploration,
        actor=replace(
            actor, variances=variances, rates=values.rates, final_rates=values.rates,
            temperature=values.temperature * actor.temperature, trace_lambda=values.trace_lambda or actor.trace_lambda,
        ),
        critic=replace(
            critic, rule=Backpropagation(), exploration=0.0, rates=value_rates, final_rates=value_rates,
            trace_lambda=values.trace_lambda or critic.trace_lambda,
        ),
    )


class Reinforce(TraceRule):
    """REINFORCE with eligibility traces."""

    name = "reinforce"
    presets: ClassVar = MappingProxyType({
        "reinforce": partial(_preset, exploration=1.0), "reinforce-part": partial(_preset, exploration=0.3),
    })

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        """Act, learn from the traces before, trace."""
        yield step("act", [inputs(layer)], ["activation"])
        yield step("find_error")
        yield from self.learn_step(layer)
        if layer.gated and layer.is_last:
            yield step("find_gate", (), ["gate"])
        yield from self.end_of_step(layer)
