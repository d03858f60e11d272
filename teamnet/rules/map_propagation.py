"""MAP propagation (Chung, arXiv 2010.07893): hidden units settle at their most probable values before they learn.

    act      H_1 .. H_L upwards
    learn    W_l += rate * Adam(delta z_l)
    settle   towards the maximum of log p(H_1 .. H_{L-1} | H_0, H_L)
    trace    z_l <- gamma lambda z_l + H_{l-1}^T e_l        e_l = (H_l - m_l) f'(p_l) / v_l

As published (``jacobi``) all hidden layers settle at once, N times, after which each computes its mean and error again:

    H_l += a v_l ((m_l - H_l) / v_l + f_l)                  f_l = e_{l+1} W_{l+1}^T

By ``sweeps`` errors go down, then means up, N times:

    f_l = e_{l+1} W_{l+1}^T,  e_l = f'(p_l) f_l             downwards
    m_l anew,                 H_l = m_l + v_l f_l           upwards

Where a sweep changes nothing any more, ``(m_l - H_l) / v_l + f_l = 0``: the activations are the most probable ones, as
after very many settle steps. One sweep alone equals backpropagation. The last pass upwards changes no error, only
the activations that the trace is made of; ``descents`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import Draft, inputs, step
from teamnet.errors import SpecError
from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import flat
from teamnet.operations.acting import find_error, predict
from teamnet.operations.chain import chain
from teamnet.operations.secant import solve
from teamnet.rules.feedback import feed_back
from teamnet.rules.recomputed import RecomputedErrors, find_error_above
from teamnet.rules.rule import PER_NEURON, Array, Unit, operation
from teamnet.values import check_count, check_number

_LUNARLANDER = {"anneal_steps": 600_000, "discount": 0.99}
"""A longer horizon: landing pays a hundred steps after one has learned not to crash."""
_FACTORS = {
    "cartpole": ((1.5, 1.5, 1.5), (1.5, 1.5, 1.5)),
    "acrobot": ((1.0, 5.0, 20.0), (1.0, 5.0, 20.0)),  # else some runs give up an action
    "lunarlander": ((2.0, 2.0, 2.0), (0.2, 0.2, 0.2)),
}
"""Factors of the published rates, layer by layer, at the start and at the end."""
_TRACE_LAMBDA = {"acrobot": 0.9, "mountaincar": 0.9}
"""Instead of the published 0.97: rewards there come at the end of an episode, and longer traces only add noise."""
_OBSERVATION_SCALE = {"cartpole": (1.0, 1.0, 3.0, 1.0), "mountaincar": (1.0, 30.0)}
"""An update changes units in proportion to their inputs: what is small, an angle or a velocity, is learned late."""


def _tuned(spec: Any, schedule: Literal["sweeps", "descents"]) -> Any:
    """Two sweeps or descents, rates that suit them, and shorter traces."""
    start, end = _FACTORS.get(spec.task, ((1.0, 1.0, 1.0),) * 2)

    def rescale(team: Any) -> Any:
        if team is None:
            return None
        rates = tuple(factor * rate for factor, rate in zip(start, team.rates, strict=True))
        final_rates = tuple(factor * rate for factor, rate in zip(end, team.final_rates, strict=True))
        trace_lambda = _TRACE_LAMBDA.get(spec.task, team.trace_lambda)
        return replace(team, rates=rates, final_rates=final_rates, trace_lambda=trace_lambda)

    rule = MapPropagation(schedule=schedule, settle_steps=2)
    spec = replace(spec, rule=rule, actor=rescale(spec.actor), critic=rescale(spec.critic))
    return replace(spec, **_LUNARLANDER) if spec.task == "lunarlander" else spec


def _scaled(spec: Any) -> Any:
    """``tuned``, with observations whose numbers are all of about the same size."""
    return replace(_tuned(spec, "sweeps"), observation_scale=_OBSERVATION_SCALE.get(spec.task, ()))


MOST_STEPS = 100_000
"""Settle steps in one environment step."""


class MapPropagation(RecomputedErrors):
    """MAP propagation with its schedules; without settle steps ``jacobi`` is REINFORCE.

    Args:
        schedule: how hidden units settle: jacobi (all layers at once, as published), sweeps (errors downwards, means
            upwards) or descents (the same without the last pass upwards).
        settle_steps: settle steps or sweeps in one environment step.
        step_size: of settling, as a share of each layer's variance.
        exchange_every: settle steps between two exchanges with the neighbours, for jacobi; in between, units settle
            towards the values that those sent last.
    """

    name = "map"
    hidden_types = ("gaussian",)
    presets: ClassVar = MappingProxyType({
        "map": replace, "tuned": partial(_tuned, schedule="sweeps"), "scaled": _scaled,
        "frugal": partial(_tuned, schedule="descents"),
    })

    schedule: Literal["jacobi", "sweeps", "descents"] = "jacobi"
    settle_steps: int = 20
    step_size: float = 0.5
    exchange_every: int = 1

    private: ClassVar = MappingProxyType({"residual": PER_NEURON, "moved": PER_NEURON})

    def check(self, run: Any, *, single_step: bool) -> None:
        """See :meth:`teamnet.rules.rule.Rule.check`."""
        super().check(run, single_step=single_step)
        check_settling(self)
        check_count("settle_steps", self.settle_steps, 1 if self.can_pass_down else 0, MOST_STEPS)
        check_count("exchange_every", self.exchange_every, 1, MOST_STEPS)
        if self.exchange_every != 1 and self.schedule != "jacobi":
            raise SpecError(
                "exchange_every", expected="1 with this schedule", found=str(self.exchange_every),
                remedy="Use --schedule jacobi: no other settles between exchanges.",
            )

    def slowed(self) -> MapPropagation:
        """See :meth:`teamnet.rules.rule.Rule.slowed`."""
        return replace(self, step_size=self.step_size / 2)

    @property
    def can_pass_down(self) -> bool:
        """See :attr:`teamnet.rules.feedback.ErrorsDown.can_pass_down`."""
        return self.schedule != "jacobi"

    @property
    def can_recompute(self) -> bool:
        """See :attr:`teamnet.rules.recomputed.RecomputedErrors.can_recompute`."""
        return self.schedule == "jacobi" and self.settle_steps > 0 and self.exchange_every == 1

    def steps(self, layer: LayerSpec) -> Iterator[Draft]:
        """What the units do in an environment step."""
        if self.recomputes:
            yield from self._settle_alone(layer)
        elif self.schedule == "jacobi":
            yield from self._settle_at_once(layer)
        else:
            yield from self._alternate(layer, ups=self.settle_steps - (self.schedule == "descents"))

    @operation
    def settle(unit: Unit, above: Array) -> None:
        """``H_l += a v_l ((m_l - H_l) / v_l + f_l)``: one ascent of ``log p(H_1 .. H_L)`` in ``H_l``."""
        _settle(unit, above)

    @operation
    def settle_alone(unit: Unit, above: Array, biases: Array) -> None:
        """The same with errors that the unit computes from the activations above."""
        find_error_above(unit, above, biases)
        _settle(unit, unit.error_above)

    @operation
    def refresh(unit: Unit, inputs: Array) -> None:
        """Compute mean and error again."""
        predict(unit, inputs)
        find_error(unit)

    @operation
    def descend(unit: Unit, above: Array) -> None:
        """``e_l = f'(p_l) f_l``: a sweep downwards."""
        feed_back(unit, above, unit.feedback_sum)
        chain(unit.derivative, unit.feedback_sum, unit.error)

    @operation
    def ascend(unit: Unit, inputs: Array) -> None:
        """``H_l = m_l + v_l f_l``: a sweep upwards, where ``(m_l - H_l) / v_l`` and the feedback cancel."""
        predict(unit, inputs)
        h, m, f, v = flat(unit.activation), flat(unit.mean), flat(unit.feedback_sum), unit.variance
        for j in range(h.size):
            h[j] = m[j] + v * f[j]

    @operation
    def solve_first(unit: Unit, inputs: Array) -> None:
        """Update the output's error; that of a Gaussian output by its first secant step."""
        r, d, e = flat(unit.residual), flat(unit.moved), flat(unit.error)
        for j in range(e.size):
            r[j] = e[j]
            d[j] = e[j]
        solve(unit, inputs)

    @operation
    def solve(unit: Unit, inputs: Array) -> None:
        """Update the output's error, by one more secant step if it is Gaussian."""
        solve(unit, inputs)

    @operation
    def find_solved_gate(unit: Unit) -> None:
        """``1 / (v_L e_L)``, which is ``1 / (H_L - m_L)`` where sweeps have found the error; 0 for one rounded to 0."""
        for row in range(unit.rows):
            unit.gate[row, 0] = 1.0 / (unit.variance * unit.error[row, 0]) if unit.error[row, 0] != 0.0 else 0.0

    def _settle_at_once(self, layer: LayerSpec) -> Iterator[Draft]:
        """Settle step ``k`` reads the errors of step ``k - 1``, publishes activations, and then refreshes the errors.

        The inputs of the first layer do not change while the team settles, so its mean is final after the first settle
        step; and as no layer reads its error, its own trace needs only the last one. With ``exchange_every`` above 1 a
        unit publishes and refreshes only once in that many steps, and in the last one; in between it settles towards
        the values that its neighbours published last.
        """
        last, sent = self.settle_steps, 0
        yield step("act", [inputs(layer)], ["activation"])
        down = not layer.is_first and (last > 0 or not self.backprojects)
        if down or last == 0:
            yield from self.error_then_learn(layer, "find_error", down=down)
        else:
            yield from self.learn_down(layer)
        for k in range(1, last + 1):
            exchange = k % self.exchange_every == 0 or k == last
            if not layer.is_last:
                yield step("settle", [self.from_above(layer, sent)], ["activation"] if exchange else [])
            sent += exchange
            if exchange and not layer.is_first:
                read = k < last or not self.backprojects  # the last one is for mirrored synapses
                yield from self.publish_error("refresh", [inputs(layer, sent)], down=read)
            elif layer.is_first and layer.is_last and k == last:
                yield step("refresh", [inputs(layer)])
            elif layer.is_first and not layer.is_last and k == 1:
                yield step("predict", [inputs(layer)])
        if layer.is_first and not layer.is_last and last:
            yield step("find_error")
        if layer.gated and layer.is_last:
            yield step("find_gate", (), ["gate"])
        yield from self.trace_down(layer, below=sent, last=sent)

    def _settle_alone(self, layer: LayerSpec) -> Iterator[Draft]:
        """The same where settle step ``k > 1`` reads the activations above of step ``k - 1`` instead of the errors.

        The first errors are sent, as they are of the weights before the update.
        """
        last = self.settle_steps
        yield step("act", [inputs(layer)], ["activation"])
        yield from self.error_then_learn(layer, "find_error", down=not layer.is_first)
        yield from self.exchange_weights(layer)
        for k in range(1, last + 1):
            if not layer.is_last:
                reads = [self.from_above(layer, 0)] if k == 1 else self.activations_above(layer, k - 1)
                yield step("settle" if k == 1 else "settle_alone", reads, ["activation"])
            if k == last and (layer.is_last or not layer.is_first):
                yield step("refresh", [inputs(layer, k)])
            elif not layer.is_last and (k == 1 or not layer.is_first):
                yield step("predict", [inputs(layer, k)])
        if layer.is_first and not layer.is_last:
            yield step("find_error")
        if layer.gated and layer.is_last:
            yield step("find_gate", (), ["gate"])
        if layer.is_last:
            yield from self.trace_down(layer, below=last, last=0)
        else:
            yield from self.trace_recomputed_errors(layer, last)

    def _alternate(self, layer: LayerSpec, ups: int) -> Iterator[Draft]:
        """``settle_steps`` times down and up; the trace is made of the last activations and the last errors.

        A Gaussian output clamped at ``H_L`` feels ``e_L = (H_L - m_L) / v_L``, and ``m_L`` follows the errors that it
        sent: with a small ``v_L`` plain sweeps overshoot. Its units therefore find the error that is its own answer by
        secant steps. Where the TD error is passed down, it comes with the first errors of a step, and a critic's gate
        with the last.
        """
        last = self.settle_steps
        sends = layer.is_last and not layer.is_first
        with_gate = sends and layer.gated and self.td_error == "passed-down"
        yield step("act", [inputs(layer)], ["activation"])
        if layer.is_last:
            yield from self.error_then_learn(layer, "find_error", down=sends, later=with_gate and last == 1)
        else:
            yield from self.learn_down(layer)
        for k in range(1, last + 1):
            if not layer.is_last:
                yield from self.publish_error("descend", [self.from_above(layer, k - 1)], down=not layer.is_first)
                if k <= ups:
                    yield step("ascend", [inputs(layer, k)], ["activation"])
            elif k < last and sends:
                operation = "solve_first" if k == 1 else "solve"
                yield from self.publish_error(operation, [inputs(layer, k)], later=with_gate and k == last - 1)
        if layer.gated and layer.is_last:
            if with_gate:
                yield from self.send_error(["gate"], "find_solved_gate")
            else:
                yield step("find_solved_gate", (), ["gate"])
        yield from self.trace_down(layer, below=ups, last=last - 1)


def check_settling(rule: Any) -> None:
    """Refuse a step size with which settling diverges."""
    check_number(
        "step_size", rule.step_size, "0 < step_size < 2", 0 < rule.step_size < 2,
        "Use 0.5, as the paper does; from 2 on settling always diverges.",
    )


@kernel
def _settle(unit: Unit, errors: Array) -> None:
    feed_back(unit, errors, unit.feedback_sum)
    h, m, f = flat(unit.activation), flat(unit.mean), flat(unit.feedback_sum)
    precision, step = 1.0 / unit.variance, unit.step_size * unit.variance
    for j in range(h.size):
        h[j] += step * ((m[j] - h[j]) * precision + f[j])
