"""Who waited for whom in traced steps, and what the critical path of a step spent its time on.

From the end of a step one goes back: a participant that had its inputs when it began was held up by its own step
before; another one by the input that came last, whose writer is then followed. What lies between is what the step lost
to that unit's computing and publishing, to that edge, or to the environment; it adds up to the time of the step. In one
process the units compute while the coordinator hands out what it publishes: that is computing of the units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from teamnet.dataflow.graph import ENVIRONMENT, Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import COORDINATOR, Group, Key, Step
from teamnet.study.communication.clocks import align
from teamnet.team.ledger import COORDINATOR_NAME, COORDINATOR_NODE
from teamnet.training.step_trace import StepTrace

BEGUN, READY, DONE, PUBLISHED = range(4)
"""Phases of a step in timestamps."""


class Arrival(NamedTuple):
    """An input of a participant's step: the slot, and who wrote it last in which of its steps."""

    kind: str
    writer: int
    step: int


class Loss(NamedTuple):
    """What a part of a run takes of the critical path of a step.

    Args:
        kind: ``compute``, ``publish``, ``edge`` or ``environment``.
        name: of the unit, or of the two units and the slot.
        seconds: mean over the traced steps.
        share: of the time of a step.
    """

    kind: str
    name: str
    seconds: float
    share: float


class Participants:
    """The coordinator, number 0, and the units of traced steps, with their clocks aligned.

    Args:
        flow: the dataflow of the run.
        units: all units in canonical order.
        trace: of the steps.
    """

    def __init__(self, flow: Dataflow, units: Sequence[UnitSpec], trace: StepTrace) -> None:
        self.names = [COORDINATOR_NAME, *(unit.name for unit in units)]
        self.nodes = [COORDINATOR_NODE, *trace.nodes]
        self.steps: list[Sequence[Step]] = [flow.steps[COORDINATOR], *(flow.steps[unit.layer.group] for unit in units)]
        groups: list[Group] = [COORDINATOR, *(unit.layer.group for unit in units)]
        self._writers: dict[tuple[Key, int], list[tuple[int, int]]] = {}
        for number, steps in enumerate(self.steps):
            for place, step in enumerate(steps):
                for write in step.published:
                    if flow.slots[write.slot].writer == groups[number]:
                        self._writers.setdefault((write.slot, write.number), []).append((number, place))
        raw = [trace.coordinator, *trace.units]
        self.clocks = align(max(self.nodes) + 1, self._fastest(raw))
        self.times = [each - round(self.clocks.offsets[node]) for each, node in zip(raw, self.nodes, strict=True)]

    def writers(self, number: int, place: int) -> Iterator[Arrival]:
        """All inputs of a step, by each participant that writes a part of one."""
        for key, publication in self.steps[number][place].awaited:
            for writer, step in self._writers.get((key, publication), ()):
                if writer != number:
                    yield Arrival(key[0], writer, step)

    def at_work(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """When units computed and published in a traced step.

        Returns:
            Numbers of the units, and when each interval began and ended; int64 ``(intervals,)`` each.
        """
        numbers = np.repeat(np.arange(1, len(self.times)), [each.shape[1] for each in self.times[1:]])
        begun, ended = (
            np.concatenate([each[step, :, phase] for each in self.times[1:]]) for phase in (READY, PUBLISHED)
        )
        order = np.argsort(begun, kind="stable")
        return numbers[order], begun[order], ended[order]

    def _fastest(self, raw: Sequence[np.ndarray]) -> Mapping[tuple[int, int], float]:
        found: dict[tuple[int, int], float] = {}
        for number, steps in enumerate(self.steps):
            for place, _ in enumerate(steps):
                for arrival in self.writers(number, place):
                    pair = self.nodes[arrival.writer], self.nodes[number]
                    if pair[0] != pair[1]:
                        taken = raw[number][:, place, READY] - raw[arrival.writer][:, arrival.step, DONE]
                        found[pair] = min(found.get(pair, np.inf), float(taken.min()))
        return found


def lost_times(participants: Participants) -> list[Loss]:
    """What the critical path of a step spends its time on, the most first; the mean over all traced steps."""
    times = participants.times
    spent: Counter[tuple[str, str]] = Counter()
    count = len(times[0])
    for step in range(count):
        spent.update(_path(participants, step))
    whole = sum(spent.values())
    return [
        Loss(kind, name, nanoseconds / count / 1e9, nanoseconds / whole)
        for (kind, name), nanoseconds in spent.most_common()
    ]


def _path(participants: Participants, step: int) -> Counter[tuple[str, str]]:
    """Nanoseconds of the critical path of one step, by what they were spent on."""
    times, names = participants.times, participants.names
    number = max(range(len(times)), key=lambda each: times[each][step, -1, PUBLISHED])
    place = len(participants.steps[number]) - 1
    spent: Counter[tuple[str, str]] = Counter()
    at, published = times[number][step, place, PUBLISHED], True
    while True:
        begun, ready, done, _ = (int(value) for value in times[number][step, place])
        environment = participants.steps[number][place].operation == ENVIRONMENT
        if published:
            inside = _nested(participants, step, done, int(at)) if number == 0 else Counter()
            spent.update(inside)
            spent["publish", names[number]] += int(at) - done - inside.total()
        spent["environment" if environment else "compute", names[number]] += done - ready
        last = max(
            participants.writers(number, place), key=lambda each: times[each.writer][step, each.step, DONE],
            default=None,
        )
        if last and times[last.writer][step, last.step, DONE] > begun:
            at, published = times[last.writer][step, last.step, DONE], False
            spent["edge", f"{names[last.writer]} to {names[number]}, {last.kind}"] += ready - int(at)
            number, place = last.writer, last.step
        elif place > 0:
            at, published = times[number][step, place - 1, PUBLISHED], True
            spent["compute", names[number]] += ready - int(at)
            place -= 1
        else:
            return spent


def _nested(participants: Participants, step: int, begun: int, ended: int) -> Counter[tuple[str, str]]:
    """Nanoseconds of the units' work that lies within an interval, where each moment counts once."""
    numbers, starts, ends = participants.at_work(step)
    within = (starts >= begun) & (ends <= ended)
    spent: Counter[tuple[str, str]] = Counter()
    taken = _once(starts[within], ends[within], begun, ended)
    for number, nanoseconds in zip(numbers[within], taken, strict=True):
        spent["compute", participants.names[number]] += int(nanoseconds)
    return spent


def _once(starts: np.ndarray, ends: np.ndarray, begun: int, ended: int) -> np.ndarray:
    """What each interval, in the order of their starts, covers of ``begun`` to ``ended`` beyond those before it."""
    starts, ends = np.clip(starts, begun, ended), np.maximum.accumulate(np.clip(ends, begun, ended))
    return np.maximum(0, ends - np.maximum(starts, np.concatenate([[begun], ends])[:-1]))


def hidden_environment(participants: Participants) -> tuple[float, float]:
    """Mean seconds that the environment takes in a step, and the share of them in which units were at work."""
    place = next(k for k, step in enumerate(participants.steps[0]) if step.operation == ENVIRONMENT)
    whole = hidden = 0
    for step, times in enumerate(participants.times[0]):
        begun, ended = int(times[place, READY]), int(times[place, DONE])
        whole += ended - begun
        hidden += int(_once(*participants.at_work(step)[1:], begun, ended).sum())
    return whole / len(participants.times[0]) / 1e9, hidden / max(1, whole)
