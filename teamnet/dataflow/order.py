"""The order of an environment step, for executors that call units: the steps that can run at once, wave by wave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from teamnet.dataflow.graph import DECIDE, Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import COORDINATOR, Group, Key, Step
from teamnet.errors import SpecError


class Turn(NamedTuple):
    """A step of a unit: the unit's number in canonical order, the step's number, and the step."""

    unit: int
    number: int
    step: Step


Wave = list[Turn]


def order_of_step(flow: Dataflow, units: Sequence[UnitSpec]) -> tuple[list[Wave], list[Wave]]:
    """The waves of acting, after which every output is published, and the waves of the rest of the step.

    Raises:
        SpecError: the steps of some layers wait for each other forever.
    """
    members: dict[Group, list[int]] = {}
    for number, unit in enumerate(units):
        members.setdefault(unit.layer.group, []).append(number)
    acting, rest = waves(flow)
    return tuple(  # pyright: ignore[reportReturnType] - two of them
        [[Turn(unit, number, flow.steps[group][number]) for group, number in wave for unit in members[group]]
         for wave in part]
        for part in (acting, rest)
    )


def waves(flow: Dataflow) -> tuple[list[list[tuple[Group, int]]], list[list[tuple[Group, int]]]]:
    """The same for whole layers: their groups, and the numbers of their steps.

    Raises:
        SpecError: see :func:`order_of_step`.
    """
    published: Counter[Key] = Counter()
    place = dict.fromkeys(flow.layers, 0)
    give, *later = flow.steps[COORDINATOR]
    outputs = [awaited for step in later for awaited in step.awaited]
    signals = next(step for step in later if step.operation == DECIDE)

    def publish(step: Step) -> None:
        published.update(write.slot for write in step.published)

    def there(awaited: Sequence[tuple[Key, int]]) -> bool:
        return all(published[key] > number for key, number in awaited)

    publish(give)
    acting: list[list[tuple[Group, int]]] = []
    rest: list[list[tuple[Group, int]]] = []
    decided = False
    while any(place[group] < len(flow.steps[group]) for group in place):
        if not decided and there(outputs):
            publish(signals)
            decided = True
        ready = [
            (group, at) for group, at in place.items()
            if at < len(flow.steps[group]) and there(flow.steps[group][at].awaited)
        ]
        if not ready:
            raise _never_ready(flow, place, published)
        (rest if decided else acting).append(ready)
        for group, at in ready:
            publish(flow.steps[group][at])
            place[group] += 1
    return acting, rest


def _never_ready(flow: Dataflow, place: dict[Group, int], published: Counter[Key]) -> SpecError:
    waiting, where = [], ""
    for (team, number), at in place.items():
        steps = flow.steps[team, number]
        if at < len(steps):
            missing = [f"publication {n} of {key[0]}" for key, n in steps[at].awaited if published[key] <= n]
            waiting.append(f"{steps[at].operation!r} of {team} layer {number} waits for {', '.join(missing)}")
            where = where or steps[at].where
    return SpecError(
        where, expected="an order in which all steps can run", found="; ".join(waiting),
        remedy="Let a step read only what is published before it, or publish something earlier.",
    )
