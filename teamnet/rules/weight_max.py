"""Weight maximisation (Chung, arXiv 2010.09770): a hidden unit's reward is the growth of the weights that leave it.

    act      H_1 .. H_L upwards; hidden units are Bernoulli
    reward   R_L = TD error;  R_{l,i} = 2 sum_j w_ij g_ij     w: W_{l+1} just updated, g_ij = z_{l+1,ij} R_{l+1,j}
    learn    W_l += rate * Adam(mean over rows of z_l R_l)
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l          e_l = (H_l - m_l) / T

``R_{l,i}`` is the first-order change of ``sum_j w_ij^2`` by the update of the layer above: a unit whose output matters
more than before has done well. Biases are left out. Only the output hears the TD error; the rewards go down from layer
to layer, and carry the errors of which a unit makes the traces of its mirrored synapses: one exchange up, one down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, SlotSpec, above, carried, carried_beside, inputs, step, td_error, trace_mask
from teamnet.errors import SpecError
from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import fill, flat
from teamnet.operations.adam import ascend, count_update
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.rule import TRACES, Array, PrivateArray, Unit, operation
from teamnet.rules.traces import TraceRule


class _Published(NamedTuple):
    """Published values of a task (the official code's configuration files).

    Args:
        actor, critic: learning rates at the start.
        final: factor of the actor's rates at the end, and of those of the critic's first layer.
        steps: over which they are annealed.
        trace_lambda: of the critic, and of the actor where it has traces.
        episodes: of a run.
        temperature: of the output.
    """

    actor: tuple[float, ...]
    critic: tuple[float, ...]
    final: tuple[float, float]
    steps: int
    trace_lambda: float
    episodes: int
    temperature: float = 1.0


_PUBLISHED = {
    "cartpole": _Published((2e-2, 2e-4, 2e-5), (4e-2, 4e-5, 4e-6), (0.01, 0.1), 50_000, 0.8, 1000),
    "acrobot": _Published((0.1, 1e-3, 1e-4), (1e-2, 1e-5, 1e-6), (0.1, 1.0), 1_000_000, 0.8, 1000),
    "lunarlander": _Published((8e-2, 8e-4, 8e-5), (2e-2, 2e-5, 2e-6), (1.0, 1.0), 0, 0.9, 3000, 2.0),
}
_MULTIPLEXER = (1e-2, 1e-3, 1e-4)


def _preset(spec: Any, *, traces: bool) -> Any:
    """Hidden units of the actor are Bernoulli; the critic is deterministic and learns by backpropagation."""
    spec = replace(spec, rule=WeightMaximisation(), layers=("actor.hidden:units=bernoulli",))
    actor, critic = spec.actor, spec.critic
    if actor is None:
        return spec
    if critic is None:
        actor = replace(actor, rates=_MULTIPLEXER, final_rates=_MULTIPLEXER)
        return replace(spec, actor=actor, address_bits=4, num_envs=1, env_steps=800_000)
    values = _PUBLISHED.get(spec.task, _PUBLISHED["cartpole"])
    first, *others = values.critic
    return replace(
        spec, episodes=values.episodes if spec.task in _PUBLISHED else spec.episodes, anneal_steps=values.steps,
        actor=replace(
            actor, rates=values.actor, final_rates=tuple(values.final[0] * rate for rate in values.actor),
            temperature=values.temperature, trace_lambda=values.trace_lambda if traces else 0.0,
        ),
        critic=replace(
            critic, rule=Backpropagation(), exploration=0.0, variances=(1.0,) * 3, rates=values.critic,
            final_rates=(values.final[1] * first, *others), trace_lambda=values.trace_lambda,
        ),
    )


class WeightMaximisation(TraceRule):
    """Weight maximisation, for the team that acts; hidden units are Bernoulli.

    Args:
        early_reward: compute the rewards that are sent down from the weights before their update, so that no layer
            waits for the update of another (not as published).
    """

    name = "weight-max"
    hidden_types = ("bernoulli",)
    policy_type = "reference"
    uses_mirrors = True
    presets: ClassVar = MappingProxyType({
        "weight-max": partial(_preset, traces=False), "weight-max-traces": partial(_preset, traces=True),
    })

    early_reward: bool = False

    private: ClassVar = MappingProxyType({
        "reward": PrivateArray(("rows", "size"), kept=True), "trace": TRACES,
    })

    def check(self, run: Any, *, single_step: bool) -> None:
        """See :meth:`teamnet.rules.rule.Rule.check`."""
        if run.actor is None:
            raise SpecError(
                "rule", expected="a task in which a team acts", found=run.task,
                remedy="Use another rule, such as backprop: weight maximisation trains no critic.",
            )

    @property
    def adam_epsilon(self) -> float:
        """See :attr:`teamnet.rules.rule.Rule.adam_epsilon`; as in the official code."""
        return 1e-8

    def slots(self, layer: LayerSpec) -> list[SlotSpec]:
        """Rewards, which carry the errors and the trace mask."""
        if layer.gated:
            raise SpecError(
                "critic.rule", expected="a rule that can train a critic", found=self.name,
                remedy="Use --critic.rule backprop, as the presets do.",
            )
        if layer.is_first:
            return []
        errors = SlotSpec("error", exact=layer.single_step, carried_by="reward")  # traced there before they are sent
        return [SlotSpec("reward", carries=(trace_mask.slot,)), errors]

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        """In tasks of many steps the TD error is about the action before, so that units learn before they trace."""
        reward, errors, mask, down = td_error, None, trace_mask, [] if layer.is_first else ["reward"]
        if from_above := above(layer, "reward"):
            reward, errors, mask = from_above, carried_beside("error", from_above), carried(trace_mask, from_above)
        yield step("act", [inputs(layer)], ["activation"])
        yield step("find_error")
        trace = step("trace", [inputs(layer), errors, None, mask])
        if layer.single_step:
            yield trace
        yield step("hear" if layer.is_last else "credit", [reward], down)
        yield step("learn", [None if layer.is_last else reward])
        if not layer.single_step:
            yield trace

    @operation
    def hear(unit: Unit, td_error: Array) -> None:
        """``R_L``: the TD error."""
        for row in range(unit.rows):
            for j in range(unit.size):
                unit.reward[row, j] = td_error[row, 0]

    @operation
    def credit(unit: Unit, above: Array) -> None:
        """``R_{l,i} = 2 sum_j w_ij g_ij``, with the weights above that are just updated."""
        if not unit.early_reward:
            _learn_mirrors(unit, above)
        _find_reward(unit, above)

    @operation
    def learn(unit: Unit, above: Array) -> None:
        """``W_l += rate * Adam(mean over rows of z_l R_l)``."""
        if unit.early_reward and above.size > 0:
            _learn_mirrors(unit, above)
        if unit.step > 0 or unit.single_step:
            if unit.last_layer:
                count_update(unit)
            _learn(unit, unit.incoming)
            _learn(unit, unit.biases)


@kernel
def _learn_mirrors(unit: Unit, above: Array) -> None:
    """The synapses that leave the unit get the update that the layer above gives them."""
    compiled_once()
    if unit.step > 0 or unit.single_step:
        count_update(unit)
        gradient, trace = unit.outgoing.gradient, unit.outgoing.trace
        fill(flat(gradient), 0.0)
        for row in range(unit.rows):
            for j in range(unit.fan_out):
                for i in range(unit.size):
                    gradient[j, i] += trace[row, j, i] * above[row, j]
        _divide(gradient, unit.rows)
        ascend(unit, unit.outgoing)


@kernel
def _find_reward(unit: Unit, above: Array) -> None:
    """The reward of each neuron, from the reward ``(rows, fan_out)`` of the neurons above."""
    compiled_once()
    reward, weights, trace = unit.reward, unit.outgoing.value, unit.outgoing.trace
    fill(flat(reward), 0.0)
    for row in range(unit.rows):
        for j in range(unit.fan_out):
            for i in range(unit.size):
                reward[row, i] += 2.0 * weights[j, i] * (trace[row, j, i] * above[row, j])


@kernel
def _learn(unit: Unit, synapses: Unit) -> None:
    """One update of a group of synapses that lead to the unit."""
    compiled_once()
    gradient, trace, reward = synapses.gradient, synapses.trace, unit.reward
    fill(flat(gradient), 0.0)
    for row in range(unit.rows):
        for i in range(gradient.shape[0]):
            for j in range(gradient.shape[1]):
                gradient[i, j] += trace[row, i, j] * reward[row, j]
    _divide(gradient, unit.rows)
    ascend(unit, synapses)


@kernel
def _divide(gradient: Array, rows: int) -> None:
    g = flat(gradient)
    for k in range(g.size):
        g[k] /= rows
