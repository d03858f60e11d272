"""The ledger: what the units of a run have sent to each other, and how they have spent their time.

Units count their publications, and the coordinator counts its steps; the readers follow from the dataflow. A message is
one publication for one reader, on the board as with actor calls, so that the counts compare rules, schedules and
granularities, not transports. The actual traffic of links between nodes, once for all readers of a node, is counted by
the relay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from teamnet.dataflow.critical_path import exchanges_per_step
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import COORDINATOR, Group, Slot
from teamnet.kernels.constants import NUMBER_BYTES, bytes_of
from teamnet.units.layout import TIMES
from teamnet.units.unit import Counts

COORDINATOR_NODE = 0
COORDINATOR_NAME = "coordinator"
OBSERVATION, ACTIVATION, ERROR, ACTION, TD_ERROR, GATE, CONTROL = EDGES = (
    "observation", "activation", "error", "action", "td_error", "gate", "control"
)
"""Kinds of edges that every ledger has, in this order; the last: pauses, and masks sent with the observation.

Slots of other kinds have edges of their own after these.
"""


class Traffic(NamedTuple):
    """A number of messages, and the bytes of their content."""

    messages: int = 0
    bytes: int = 0

    def plus(self, more: Traffic, readers: int) -> Traffic:
        """The sum with the traffic to this many readers."""
        return Traffic(self.messages + readers * more.messages, self.bytes + readers * more.bytes)


@dataclass(frozen=True)
class Ledger:
    """The ledger of some steps of a run.

    Args:
        steps: of the whole batch of environments, since this process started or resumed the run.
        exchanges: sequential exchanges on the critical path of a step; ``None`` without a common tick.
        edges: by kind.
        flows: by the layers of the writer and of the reader, and by kind.
        same_node, between_nodes: by link.
        relay: traffic of the links between nodes: ``messages``, ``bytes`` with their headers, and ``writes``.
        units: the average step of each unit: ``name``, ``node``, and seconds ``computed``, ``published``, ``waited``,
            and ``transferred``: the part of ``waited`` after the last input was complete on the unit's node, which is
            the cost of waking up and of the memory. The last three are ``None`` where no unit waits, as in one process,
            and all four where no step was timed: in very short runs, and without a common tick.
        late_wakeups: how often a sleeper was not woken by a publication, and saw it only when it looked again.
        step_times: seconds of a step: ``median``, ``p90``, ``p99``, ``worst`` and the number ``worst_step`` of that;
            ``None`` if there was none, or where only traffic is expected.
    """

    steps: int
    exchanges: int | None
    edges: Mapping[str, Traffic]
    flows: Mapping[tuple[Group, Group, str], Traffic]
    same_node: Traffic
    between_nodes: Traffic
    relay: Mapping[str, int]
    units: Sequence[Mapping[str, Any]]
    late_wakeups: int = 0
    step_times: Mapping[str, Any] | None = None

    @property
    def total(self) -> Traffic:
        """The sum over all edges."""
        return Traffic(*(sum(column) for column in zip(*self.edges.values(), strict=True)))

    @property
    def straggler(self) -> str | None:
        """The bottleneck: the unit that computes and publishes longest in a step; ``None`` if no step was timed."""
        if any(unit["computed"] is None for unit in self.units):
            return None
        return max(self.units, key=lambda unit: unit["computed"] + (unit["published"] or 0.0))["name"]

    def as_plain(self) -> dict[str, Any]:
        """JSON types: totals, and averages per step."""
        steps = max(1, self.steps)

        def show(traffic: Traffic) -> dict[str, float]:
            return {
                "messages": traffic.messages, "bytes": traffic.bytes,
                "messages_per_step": round(traffic.messages / steps, 3),
                "bytes_per_step": round(traffic.bytes / steps, 1),
            }

        return {
            "steps": self.steps, "exchanges_per_step": self.exchanges, "total": show(self.total),
            "edges": {kind: show(traffic) for kind, traffic in self.edges.items()},
            "flows": [
                {
                    "from": layer_name(writer), "to": layer_name(reader), "kind": kind,
                    "messages_per_step": round(traffic.messages / steps, 3),
                    "bytes_per_step": round(traffic.bytes / steps, 1),
                }
                for (writer, reader, kind), traffic in self.flows.items()
            ],
            "links": {
                "same_node": show(self.same_node), "between_nodes": show(self.between_nodes), "relay": dict(self.relay),
            },
            "straggler": self.straggler, "late_wakeups": self.late_wakeups, "step_times": self.step_times,
            "units": [dict(unit) for unit in self.units],
        }


def layer_name(group: Group) -> str:
    """A layer in a ledger, such as ``actor 1``, or the coordinator."""
    return COORDINATOR_NAME if group == COORDINATOR else f"{group[0]} {group[1]}"


def expected_traffic(flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int] | None = None) -> Ledger:
    """The expected ledger of one step, without times: what the steps of the dataflow have units publish.

    Args:
        flow: the dataflow of the run.
        units: all units in canonical order.
        nodes: each unit's node; a single node if left out.
    """
    none: dict[str, int] = dict.fromkeys(TIMES, 0)
    counts = []
    for unit in units:
        slots = flow.written_by(unit.layer.group)
        sent = {slot.kind: flow.rounds(slot.key) for slot in slots}
        counts.append(Counts(sent, dict.fromkeys(sent, 0), dict.fromkeys(sent, 0), none))
    return count_traffic(flow, units, nodes or [COORDINATOR_NODE] * len(units), counts, {}, steps=1, pauses=0)


class _Message(NamedTuple):
    kind: str
    writer: Group
    reader: Group
    source: int
    readers: Mapping[int, int]
    traffic: Traffic


def count_traffic(
    flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int], counts: Sequence[Counts],
    relay: Mapping[str, int], *, steps: int, pauses: int, late_wakeups: int = 0, free_running: bool = False,
) -> Ledger:
    """Make the ledger of a run.

    Args:
        flow: the dataflow of the run.
        units: all units in canonical order.
        nodes: each unit's node.
        counts: of each unit.
        relay: sums over all links between nodes.
        steps: that the coordinator has counted.
        pauses: how often it has paused the run.
        late_wakeups: of all nodes.
        free_running: whether there is no common tick.
    """
    kinds = dict.fromkeys((*EDGES, *(slot.edge for slot in flow.slots.values())))
    edges = {kind: Traffic() for kind in kinds}
    flows: dict[tuple[Group, Group, str], Traffic] = {}
    same = between = Traffic()
    for kind, writer, reader, source, readers, traffic in _messages(flow, units, nodes, counts, steps, pauses):
        local_readers, all_readers = readers.get(source, 0), sum(readers.values())
        edges[kind] = edges[kind].plus(traffic, all_readers)
        if traffic.bytes and all_readers:
            flows[writer, reader, kind] = flows.get((writer, reader, kind), Traffic()).plus(traffic, all_readers)
        same = same.plus(traffic, local_readers)
        between = between.plus(traffic, all_readers - local_readers)
    return Ledger(
        steps, None if free_running else exchanges_per_step(flow), edges, flows, same, between, relay,
        [_times(unit, node, count.times) for unit, node, count in zip(units, nodes, counts, strict=True)],
        late_wakeups,
    )


def _messages(
    flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int], counts: Sequence[Counts], steps: int, pauses: int
) -> Iterator[_Message]:
    members: dict[Group, list[int]] = {}
    for number, unit in enumerate(units):
        members.setdefault(unit.layer.group, []).append(number)
    for unit, node in zip(units, nodes, strict=True):
        sent = Traffic(pauses, pauses * NUMBER_BYTES)
        yield _Message(CONTROL, COORDINATOR, unit.layer.group, COORDINATOR_NODE, {node: 1}, sent)
    for slot in flow.published():
        for group in flow.readers(slot.key):
            parts = [part for part in (slot, *flow.carried_with(slot)) if part.key in flow.taken(slot.key, group)]
            reading = Counter([COORDINATOR_NODE] if group == COORDINATOR else (nodes[unit] for unit in members[group]))
            if slot.writer == COORDINATOR:
                for place, part in enumerate(parts):
                    traffic = Traffic(steps * (place == 0), steps * NUMBER_BYTES * part.numbers)
                    yield _Message(part.edge, COORDINATOR, group, COORDINATOR_NODE, reading, traffic)
                continue
            for number in members[slot.writer]:
                readers = reading - Counter([nodes[number]] if group == slot.writer else [])
                sent = steps if group == COORDINATOR else counts[number].sent[slot.kind]
                for place, part in enumerate(parts):
                    messages, size = _traffic(part, slot, units[number], counts[number], sent)
                    sent_here = Traffic(messages * (place == 0), size)
                    yield _Message(part.edge, slot.writer, group, nodes[number], readers, sent_here)


def _traffic(part: Slot, slot: Slot, unit: UnitSpec, counts: Counts, sent: int) -> Traffic:
    """The traffic of one part of a unit's publications of a slot.

    A message has 8 bytes for a scale if its dtype needs one, and one bit per number where some may be left out.
    """
    numbers = part.rows * (unit.size if part.split else part.size)
    messages = sent - counts.silent[slot.kind]
    if part is not slot:
        return Traffic(messages, sent * bytes_of(numbers, part.channel.dtype))
    channel = part.channel
    scale, marks = NUMBER_BYTES * (channel.dtype == "int8"), -(-numbers // 8) * (channel.threshold >= 0.0)
    published = sent * bytes_of(numbers, channel.dtype) - bytes_of(counts.held[slot.kind], channel.dtype)
    return Traffic(messages, published + messages * (scale + marks))


def _times(unit: UnitSpec, node: int, times: Mapping[str, int]) -> dict[str, Any]:
    def seconds(name: str) -> float:
        return round(times[name] / max(1, times["timed_steps"]) / 1e9, 9)

    timed, waits = times["computed"] > 0, times["waited"] > 0
    return {
        "name": unit.name, "node": node, "computed": seconds("computed") if timed else None,
        "published": seconds("published") if waits else None, "waited": seconds("waited") if waits else None,
        "transferred": seconds("transferred") if waits else None,
    }
