"""A phase: one operation of a unit, with what it waits for and what it publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from teamnet.kernels.constants import FIND_ERROR, LEARN, LEARN_AT_ONCE, TRACE
from teamnet.spec.layers import LayerSpec

NOTHING = -1


class Phase(NamedTuple):
    """One operation. Numbers count publications of a slot within the environment step, from 0; ``NOTHING`` for none.

    Args:
        operation: one of the operations of :mod:`teamnet.kernels.constants`.
        below, above: the publication of the activations below and of the errors above that it reads.
        delta: 1 if it reads the TD error.
        gate: the publication of the critic's output gate that it reads.
        activation, error: the publication of the unit's own activations and errors that it makes.
        shown_gate: the publication of the gate that it makes.
    """

    operation: int
    below: int = NOTHING
    above: int = NOTHING
    delta: int = 0
    gate: int = NOTHING
    activation: int = NOTHING
    error: int = NOTHING
    shown_gate: int = NOTHING


def learn(layer: LayerSpec) -> list[Phase]:
    """Learning from the TD error; tasks of one step learn at the end of the step instead."""
    if layer.single_step:
        return []
    return [Phase(LEARN, above=0) if layer.is_told_from_above else Phase(LEARN, delta=1)]


def then_learn(phase: Phase, layer: LayerSpec) -> list[Phase]:
    """A phase and learning.

    Errors that carry the TD error wait for it, and products are shipped once the synapses have learned, as mirrors have
    learned by then.
    """
    if (layer.ships or layer.passes_down) and phase.error != NOTHING and not layer.single_step:
        return [phase._replace(error=NOTHING), *learn(layer), Phase(FIND_ERROR, error=phase.error)]
    return [phase, *learn(layer)]


def trace(layer: LayerSpec, *, below: int, above: int) -> Phase:
    """The end of a step: accumulate the trace, or in a task of one step learn at once.

    Args:
        layer: whose units.
        below, above: the publications that the trace is made of; the observation has the first only, and errors are
            for those who mirror synapses.
    """
    reads = {
        "below": 0 if layer.is_first else below, "above": NOTHING if layer.is_last or layer.ships else above,
        "gate": 0 if layer.gated and not layer.is_told_from_above else NOTHING,
    }
    return Phase(LEARN_AT_ONCE, delta=1, **reads) if layer.single_step else Phase(TRACE, **reads)


def rounds(schedule: Sequence[Phase], slot: str) -> int:
    """How often a schedule publishes ``activation``, ``error`` or ``shown_gate`` in one environment step."""
    return sum(getattr(phase, slot) != NOTHING for phase in schedule)
