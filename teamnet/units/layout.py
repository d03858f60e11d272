"""Layouts of the records of a unit in compiled code: its numbers, its arrays and its slots."""

from __future__ import annotations

from collections.abc import Mapping

from teamnet.dataflow.layers import LayerRule
from teamnet.kernels.view import Shape, View

Kinds = Mapping[str, str | Shape | View]


def _kinds(kind: str, *names: str) -> dict[str, str | Shape | View]:
    return dict.fromkeys(names, kind)


TIMES = ("waited", "transferred", "computed", "published", "timed_steps")
"""Nanoseconds of a unit's timed steps, and how many these are."""
PER_NEURON = ("activation", "mean", "preactivation", "derivative", "acting_mean")
"""The arrays ``(rows, size)`` that every unit has."""

OWN = View("own slot", {
    **_kinds(
        "i", "address", "counter", "rounds", "mask", "stride", "width", "first", "columns", "rows", "source",
        "residual", "dtype", "error_feedback", "peers", "sent", "silent", "held",
    ),
    "threshold": "f",
})
"""A slot that the unit writes, and how it does so.

``address`` is that of the first of its ``mask + 1`` buffers, which are ``stride`` bytes apart; ``counter`` that of its
round counter, or 0 if it is carried by another slot; ``rounds`` counts publications in an
environment step. The unit writes ``columns`` numbers from ``first`` on of each row of ``width``: those at ``source``;
``residual`` is the address of the rounding residuals. ``peers`` counts the units of the layer on this node. ``sent``
counts publications, ``silent`` those in which no number changed, and ``held`` the numbers that were not sent again.
"""

WRITE = View("write", _kinds("i", "own", "number", "puts", "publishes"))
"""A publication that a step makes: the address of the slot's record, its number within the environment step, whether
the step writes the numbers, and whether it counts the publication."""

READ = View("read", _kinds(
    "i", "address", "counter", "rounds", "number", "mask", "stride", "rows", "width", "parts", "part_count",
))
"""A publication that a step reads; if another slot carries it, ``counter`` is that slot's.

``counter`` is 0 where there is nothing to wait for, and ``rows`` where there is nothing to read. Concatenated
publications are memory of the unit, to which ``part_count`` others are copied, from number ``parts`` on among the reads
of the step.
"""

STEP = View("step", _kinds("i", "operation", "reads", "read_count", "joins", "writes", "write_count"))
"""A step: the number of its operation, and the addresses of its reads and writes.

``joins`` of the reads are concatenated publications; ``read_count`` includes their parts.
"""

BASE: Kinds = {
    **_kinds(
        "i", "finished", "step", "rows", "size", "perform", "steps", "step_count", "control", "timed_mask",
        "timestamps", "timestamps_kept", "first_layer", "last_layer", "gated", "learned", "noted", "seen", *TIMES,
    ),
    "activation": ("rows", "size"), "mean": ("rows", "size"),
}
UNIT = View("unit", BASE)
"""The fields that every unit has, as executors access them.

It begins with the number of ``finished`` environment steps, modulo 2**32, for other threads that read it during a run.
``perform`` is the address of the compiled operations of its rule, ``control`` that of the control line, and
``timestamps`` that of ``step_count`` times four int64 for each of the ``timestamps_kept`` newest environment steps that
were timed: the clock at the phases of each step. One in ``timed_mask + 1`` is timed, none if that is 0. In a
free-running team, ``learned`` is the number of the observation whose TD error was last learned from, ``noted`` that of
the last one for which the unit has recorded its neighbours' publications, and ``seen`` that of the one before.
"""

_SYNAPSES: Kinds = {
    **_kinds("i", "inputs", "outputs", "rows", "traces", "anneal_steps", "parts"),
    "weight_decay": "f", "rates": ("parts", 3),
    **dict.fromkeys(("value", "first", "second", "gradient"), ("inputs", "outputs")),
}
ADAM = ("first", "second")
"""The running means of each group of synapses, besides its value."""
GROUPS = ("incoming", "biases", "outgoing")
"""The groups of synapses: ``(fan_in, size)``, ``(1, size)``, and the mirrored ones, ``(fan_out, size)``."""


_EVERY: Kinds = {
    **BASE, **dict.fromkeys((name for name in PER_NEURON if name not in BASE), ("rows", "size")),
    **_kinds(
        "i", "fan_in", "fan_out", "single_step", "mirrors", "function", "family", "updates", "noise", "noise_index",
        "noise_count", "function_above", "family_above", "agents", "masked",
    ),
    **_kinds(
        "f", "variance", "temperature", "trace_decay", "power1", "power2", "adam_epsilon", "variance_above",
        "temperature_above",
    ),
    "ones": ("rows", 1), "value": ("rows", 1), "ends": (1, "size"), "action_mask": ("rows", "size"),
}
CHANGING = (
    "finished", "step", "learned", "noted", "seen", *TIMES, "updates", "noise", "noise_index", "noise_count", "power1",
    "power2",
)
"""The numbers of a unit that change while it runs."""
UNIT_FIELDS = (*_EVERY, *GROUPS)
"""Names that a rule cannot use for its own settings and arrays of a unit."""
SYNAPSE_FIELDS = tuple(_SYNAPSES)
"""Names that a rule cannot use for its own arrays of a group of synapses."""


def synapses_of(rule: LayerRule) -> View:
    """The layout of a group of synapses for operations of a rule."""
    own = {name: array.shape for name, array in rule.arrays().items() if array.of_synapses}
    return View("synapses", {**_SYNAPSES, **own})


def unit_of(rule: LayerRule) -> View:
    """The layout of a unit for operations of a rule; it begins like :data:`UNIT`.

    ``function`` is the address of the hidden function, ``family`` a number of :mod:`teamnet.kernels.unit_types`;
    ``noise`` is the address of ``noise_count`` samples, of which ``noise_index`` are used; ``power1``, ``power2`` and
    ``adam_epsilon`` are those of Adam. ``function_above`` and the like are those of the layer that reads this one, if
    there is only one. ``agents`` is the number of agents of a categorical layer, and ``ends`` has for each of its
    categories the place behind the last one of that agent. Where it is ``masked``, ``action_mask`` has 1.0 for each
    valid one.
    """
    synapses = synapses_of(rule)
    own = {name: array.shape for name, array in rule.arrays().items() if not array.of_synapses}
    return View("unit", {
        **_EVERY, **dict.fromkeys(GROUPS, synapses), **own,
        **{name: "i" if isinstance(value, int) else "f" for name, value in rule.numbers().items()},
    })
