"""Slots, which hold messages, and how steps refer to their publications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Key = tuple[str, str, int]
"""Names a slot: its kind, and the team and the number of the layer that writes it, ``""`` and 0 for the coordinator."""
Group = tuple[str, int]
"""All units of a layer, by team and number, or :data:`COORDINATOR`."""
COORDINATOR: Group = ("", 0)


@dataclass(frozen=True)
class Channel:
    """How a slot is encoded, and which of its numbers are sent.

    Args:
        dtype: ``float64``, ``float32``, ``bfloat16``, or ``int8`` with a scale for each message.
        error_feedback: whether the rounding residual of a message is added to the next one of the same step.
        threshold: send threshold: a number is not sent again, and keeps its last value, where it has changed by no more
            than this since the last publication; negative to send all.
    """

    dtype: str = "float64"
    error_feedback: bool = False
    threshold: float = -1.0


EXACT = Channel()
"""Every number unchanged."""


@dataclass(frozen=True)
class Messages:
    """How activations and errors are sent between the layers of a run.

    Args:
        message_dtype: dtype of the activations and errors that are sent to neighbours: ``float64``, ``float32``,
            ``bfloat16``, or ``int8`` with a scale for each message. Units continue with the rounded values.
        error_feedback: the rounding error of a message is added to the next one of the same step.
        send_threshold: where a neuron's activation has moved by no more than this share of its standard deviation since
            it was last sent (its error by no more than this over the deviation), both ends keep that value, and nothing
            is sent. 0 sends everything.
    """

    message_dtype: str = "float64"
    error_feedback: bool = False
    send_threshold: float = 0.0

    def channel(self, scale: float) -> Channel:
        """The channel of a slot whose numbers have this scale, 0 for a slot without a send threshold."""
        threshold = self.send_threshold * scale if self.send_threshold and scale else -1.0
        return Channel(self.message_dtype, self.error_feedback, threshold)


ALL_SENT = Messages()
"""Every number, unchanged."""


@dataclass(frozen=True)
class Slot:
    """A place for messages of one kind, with one row for each parallel environment.

    Args:
        kind: its name; a unit publishes the private array of this name.
        team, layer: of the units that write it; ``""`` and 0 for the coordinator.
        rows: parallel environments.
        size: numbers of a row.
        split: whether each unit writes the columns of its own neurons; otherwise one writer writes all.
        edge: the kind of edge that the ledger counts it as.
        channel: how it is encoded.
        carries: slots that every publication of this one carries, so that a message has both.
        carried: whether it is never published by itself.
        buffers: publications of which the memory holds the newest.
    """

    kind: str
    team: str
    layer: int
    rows: int
    size: int
    split: bool = False
    edge: str = ""
    channel: Channel = EXACT
    carries: tuple[Key, ...] = ()
    carried: bool = False
    buffers: int = 2

    @property
    def key(self) -> Key:
        """Its name among all slots."""
        return self.kind, self.team, self.layer

    @property
    def writer(self) -> Group:
        """The group that writes it."""
        return self.team, self.layer

    @property
    def numbers(self) -> int:
        """Numbers in one publication."""
        return self.rows * self.size


class Read(NamedTuple):
    """One publication of a slot that a step needs, or several concatenated.

    Args:
        slot: its key.
        number: of the publication within the environment step, from 0.
        via: the slot and the publication that carry it; ``None`` if it is published by itself.
        beside: publications whose columns follow, for a layer that has several layers below it or above it.
    """

    slot: Key
    number: int = 0
    via: tuple[Key, int] | None = None
    beside: tuple[Read, ...] = ()

    @property
    def parts(self) -> tuple[Read, ...]:
        """The publications that it is made of, from the first column on."""
        return self._replace(beside=()), *self.beside

    @property
    def awaited(self) -> tuple[Key, int]:
        """The slot and the publication that a reader waits for."""
        return self.via or (self.slot, self.number)


class Write(NamedTuple):
    """A publication of a slot that a step makes.

    Args:
        slot: its key.
        number: of the publication within the environment step, from 0.
        puts: whether the step writes the numbers.
        publishes: whether it counts the publication, so that other units may read it.
    """

    slot: Key
    number: int
    puts: bool = True
    publishes: bool = True


class Step(NamedTuple):
    """An operation of all units of a layer, or of the coordinator.

    Args:
        operation: its name among those of the rule.
        reads: its inputs, in the order of its parameters; ``None`` where there is none.
        writes: what it publishes.
        where: the line of the rule's file that declares it.
    """

    operation: str
    reads: tuple[Read | None, ...] = ()
    writes: tuple[Write, ...] = ()
    where: str = "the coordinator"

    @property
    def published(self) -> list[Write]:
        """The publications that are counted."""
        return [write for write in self.writes if write.publishes]

    @property
    def parts(self) -> list[Read]:
        """All publications that it reads."""
        return [part for read in self.reads if read for part in read.parts]

    @property
    def awaited(self) -> list[tuple[Key, int]]:
        """Slots and their publications that it waits for, each once."""
        return list(dict.fromkeys(read.awaited for read in self.parts))
