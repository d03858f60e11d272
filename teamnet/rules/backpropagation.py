"""Backpropagation, for comparison: output units learn by REINFORCE, hidden units by the chain rule.

    act      H_1 .. H_L upwards; hidden units take their mean, or sample H_l = m_l + sqrt(v_l) noise (reparametrization)
    chain    e_l = f'(p_l) (e_{l+1} W_{l+1}^T) downwards
    learn    W_l += rate * Adam(delta z_l)
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l

The same messages as those of MAP propagation, but one exchange up and one down; the errors are no longer those of a
unit's own policy. With entropy regularisation a second channel of errors carries the gradient of the policy's entropy,
``d entropy / d p_j = -m_j (p_j - sum_k m_k p_k) / T^2`` at the output, whose products with the activations are added to
the gradient of the return.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, SlotSpec, carried_beside, inputs, step
from teamnet.dataflow.slots import Read
from teamnet.errors import SpecError
from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat
from teamnet.kernels.unit_types import CATEGORICAL
from teamnet.operations.acting import find_error
from teamnet.operations.chain import chain
from teamnet.operations.learning import ascend_all, correlate, find_batch_gradients, find_gradients, learn
from teamnet.rules.feedback import ErrorsDown, backproject, feed_back
from teamnet.rules.rule import PER_NEURON, PER_SYNAPSE, Array, PrivateArray, Unit, operation
from teamnet.values import check_number


class Backpropagation(ErrorsDown):
    """Backpropagation through the team.

    Args:
        entropy: weight of the policy's entropy beside its return; of teams with a categorical output.
    """

    name = "backprop"
    presets: ClassVar = MappingProxyType({
        name: lambda spec: replace(spec, rule=Backpropagation(), exploration=0.0),
    })

    entropy: float = 0.0

    private: ClassVar = MappingProxyType({
        "entropy_error": PER_NEURON, "entropy_products": PrivateArray(("rows", "fan_in")), "bonus": PER_SYNAPSE,
    })

    def check(self, run: Any, *, single_step: bool) -> None:
        """See :meth:`teamnet.rules.rule.Rule.check`."""
        super().check(run, single_step=single_step)
        check_number("entropy", self.entropy, "0 or more", self.entropy >= 0, "Use 0 for no regularisation.")
        if self.entropy and self.policy_type != "categorical":
            raise SpecError(
                "entropy", expected="0 with this rule's policy", found=f"{self.entropy} with {self.policy_type}",
                remedy="Use 0: only the entropy of a categorical policy is known.",
            )

    def in_team(self, *, policy: bool) -> Backpropagation:
        """See :meth:`teamnet.rules.rule.Rule.in_team`; only a categorical policy has an entropy here."""
        return self if policy else replace(self, entropy=0.0)

    def state(self) -> Mapping[str, PrivateArray]:
        """See :meth:`teamnet.rules.rule.Rule.state`; without entropy there is no bonus."""
        return {name: array for name, array in super().state().items() if name != "bonus" or self.entropy}

    def slots(self, layer: LayerSpec) -> list[SlotSpec]:
        """The errors have a second channel for the entropy's gradient."""
        found = super().slots(layer)
        if self.entropy and not layer.is_first:
            size = layer.fan_in if self.backprojects else None
            found.append(SlotSpec(f"entropy_{self.down}", size, "error", exact=True, carried_by=self.down))
        return found

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        """The errors go down before anything is learned, so that they are the gradient at which the team acted."""
        errors = self.from_above(layer, 0)
        reads = [] if layer.is_last else [errors]
        yield step("act", [inputs(layer)], ["activation"])
        if self.entropy:
            yield from self._with_entropy(layer, [*reads, *self._second(errors)])
        else:
            yield from self.publish_error("find_error" if layer.is_last else "chain", reads, down=not layer.is_first)
        if layer.is_last and layer.gated:
            yield step("find_gate", (), ["gate"])
        yield from self.learn_down(layer)
        if self.entropy:
            second = self._second(errors) if self.mirrors(layer) else []
            yield step("find_bonus", [inputs(layer), *(second or [None])])
        yield from self.trace_down(layer, below=0, last=0)

    def _second(self, errors: Read | None) -> list[Read | None]:
        """The second channel of the errors above."""
        return [carried_beside(f"entropy_{self.down}", errors)] if errors else []

    def _with_entropy(self, layer: LayerSpec, reads: list[Read | None]) -> Iterator[Draft]:
        writes = [] if layer.is_first else [self.down]  # and with it the second channel
        operation = "find_both_errors" if layer.is_last else "chain_both"
        yield step(operation, reads, [] if self.backprojects else writes)
        if self.backprojects and writes:
            yield step("backproject_both", (), writes)

    @operation
    def chain(unit: Unit, above: Array) -> None:
        """``e_l = f'(p_l) (e_{l+1} W_{l+1}^T)``."""
        feed_back(unit, above, unit.feedback_sum)
        chain(unit.derivative, unit.feedback_sum, unit.error)

    @operation
    def chain_both(unit: Unit, above: Array, second: Array) -> None:
        """The same for both channels."""
        feed_back(unit, above, unit.feedback_sum)
        chain(unit.derivative, unit.feedback_sum, unit.error)
        feed_back(unit, second, unit.feedback_sum)
        chain(unit.derivative, unit.feedback_sum, unit.entropy_error)

    @operation
    def find_both_errors(unit: Unit) -> None:
        """The score of the output's policy, and the gradient of that policy's entropy."""
        find_error(unit)
        if unit.family == CATEGORICAL:
            p, m, e, precision = unit.preactivation, unit.mean, unit.entropy_error, unit.temperature * unit.temperature
            first = 0
            while first < unit.size:  # agent after agent
                end = int(unit.ends[0, first])
                for row in range(unit.rows):
                    average = 0.0
                    for j in range(first, end):
                        average += m[row, j] * p[row, j]
                    for j in range(first, end):
                        e[row, j] = -m[row, j] * (p[row, j] - average) / precision
                first = end

    @operation
    def backproject_both(unit: Unit) -> None:
        """Find the products of both channels."""
        backproject(unit, unit.error, unit.products)
        backproject(unit, unit.entropy_error, unit.entropy_products)

    @operation
    def find_bonus(unit: Unit, inputs: Array, second: Array) -> None:
        """``h^T s`` averaged over rows: the gradient of the policy's entropy, of all groups of synapses."""
        _average(inputs, unit.entropy_error, unit.incoming.bonus)
        _average(unit.ones, unit.entropy_error, unit.biases.bonus)
        if unit.mirrors:
            _average(second, unit.activation, unit.outgoing.bonus)

    @operation
    def learn(unit: Unit, signal: Array) -> None:
        """See :func:`teamnet.operations.learning.learn`; with the gradient of the entropy."""
        if unit.entropy == 0.0:
            learn(unit, signal)
        elif unit.step > 0:
            find_gradients(unit, signal)
            _add_bonuses(unit)
            ascend_all(unit)

    @operation
    def learn_at_once(unit: Unit, inputs: Array, above: Array, gate: Array, signal: Array) -> None:
        """See :func:`teamnet.operations.learning.learn_at_once`; with the gradient of the entropy."""
        find_batch_gradients(unit, inputs, above, gate, signal)
        _add_bonuses(unit)
        ascend_all(unit)


@kernel
def _average(below: Array, error: Array, bonus: Array) -> None:
    correlate(below, error, bonus)
    b = flat(bonus)
    for k in range(b.size):
        b[k] /= below.shape[0]


@kernel
def _add_bonuses(unit: Unit) -> None:
    """Add the weighted gradient of the entropy to that of the return, of all groups of synapses."""
    if unit.entropy > 0.0:
        _add_bonus(unit, unit.incoming)
        _add_bonus(unit, unit.biases)
        if unit.mirrors:
            _add_bonus(unit, unit.outgoing)


@kernel
def _add_bonus(unit: Unit, synapses: Unit) -> None:
    g, b = flat(synapses.gradient), flat(synapses.bonus)
    for k in range(g.size):
        g[k] += unit.entropy * b[k]
