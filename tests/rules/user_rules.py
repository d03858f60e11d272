"""Rules as users write them, for tests: texts of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from teamnet.dataflow.layers import LayerSpec
from teamnet.rules.loading import find_rule
from teamnet.rules.rule import Rule
from tests.conftest import make_layers

PERTURBATION = '''"""Node perturbation: z <- gamma lambda z + h^T (H - m) / v, W += rate * Adam(mean of delta z)."""
from teamnet.operations.acting import act
from teamnet.operations.learning import accumulate, learn
from teamnet.rules import PER_NEURON, TRACES, PrivateArray, Rule, inputs, operation, step, td_error, trace_mask


class NodePerturbation(Rule):
    """Node perturbation.

    Args:
        scale: of the credit.
    """

    scale: float = 1.0
    private = {"credit": PER_NEURON, "decay": PrivateArray(("rows",)), "trace": TRACES}
    act = act
    learn = learn

    def steps(self, layer):
        yield step("act", [inputs(layer)], ["activation"])
        yield step("learn", [td_error])
        yield step("remember", [inputs(layer), trace_mask])

    @operation
    def remember(unit, below, mask):
        for row in range(unit.rows):
            unit.decay[row] = unit.trace_decay * mask[row, 0]
            for j in range(unit.size):
                unit.credit[row, j] = unit.scale * (unit.activation[row, j] - unit.mean[row, j]) / unit.variance
        accumulate(unit.incoming.trace, unit.decay, below, unit.credit)
        accumulate(unit.biases.trace, unit.decay, unit.ones, unit.credit)
'''
"""Nothing goes down."""

CREDIT = '''"""A vector goes down beside nothing that this package knows: each unit's credit, by the weights above."""
from teamnet.kernels.arithmetic import add_products
from teamnet.kernels.memory import fill, flat
from teamnet.operations.acting import act
from teamnet.operations.learning import accumulate, learn
from teamnet.rules import (
    PER_NEURON, TRACES, PrivateArray, Rule, SlotSpec, above, inputs, operation, own, step, td_error, trace_mask,
)


class Credit(Rule):
    """Each hidden unit's credit is what the layer above hands it, with its surprise as a second vector."""

    uses_mirrors = True
    private = {
        "credit": PER_NEURON, "surprise": PER_NEURON, "decay": PrivateArray(("rows",)), "trace": TRACES,
        "fixed": PrivateArray(("rows", "fan_out")),
    }
    act = act
    learn = learn

    def slots(self, layer):
        return [] if layer.is_first else [SlotSpec("credit"), SlotSpec("surprise", edge="credit", carried_by="credit")]

    def steps(self, layer):
        down = [] if layer.is_first else ["credit"]
        yield step("act", [inputs(layer)], ["activation"])
        yield step("learn", [td_error])
        if layer.is_last:
            yield step("judge", [], down)
        else:
            both = above(layer, "credit"), above(layer, "surprise")._replace(via=(above(layer, "credit").slot, 0))
            yield step("hand_down", both, down)
        credits = above(layer, "credit")
        yield step("remember", [inputs(layer), credits, trace_mask])

    @operation
    def judge(unit):
        for row in range(unit.rows):
            for j in range(unit.size):
                unit.surprise[row, j] = unit.activation[row, j] - unit.mean[row, j]
                unit.credit[row, j] = unit.surprise[row, j]

    @operation
    def hand_down(unit, credit, surprise):
        fill(flat(unit.credit), 0.0)
        add_products(unit.credit, credit, unit.outgoing.value)
        for row in range(unit.rows):
            most = 0.0
            for k in range(surprise.shape[1]):
                most = max(most, abs(surprise[row, k]))
            for j in range(unit.size):
                unit.surprise[row, j] = most * (unit.activation[row, j] - unit.mean[row, j])
                unit.credit[row, j] = unit.credit[row, j] * unit.derivative[row, j] + 0.1 * unit.surprise[row, j]

    @operation
    def remember(unit, below, credit, mask):
        for row in range(unit.rows):
            unit.decay[row] = unit.trace_decay * mask[row, 0]
        accumulate(unit.incoming.trace, unit.decay, below, unit.credit)
        accumulate(unit.biases.trace, unit.decay, unit.ones, unit.credit)
        if unit.mirrors:
            accumulate(unit.outgoing.trace, unit.decay, credit, unit.activation)
'''
"""Slots of kinds that nobody foresaw, with mirrors of the synapses above."""

EXPLORER = '''"""A rule with a state of its own: a running mean of each unit's TD error."""
from teamnet.operations.acting import act
from teamnet.operations.learning import correlate
from teamnet.operations.adam import ascend, count_update
from teamnet.rules import PER_NEURON, PrivateArray, Rule, inputs, operation, step, td_error


class Explorer(Rule):
    """One step of REINFORCE with a baseline, without traces."""

    rate: float = 0.1
    private = {"baseline": PrivateArray(("rows", "size"), kept=True), "credit": PER_NEURON}
    act = act

    def steps(self, layer):
        yield step("act", [inputs(layer)], ["activation"])
        yield step("learn", [inputs(layer), td_error])

    @operation
    def learn(unit, below, signal):
        for row in range(unit.rows):
            for j in range(unit.size):
                better = signal[row, 0] - unit.baseline[row, j]
                unit.baseline[row, j] += unit.rate * better
                unit.credit[row, j] = better * (unit.activation[row, j] - unit.mean[row, j])
        count_update(unit)
        correlate(below, unit.credit, unit.incoming.gradient)
        correlate(unit.ones, unit.credit, unit.biases.gradient)
        ascend(unit, unit.incoming)
        ascend(unit, unit.biases)
'''
PAGE = (Path(__file__).parents[2] / "docs" / "own_rule.md").read_text()
"""Documentation whose rules are tried too."""
OF_PAGE = {
    text.partition("(Rule)")[0].rpartition("class ")[2]: text
    for text in re.findall("```python\n(.*?)```", PAGE, re.DOTALL) if "(Rule):" in text and "def steps" in text
}
TEXTS = {"perturbation": PERTURBATION, "credit": CREDIT, "explorer": EXPLORER, **OF_PAGE}


def rule_of(text: str, folder: Path, name: str = "own.py") -> type[Rule]:
    """The rule of a text that is written to a file."""
    (folder / name).write_text(text)
    return find_rule(str(folder / name))


def teams_of(rule: Rule, rows: int = 2) -> list[list[LayerSpec]]:
    """An actor and a critic that learn by a rule."""
    teams: Sequence[list[LayerSpec]] = (
        make_layers((3, 9, 6, 2), rows=rows), make_layers((3, 5, 4, 1), team="critic", family="gaussian", rows=rows)
    )
    return [[replace(layer, rule=rule) for layer in team] for team in teams]

SWISH = """\
from teamnet.kernels.functions import exp_negative, select


def swish(p):
    u = exp_negative(-abs(p))
    share = select(p >= 0.0, 1.0 / (1.0 + u), u / (1.0 + u))
    return p * share, share + p * share * (1.0 - share)
"""
"""A hidden function: p * logistic(p)."""
