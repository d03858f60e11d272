"""Checks of a dataflow before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.order import waves
from teamnet.dataflow.slots import Group, Key, Read, Step, Write
from teamnet.errors import SpecError, nearest

_STEPS = 3
"""Consecutive environment steps that are checked: a buffer that is overwritten too early is so within them."""


def check_flow(flow: Dataflow) -> None:
    """Reject a dataflow that cannot be executed.

    Raises:
        SpecError: a step reads what no unit publishes, or waits forever, or a publication may be overwritten before
            all readers have read it; with the line of the rule's file.
    """
    for group, steps in flow.steps.items():
        for step in steps:
            for read in step.parts:
                _check_read(flow, group, step, read)
    waves(flow)
    _check_buffers(flow)


def _check_read(flow: Dataflow, group: Group, step: Step, read: Read) -> None:
    for key, number in ((read.slot, 0), read.awaited):
        kind, team, layer = key
        name = f"slot {kind!r} of {f'{team} layer {layer}' if team else 'the coordinator'}"
        if key not in flow.slots:
            kinds = {slot.kind for slot in flow.slots.values()}
            raise SpecError(
                step.where, expected=f"a slot for {group[0]} layer {group[1]} to read",
                found=f"{name}, which does not exist", remedy=nearest(kind, kinds),
            )
        if number >= (rounds := flow.rounds(key)):
            raise SpecError(
                step.where, expected=f"a publication of {name}" + (f" from 0 to {rounds - 1}" if rounds else ""),
                found=str(number) if rounds else "none in any step",
                remedy=f"Let a step publish {kind!r}, or read another publication.",
            )


def _check_buffers(flow: Dataflow) -> None:
    """Check that a chain of publications and reads puts all reads of a buffer before its next write."""
    graph = _Graph(flow)
    for slot in flow.published():
        for writer, write in graph.writes(slot.key):
            for reader, later in graph.overwriting(slot.key, write.number, slot.buffers):
                alone = reader[0] == slot.writer and not slot.split  # one unit, which runs its steps in order
                if not alone and not graph.follows(reader, later):
                    step = graph.step(writer)
                    raise SpecError(
                        step.where,
                        expected=f"an answer of {reader[0][0]} layer {reader[0][1]} to {slot.buffers} publications of "
                        f"slot {slot.kind!r} before the next one",
                        found="none, so that a publication may be overwritten before it is read",
                        remedy="Let the writer read what its readers publish afterwards, or publish less often.",
                    )


Node = tuple[Group, int, int]
"""A step of a group, by its number, in one of several consecutive environment steps."""


class _Graph:
    """Which steps follow others, over several environment steps.

    A unit runs its steps in order, and a step follows the publications that it reads. Only these reads put it after the
    steps of all units of a layer.
    """

    def __init__(self, flow: Dataflow) -> None:
        self._flow = flow
        self._readers: dict[tuple[Key, int], list[tuple[Group, int]]] = {}
        for group, steps in flow.steps.items():
            for place, step in enumerate(steps):
                for awaited in step.awaited:
                    self._readers.setdefault(awaited, []).append((group, place))
        self._reached: dict[Node, set[Node]] = {}

    def step(self, node: Node) -> Step:
        return self._flow.steps[node[0]][node[1]]

    def writes(self, key: Key) -> Iterator[tuple[Node, Write]]:
        """The publications of a slot in the first environment step."""
        group = self._flow.slots[key].writer
        for place, step in enumerate(self._flow.steps[group]):
            for write in step.published:
                if write.slot == key:
                    yield (group, place, 0), write

    def overwriting(self, key: Key, number: int, buffers: int) -> Iterator[tuple[Node, Node]]:
        """Each step that reads a publication, and the step that next writes to its buffer."""
        rounds = self._flow.rounds(key)
        later = number + buffers
        writers = {
            write.number: place for place, step in enumerate(self._flow.steps[self._flow.slots[key].writer])
            for write in step.writes if write.slot == key and write.puts
        }
        if later // rounds >= _STEPS:
            return
        target = self._flow.slots[key].writer, writers[later % rounds], later // rounds
        for group, place in self._readers.get((key, number), ()):
            yield (group, place, 0), target

    def follows(self, first: Node, second: Node) -> bool:
        """Whether a step of any unit comes after a step of every unit."""
        if first not in self._reached:
            self._reached[first] = self._reach(first)
        return second in self._reached[first]

    def _reach(self, start: Node) -> set[Node]:
        found: set[Node] = set()
        frontier = [(start, False)]
        seen = {(start, False)}
        while frontier:
            node, all_units = frontier.pop()
            if all_units:
                found.add(node)
            for following in self._next(node, all_units):
                if following not in seen:
                    seen.add(following)
                    frontier.append(following)
        return found

    def _next(self, node: Node, all_units: bool) -> Iterator[tuple[Node, bool]]:
        group, place, at = node
        if place + 1 < len(self._flow.steps[group]):
            yield (group, place + 1, at), all_units
        elif at + 1 < _STEPS:
            yield (group, 0, at + 1), all_units
        for write in self.step(node).published:
            for reader, number in self._readers.get((write.slot, write.number), ()):
                yield (reader, number, at), True
