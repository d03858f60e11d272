"""Reads, slots and steps, by which a rule declares what a layer's units read and publish."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.slots import Key, Read

OBSERVATION: Key = ("observation", "", 0)
EPISODE_MASK: Key = ("episode_mask", "", 0)
ACTION_MASK: Key = ("action_mask", "", 0)
TD_ERROR: Key = ("td_error", "", 0)
TRACE_MASK: Key = ("trace_mask", "", 0)

td_error = Read(TD_ERROR)
"""The TD error ``(rows, 1)``; in a single-step task the reward."""
trace_mask = Read(TRACE_MASK, via=(TD_ERROR, 0))
"""``(rows, 1)``: 0.0 where an episode has just begun, so that traces are reset; the TD error carries it."""
episode_mask = Read(EPISODE_MASK, via=(OBSERVATION, 0))
"""The same at the beginning of a step; the observation carries it."""
action_mask = Read(ACTION_MASK, via=(OBSERVATION, 0))
"""``(rows, size)`` of a policy that chooses: 1.0 for each valid action; the observation carries it."""


class SlotSpec(NamedTuple):
    """A slot that the units of a layer write, as a rule declares it.

    Args:
        kind: its name, and that of the private array that is published.
        size: numbers of a row; ``None`` for one for each neuron, of which each unit writes its own.
        edge: the kind of edge that the ledger counts it as; its own name if left out.
        exact: whether its numbers are sent as they are, whatever the message dtype.
        scale: factor of the send threshold, or 0 if all numbers are always sent.
        carries: slots that every publication carries.
        carried_by: the kind of the slot of the same layer whose publications carry it.
        buffers: publications of which the memory holds the newest.
    """

    kind: str
    size: int | None = None
    edge: str = ""
    exact: bool = False
    scale: float = 0.0
    carries: tuple[Key, ...] = ()
    carried_by: str = ""
    buffers: int = 2


class Target(NamedTuple):
    """A slot that a step writes: it ``puts`` the numbers there, ``publishes`` them, or both."""

    kind: str
    puts: bool = True
    publishes: bool = True


class Draft(NamedTuple):
    """A step as a rule declares it: publications are numbered when the graph is built."""

    operation: str
    reads: tuple[Read | None, ...]
    writes: tuple[Target, ...]
    where: str


def step(operation: str, reads: Iterable[Read | None] = (), writes: Iterable[str | Target] = ()) -> Draft:
    """An operation of a layer's units.

    Args:
        operation: its name in the rule.
        reads: the arrays of its parameters after the unit; ``None`` for an array without elements.
        writes: kinds of the layer's own slots that are published afterwards.
    """
    caller = sys._getframe(1)
    where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
    targets = tuple(Target(write) if isinstance(write, str) else write for write in writes)
    return Draft(operation, tuple(reads), targets, where)


def masking(layer: LayerSpec) -> list[Draft]:
    """The first step of a policy some of whose actions are invalid, whatever its rule."""
    return [step("mask_actions", [action_mask])] if layer.masked else []


def inputs(layer: LayerSpec, number: int = 0) -> Read:
    """Publication ``number`` of the activations below, or the observation, of which there is one.

    ``(rows, fan_in)``: of a layer with several layers below it, their columns concatenated.
    """
    return _joined(
        Read(("activation", layer.team, source), number) if source else Read(OBSERVATION) for source in layer.sources
    )


def above(layer: LayerSpec, kind: str, number: int = 0) -> Read | None:
    """Publication ``number`` of a slot of the layer above; ``None`` for the output layer.

    Of a layer that several read, their columns concatenated: of a slot with a number for each neuron ``(rows,
    fan_out)``.
    """
    reads = [Read((kind, layer.team, reader.number), number) for reader in layer.readers]
    return _joined(reads) if reads else None


def _joined(reads: Iterable[Read]) -> Read:
    first, *following = reads
    return first._replace(beside=tuple(following))


def top(layer: LayerSpec, kind: str, number: int = 0) -> Read:
    """Publication ``number`` of a slot of the team's output layer."""
    return Read((kind, layer.team, layer.depth), number)


def own(layer: LayerSpec, kind: str, number: int = 0) -> Read:
    """Publication ``number`` of a slot that the layer itself writes."""
    return Read((kind, layer.team, layer.number), number)


def carried(read: Read, by: Read) -> Read:
    """The same numbers, carried by a publication of another slot."""
    return read._replace(via=(by.slot, by.number))


def carried_beside(kind: str, by: Read) -> Read:
    """The slots of a kind of the same layers, carried by the publications of a read."""
    return _joined(carried(Read((kind, *part.slot[1:])), part) for part in by.parts)
