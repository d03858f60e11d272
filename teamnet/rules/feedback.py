"""How errors come down to a hidden unit: ``f_l = e_{l+1} W_{l+1}^T``, and what stands for ``W_{l+1}^T``.

mirror         a copy of the outgoing synapses that gets the same updates: equal to the weights above, bit for bit
kolen-pollack  the same with other initial values, which weight decay brings together (Kolen and Pollack, 1994)
random         fixed random weights (Lillicrap et al., 2016)
recomputed     a mirror as well; the unit below computes the errors above itself (teamnet.rules.recomputed)
backprojected  the unit above publishes the products ``e_{l+1} W_{l+1}^T`` itself, so that no layer mirrors weights
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, SlotSpec, Target, above, carried, step, td_error, top, trace_mask
from teamnet.dataflow.slots import Key, Read
from teamnet.errors import SpecError
from teamnet.kernels.arithmetic import add_products
from teamnet.kernels.calls import compiled_once
from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import copy, fill, flat, transpose
from teamnet.rules.rule import PER_NEURON, Array, PrivateArray, Unit, operation
from teamnet.rules.traces import TraceRule
from teamnet.values import check_number


@kernel
def feed_back(unit: Unit, above: Array, feedback: Array) -> None:
    """``f_l = e_{l+1} W_{l+1}^T`` of errors above, or the products that the unit above has published."""
    compiled_once()
    if unit.mirrors:
        fill(flat(feedback), 0.0)
        add_products(feedback, above, unit.outgoing.value)
    else:
        copy(flat(above), flat(feedback))


@kernel
def backproject(unit: Unit, error: Array, products: Array) -> None:
    """``e_l W_l^T (rows, fan_in)``: the feedback of the layer below, which then need not know ``W_l``."""
    transpose(unit.incoming.value, unit.transposed)
    fill(flat(products), 0.0)
    add_products(products, error, unit.transposed)


class ErrorsDown(TraceRule):
    """A rule in which errors go down through the layers.

    Args:
        feedback: the weights that errors are sent down through: mirror (a copy of the weights above that gets the same
            updates), kolen-pollack (the same with initial values of its own, which weight decay brings together),
            random (fixed weights), backprojected (the unit above sends the products of its errors and its own
            weights, so that there are no copies; whole layers only) or recomputed (a copy as well, with which the unit
            below computes the errors above from the activations above, so that a settle step of jacobi is one
            exchange; map and whole layers only).
        weight_decay: the share of every weight between two layers that each update removes.
        td_error: how the TD error and a critic's gate reach the units: broadcast (the coordinator and the output send
            them to every unit) or passed-down (the coordinator sends the TD error to the output units, and each layer
            to the one below, with its errors; for sweeps and descents). Changes no bit.
    """

    feedback: Literal["mirror", "kolen-pollack", "random", "backprojected", "recomputed"] = "mirror"
    weight_decay: float = 0.0
    td_error: Literal["broadcast", "passed-down"] = "broadcast"

    private: ClassVar = MappingProxyType({
        "feedback_sum": PER_NEURON, "products": PrivateArray(("rows", "fan_in")),
        "transposed": PrivateArray(("size", "fan_in")),
    })

    def check(self, run: Any, *, single_step: bool) -> None:
        """See :meth:`teamnet.rules.rule.Rule.check`."""
        super().check(run, single_step=single_step)
        if self.feedback == "kolen-pollack":
            remedy = "Weight decay is what brings both ends of a synapse together; try 1e-4."
            check_number("weight_decay", self.weight_decay, "between 0 and 1", 0 < self.weight_decay < 1, remedy)
        else:
            right = 0 <= self.weight_decay < 1
            check_number("weight_decay", self.weight_decay, "0 or more and below 1", right, "Use 0 for none.")
        if self.recomputes and not self.can_recompute:
            raise SpecError(
                "feedback", expected="recomputed only for map, with settle steps of jacobi that all exchange",
                found="another rule or schedule, no settle step, or --exchange-every",
                remedy="Use --feedback mirror, which has the same results.",
            )
        if self.recomputes and run.mask_actions:
            raise SpecError(
                "feedback", expected="another one with mask_actions", found="recomputed",
                remedy="Use --feedback mirror: the layer below does not know which actions are valid.",
            )
        threshold = run.messages.send_threshold
        if self.backprojects and threshold:
            raise SpecError(
                "send_threshold", expected="0 with --feedback backprojected", found=str(threshold),
                remedy="Leave it out: products that are sent down have no threshold.",
            )
        if self.td_error == "passed-down" and (single_step or threshold or not self.can_pass_down):
            raise SpecError(
                "td_error", expected="broadcast with this rule and task", found=self.td_error,
                remedy="It comes down with the first errors of sweeps or descents of all teams, which must be sent in "
                "every step (no --send-threshold), in tasks of many steps.",
            )

    @property
    def can_pass_down(self) -> bool:
        """Whether the output publishes its first errors before it learns."""
        return False

    @property
    def can_recompute(self) -> bool:
        """Whether the rule has steps in which errors above are computed below."""
        return False

    @property
    def recomputes(self) -> bool:
        """Whether units compute the errors of the layer above."""
        return self.feedback == "recomputed"

    @operation
    def send(unit: Unit) -> None:
        """Nothing but to publish what an earlier step has found."""

    @operation
    def backproject(unit: Unit) -> None:
        """Find the products that are published."""
        backproject(unit, unit.error, unit.products)

    @property
    def backprojects(self) -> bool:
        """Whether units publish products instead of errors."""
        return self.feedback == "backprojected"

    @property
    def allows_skips(self) -> bool:
        """See :attr:`teamnet.rules.rule.Rule.allows_skips`; products of several layers above are not added."""
        return not self.backprojects

    @property
    def whole_layers(self) -> bool:
        """See :attr:`teamnet.rules.rule.Rule.whole_layers`; products of parts of a layer are not added."""
        return self.backprojects

    @property
    def decay_of_weights(self) -> float:
        """See :attr:`teamnet.rules.rule.Rule.decay_of_weights`."""
        return self.weight_decay

    @property
    def outgoing(self) -> str:
        """See :attr:`teamnet.rules.rule.Rule.outgoing`."""
        return {"kolen-pollack": "own", "random": "fixed"}.get(self.feedback, "mirror")

    def mirrors(self, layer: LayerSpec) -> bool:
        """Whether a unit keeps a copy of the synapses that leave it."""
        return not layer.is_last and not self.backprojects

    @property
    def down(self) -> str:
        """The kind of the slot that goes down."""
        return "products" if self.backprojects else "error"

    def passes_down(self, layer: LayerSpec) -> bool:
        """Whether the layer receives the TD error and the gate from the layer above."""
        return self.td_error == "passed-down" and not layer.is_last

    def slots(self, layer: LayerSpec) -> list[SlotSpec]:
        """The errors, or their products with the weights; and what is passed down with them."""
        found = super().slots(layer)
        if layer.is_first:
            return found
        carries: tuple[Key, ...] = ()
        if self.td_error == "passed-down":
            carries = td_error.slot, trace_mask.slot, *([top(layer, "gate").slot] if layer.gated else [])
        scale = 0.0 if self.backprojects else 1.0 / layer.deviation
        size = layer.fan_in if self.backprojects else None
        return [*found, SlotSpec(self.down, size, "error", scale=scale, carries=carries)]

    def from_above(self, layer: LayerSpec, number: int) -> Read | None:
        """The errors of the layer above, or their products with its weights."""
        return above(layer, self.down, number)

    def publish_error(
        self, operation: str, reads: Sequence[Read | None] = (), *, down: bool = True, later: bool = False
    ) -> Iterator[Draft]:
        """An operation that finds the error, which goes ``down`` or not.

        Args:
            operation: its name.
            reads: what it needs.
            down: whether it is published.
            later: whether that is done by :meth:`send_error`, because what goes along is not there yet.
        """
        yield step(operation, reads, [Target("error", publishes=not later)] if down and not self.backprojects else [])
        if down and self.backprojects and not later:
            yield step("backproject", (), ["products"])

    def send_error(self, more: Sequence[str] = (), operation: str = "send") -> Iterator[Draft]:
        """Publish the error that an earlier step has found; ``operation`` finds ``more`` that goes along with it."""
        if self.backprojects:
            yield step(operation, (), more)
            yield step("backproject", (), ["products"])
        else:
            yield step(operation, (), [*more, Target("error", puts=False)])

    def error_then_learn(
        self, layer: LayerSpec, operation: str, reads: Sequence[Read | None] = (), *, down: bool, later: bool = False
    ) -> Iterator[Draft]:
        """Find the error and learn.

        Errors that carry the TD error wait for it, and products are sent once the synapses have learned, as mirrors
        have learned by then.
        """
        late = down and not layer.single_step and (self.backprojects or self.td_error == "passed-down")
        yield from self.publish_error(operation, reads, down=down, later=late or later)
        yield from self.learn_down(layer)
        if late and not later:
            yield from self.send_error()

    def learn_down(self, layer: LayerSpec) -> Iterator[Draft]:
        """Learning from the TD error, wherever it comes from."""
        first = self.from_above(layer, 0)
        yield from self.learn_step(layer, carried(td_error, first) if first and self.passes_down(layer) else td_error)

    def trace_down(self, layer: LayerSpec, below: int, last: int) -> Iterator[Draft]:
        """The end of a step: traces of the last activations below and of the last errors above.

        Args:
            layer: whose units.
            below: the publication of the activations below.
            last: the publication of the errors above, for units that mirror synapses.
        """
        mask, gate, errors = trace_mask, None, self.from_above(layer, last)
        if errors and self.passes_down(layer):
            mask = carried(trace_mask, errors)
            gate = carried(top(layer, "gate"), errors) if layer.gated else None
        yield from self.end_of_step(layer, below, errors if self.mirrors(layer) else None, gate, mask=mask)
