"""The dataflow of an environment step: slots, the steps of every layer and of the coordinator, and the readers.

It is the only source of this information for all else: memory and addresses, waiting, routes between nodes, the ledger,
the order in one process, the transport by Ray actor calls, the prediction and the trace.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any, cast

from teamnet.dataflow.layers import LayerSpec
from teamnet.dataflow.ports import (
    ACTION_MASK,
    EPISODE_MASK,
    OBSERVATION,
    TD_ERROR,
    TRACE_MASK,
    Draft,
    SlotSpec,
    masking,
)
from teamnet.dataflow.slots import COORDINATOR, EXACT, Channel, Group, Key, Read, Slot, Step, Write
from teamnet.errors import SpecError, TeamnetError, nearest

Teams = Sequence[Sequence[LayerSpec]]
GIVE, DECIDE, ENVIRONMENT = "give", "decide", "environment"
"""The coordinator's operations: publish the observation, compute the TD error, and step the environment."""
_OUTPUT = SlotSpec("activation", edge="action", exact=True)
_VALUE = SlotSpec("value", 1, "action", exact=True, carried_by="activation", buffers=1)


class Dataflow:
    """The graph of one environment step of a run.

    Args:
        teams: the layers of every team, from the observation upwards.
        free_running: whether units run their steps without a common tick: every slot then has the newest values, and
            the steps are those of :data:`teamnet.dataflow.free.FREE_STEPS`.

    Attributes:
        slots: all slots by key.
        steps: the steps of each layer's units, and of the coordinator, in their order.
        layers: the layers by group.

    Raises:
        SpecError: a rule publishes in a slot that it has not declared; with the line of its file.
    """

    def __init__(self, teams: Teams, *, free_running: bool = False) -> None:
        self.teams, self._free_running = teams, free_running
        self.layers: dict[Group, LayerSpec] = {
            (layer.team, layer.number): layer for team in teams for layer in team
        }
        drafts = {
            group: masking(layer) + _asked(layer, layer.rule.free_steps if free_running else layer.rule.steps)
            for group, layer in self.layers.items()
        }
        self.slots = {slot.key: slot for slot in (*_coordinators_slots(teams, drafts), *self._layers_slots())}
        self._rounds: Counter[Key] = Counter()
        self.steps: dict[Group, tuple[Step, ...]] = {
            group: tuple(self._numbered(group, draft) for draft in declared) for group, declared in drafts.items()
        }
        self.steps = {COORDINATOR: tuple(self._coordinate()), **self.steps}
        self._awaiting: dict[Key, dict[Group, set[int]]] = {key: {} for key in self.slots}
        for group, steps in self.steps.items():
            for step in steps:
                for key, number in step.awaited:
                    self._awaiting.setdefault(key, {}).setdefault(group, set()).add(number)

    def _layers_slots(self) -> Iterator[Slot]:
        for layer in self.layers.values():
            specs = [_OUTPUT if layer.is_last else SlotSpec("activation", scale=layer.deviation)]
            if layer.is_last and layer.gated:
                specs.append(_VALUE)
            specs += _asked(layer, layer.rule.slots)
            for spec in specs:
                carried = tuple(_key(layer, part.kind) for part in specs if part.carried_by == spec.kind)
                yield Slot(
                    spec.kind, layer.team, layer.number, layer.rows, layer.size if spec.size is None else spec.size,
                    split=spec.size is None, edge=spec.edge or spec.kind, channel=_channel(layer, spec),
                    carries=(*spec.carries, *carried), carried=bool(spec.carried_by),
                    buffers=spec.buffers if layer.is_last and spec.kind == "activation" else self._buffers(spec),
                )

    def _buffers(self, spec: SlotSpec) -> int:
        return 1 if self._free_running else spec.buffers

    def _numbered(self, group: Group, draft: Draft) -> Step:
        """A step with its publications numbered; carried slots are written with the slot that carries them."""
        writes = []
        for kind, puts, publishes in draft.writes:
            slot = self._own_slot(group, kind, draft)
            carried = (key for key in slot.carries if key in self.slots and self.slots[key].carried)
            for key in (*(key for key in carried if key[1:] == slot.writer), slot.key):
                number = 0 if self._free_running else self._rounds[key]
                writes.append(Write(key, number, puts, publishes))
                self._rounds[key] = number + publishes
        return Step(draft.operation, draft.reads, tuple(writes), draft.where)

    def _own_slot(self, group: Group, kind: str, draft: Draft) -> Slot:
        if (kind, *group) not in self.slots:
            kinds = [slot.kind for slot in self.written_by(group)]
            raise SpecError(
                draft.where, expected=f"a slot that {group[0]} layer {group[1]} has declared", found=repr(kind),
                remedy=nearest(kind, kinds),
            )
        return self.slots[kind, *group]

    def _coordinate(self) -> Iterator[Step]:
        """Publish the observation, wait for every output, compute the TD error, step the environment.

        In a single-step task the reward is the signal, so that the environment is stepped first.
        """
        given, signals = (
            tuple(Write(key, 0) for key in keys if key in self.slots)
            for keys in ((OBSERVATION, EPISODE_MASK, ACTION_MASK), (TD_ERROR, TRACE_MASK))
        )
        give = Step(GIVE, (), given)
        outputs: list[Read] = []
        for team in self.teams:
            key = _key(team[-1], "activation")
            last = self._rounds[key] - 1
            outputs += [Read(key, last), *(Read(carried, 0, (key, last)) for carried in self.slots[key].carries)]
        self._rounds.update(write.slot for write in (*given, *signals))
        if self.teams[0][0].single_step:
            yield from (give, Step(ENVIRONMENT, tuple(outputs)), Step(DECIDE, (), signals))
        else:
            yield from (give, Step(DECIDE, tuple(outputs), signals), Step(ENVIRONMENT))

    @property
    def outputs(self) -> list[Slot]:
        """The activations of every team's output layer."""
        return [self.slots[_key(team[-1], "activation")] for team in self.teams]

    def value_of(self, team: Sequence[LayerSpec]) -> Slot | None:
        """The value estimate of a critic; ``None`` of another team."""
        return self.slots.get(_key(team[-1], _VALUE.kind))

    def activation(self, layer: LayerSpec) -> Slot:
        """The activations of a layer."""
        return self.slots[_key(layer, "activation")]

    def rounds(self, key: Key) -> int:
        """How often a slot is published in one environment step."""
        return self._rounds[key]

    def readers(self, key: Key) -> list[Group]:
        """The groups that wait for publications of a slot."""
        return list(self._awaiting[key])

    def travelling(self, key: Key) -> int:
        """Publications of a slot per one sent to other nodes: all in a step if only the last is ever read, else 1."""
        numbers = set().union(*self._awaiting[key].values())
        rounds = self._rounds[key]
        return rounds if numbers == {rounds - 1} else 1

    def published(self) -> list[Slot]:
        """Slots that are published by themselves; those that never are in a step are left out."""
        return [slot for slot in self.slots.values() if not slot.carried and self._rounds[slot.key]]

    def written_by(self, group: Group) -> list[Slot]:
        """The slots of a writer."""
        return [slot for slot in self.slots.values() if slot.writer == group]

    def carried_with(self, slot: Slot) -> list[Slot]:
        """The slots that publications of a slot carry."""
        return [self.slots[key] for key in slot.carries if key in self.slots]

    def taken(self, key: Key, group: Group) -> set[Key]:
        """What a reader uses of the publications of a slot that it waits for: the slot, and slots that it carries."""
        reads = [read for step in self.steps[group] for read in step.parts]
        return {read.slot for read in reads if read.awaited[0] == key}


def _asked(layer: LayerSpec, method: Callable[[LayerSpec], Iterable[Any]]) -> list[Any]:
    """The result of a rule's method for a layer.

    Raises:
        SpecError: the rule raised something, or returned nothing; with the line of its file.
    """
    try:
        asked = method(layer)
        if asked is None:
            code = cast(FunctionType, method).__code__
            raise SpecError(
                f"{code.co_filename}:{code.co_firstlineno}", expected=f"a method {method.__name__} that yields",
                found="one that returns None", remedy="Write yield before each step or slot.",
            )
        return list(asked)
    except TeamnetError:
        raise
    except Exception as error:  # a user's file can raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise SpecError(
            f"{last.filename}:{last.lineno}", expected=f"{method.__name__} of {layer.team} layer {layer.number}",
            found=f"{type(error).__name__}: {error}", remedy="Correct the line.",
        ) from None


def _key(layer: LayerSpec, kind: str) -> Key:
    return kind, layer.team, layer.number


def _channel(layer: LayerSpec, spec: SlotSpec) -> Channel:
    if spec.exact:
        return EXACT
    if spec.kind == "activation" and layer.unit_type.message and layer.exploration == 1.0:  # else some are means
        return Channel(layer.unit_type.message)
    return layer.messages.channel(spec.scale)


def _coordinators_slots(teams: Teams, drafts: dict[Group, list[Draft]]) -> Iterator[Slot]:
    """The observation and the TD error, and the masks that they carry where a step reads them."""
    first = teams[0][0]
    reads = (read for steps in drafts.values() for draft in steps for read in draft.reads if read)
    slots = {part.slot for read in reads for part in read.parts}
    observation = Slot("observation", "", 0, first.rows, first.fan_in, edge="observation")
    masks = [(EPISODE_MASK, 1), (ACTION_MASK, teams[0][-1].size)]
    carried = [Slot(*key, first.rows, size, edge="control", carried=True) for key, size in masks if key in slots]
    yield from carried
    yield replace(observation, carries=tuple(slot.key for slot in carried))
    slot = Slot("td_error", "", 0, first.rows, 1, edge="td_error", buffers=1)
    if TRACE_MASK in slots:
        yield Slot("trace_mask", "", 0, first.rows, 1, edge="td_error", carried=True, buffers=1)
        slot = replace(slot, carries=(TRACE_MASK,))
    yield slot
