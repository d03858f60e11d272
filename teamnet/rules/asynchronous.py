"""Asynchronous MAP propagation: every unit updates all the time, while the team acts and afterwards.

Chung, arXiv 2010.07893, first version, Algorithm 3, as DEVIATIONS 12 and 13 state it. In every tick, all at once:

    H_l += a v_l ((m_l - H_l) / v_l + e_{l+1} W_{l+1}^T)      hidden units
    H_L ~ Categorical(softmax(p_L / T)) or N(p_L, v_L)        output units while the team acts; then they rest

and once all have settled on the chosen action

    z_l <- gamma lambda z_l + H_{l-1}^T e_l

A critic's output takes its mean while the team acts and samples in the last tick, so that its value estimate does not
follow its own samples. Values and traces start at zero in each episode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, episode_mask, inputs, step, td_error, top
from teamnet.errors import SpecError
from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import copy, fill, flat
from teamnet.operations.acting import predict, sample
from teamnet.operations.learning import accumulate_all, learn, note, part
from teamnet.rules.feedback import ErrorsDown
from teamnet.rules.map_propagation import MOST_STEPS, MapPropagation, check_settling
from teamnet.rules.rule import PER_ROW, Array, PrivateArray, Unit, operation
from teamnet.values import check_count


class AsynchronousMapPropagation(ErrorsDown):
    """Asynchronous MAP propagation, in common ticks or free running.

    Args:
        settle_steps: ticks after the action is chosen.
        acting_steps: ticks in which the output is resampled.
        step_size: of settling, as a share of each layer's variance.
        free_running: no common tick: every actor uses the newest values on the board; not reproducible bit for bit.
    """

    name = "map-async"
    hidden_types = ("gaussian",)
    in_all_teams = True
    presets: ClassVar = MappingProxyType({name: lambda spec: replace(spec, rule=AsynchronousMapPropagation())})

    settle_steps: int = 20
    acting_steps: int = 20
    step_size: float = 0.5
    free_running: bool = False

    private: ClassVar = MappingProxyType({
        "noted_inputs": PrivateArray(("rows", "fan_in")), "noted_above": PrivateArray(("rows", "fan_out")),
        "noted_gate": PER_ROW,
    })
    settle = MapPropagation.settle
    refresh = MapPropagation.refresh

    def check(self, run: Any, *, single_step: bool) -> None:
        """See :meth:`teamnet.rules.rule.Rule.check`."""
        super().check(run, single_step=single_step)
        check_settling(self)
        check_count("settle_steps", self.settle_steps, 0, MOST_STEPS)
        check_count("acting_steps", self.acting_steps, 1, MOST_STEPS)
        if single_step:
            raise SpecError(
                "rule", expected="another rule for a task of one step", found=repr(self.name),
                remedy=f"Use --rule {MapPropagation.name}: asynchronous MAP propagation carries its values from step "
                "to step.",
            )

    def slowed(self) -> AsynchronousMapPropagation:
        """See :meth:`teamnet.rules.rule.Rule.slowed`."""
        return replace(self, step_size=self.step_size / 2)

    @property
    def runs_free(self) -> bool:
        """See :attr:`teamnet.rules.rule.Rule.runs_free`."""
        return self.free_running

    def draws(self, layer: LayerSpec) -> int:
        """Only outputs sample; a critic once, in the last tick of acting."""
        if not layer.is_last:
            return 0
        return 1 if layer.gated else self.acting_steps

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        """``acting_steps`` ticks in which the output is resampled, then ``settle_steps`` ticks with the action kept.

        The inputs of the first layer do not change meanwhile, so that its mean changes only when it learns.
        """
        acting, last = self.acting_steps, self.acting_steps + self.settle_steps
        first, last_layer = layer.is_first, layer.is_last
        yield step("begin", [inputs(layer), episode_mask], ["activation"])
        if not first:
            yield from self.publish_error("find_error")
        for k in range(1, last + 1):
            down = not first and not (self.backprojects and k == last)  # the last one is for mirrored synapses
            if not last_layer:
                yield step("settle", [self.from_above(layer, k - 1)], ["activation"])
            elif k <= acting:
                expects = layer.gated and k < acting
                yield step("expect" if expects else "resample", [inputs(layer, k)], ["activation"])
            if not last_layer and first:
                if k == acting + 1:
                    yield step("predict", [inputs(layer)])
                elif k == acting:
                    yield from self.learn_down(layer)
                continue
            operation, reads = ("find_error", []) if last_layer and k <= acting else ("refresh", [inputs(layer, k)])
            if k == acting:
                yield from self.error_then_learn(layer, operation, reads, down=down)
            else:
                yield from self.publish_error(operation, reads, down=down)
        if first and not last_layer:
            yield step("find_error")
        if layer.gated and last_layer:
            yield step("find_gate", (), ["gate"])
        yield from self.trace_down(layer, below=last, last=last)

    def free_steps(self, layer: LayerSpec) -> list[Draft]:
        """The same without a common tick: each unit at its own speed, with the newest values of its neighbours.

        Numbers of observations count from 1, and the episode mask holds for each row that with which its episode began:
        a unit that misses observations still learns that an episode has begun.
        """
        below, above = inputs(layer), self.from_above(layer, 0)
        expects = layer.is_last and layer.gated
        down = [] if layer.is_first else [self.down]
        gate = top(layer, "gate") if layer.gated else None
        return [
            step("observe", [below, episode_mask], ["activation"]),
            step("find_error"),
            step("backproject" if self.backprojects and down else "send", (), down),
            step("learn_late", [td_error, episode_mask]),
            step("expect" if expects else "resample", [below], ["activation"]) if layer.is_last else step("send"),
            step("resample", [below], ["activation"]) if layer.is_last else step("send"),
            step("send") if layer.is_last else step("settle", [above], ["activation"]),
            step("predict", [below]),
            step("find_gate", (), ["gate"]) if expects else step("send"),
            step("note", [below, above if self.mirrors(layer) else None, gate]),
            step("accumulate_noted"),
        ]

    @operation
    def observe(unit: Unit, inputs: Array, begun: Array) -> None:
        """A new observation; where an episode has begun since the last one, values start at zero."""
        for row in range(unit.rows):
            if begun[row, 0] > unit.seen:
                forget(unit, row)
        predict(unit, inputs)

    @operation
    def learn_late(unit: Unit, signal: Array, begun: Array) -> None:
        """Learn from the newest TD error; traces decay by all observations since the last time, or start anew.

        They do so when something is next added to them, and what they owe until then is remembered.
        """
        learn(unit, signal)
        kept, newest = 1.0, unit.step + 1
        for _ in range(newest - unit.learned):
            kept *= unit.trace_decay
        for row in range(unit.rows):
            unit.decay[row] *= 0.0 if begun[row, 0] > unit.learned else kept
        unit.learned = newest

    @operation
    def note(unit: Unit, inputs: Array, above: Array, gate: Array) -> None:
        """Copy what neighbours publish now: when the unit updates its trace, they may be in the next step."""
        note(inputs, unit.noted_inputs)
        note(above, unit.noted_above)
        note(gate, unit.noted_gate)
        unit.noted = unit.step + 1

    @operation
    def accumulate_noted(unit: Unit) -> None:
        """The trace of what was noted; the decay of all observations since the last time is owed."""
        gate = part(unit.noted_gate, 0, unit.rows if unit.gated else 0)
        accumulate_all(unit, unit.noted_inputs, unit.noted_above, gate)
        fill(unit.decay, 1.0)

    @operation
    def begin(unit: Unit, inputs: Array, episode_mask: Array) -> None:
        """Predict from a new observation; where an episode has just begun, values start at zero."""
        for row in range(unit.rows):
            if episode_mask[row, 0] == 0.0:
                forget(unit, row)
        predict(unit, inputs)

    @operation
    def expect(unit: Unit, inputs: Array) -> None:
        """A critic's output takes its mean."""
        predict(unit, inputs)
        copy(flat(unit.mean), flat(unit.activation))

    @operation
    def resample(unit: Unit, inputs: Array) -> None:
        """An output acts once more."""
        predict(unit, inputs)
        sample(unit)


@kernel
def forget(unit: Unit, row: int) -> None:
    """Set the values of a row to zero."""
    for j in range(unit.size):
        unit.activation[row, j] = 0.0
