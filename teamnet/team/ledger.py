"""The ledger: what the units of a run have said to each other, and where their time went.

Units count what they publish, the coordinator counts its steps; who reads what follows from the architecture. A
message is one publication for one reader, on the board as by actor calls, so that the counts compare rules, schedules
and grains and not the cleverness of a transport. What links between nodes really carried, once for all readers of a
node, is counted by the relay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from teamnet.kernels.constants import BYTES_OF_NUMBER
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.team.critical_path import exchanges_per_step
from teamnet.units.layout import LEDGER
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import rounds

_NUMBER = 8
"""Bytes of a float64."""
COORDINATOR_NODE = 0
OBSERVATION, ACTIVATION, ERROR, ACTION, TD_ERROR, GATE, CONTROL = EDGES = (
    "observation", "activation", "error", "action", "td_error", "gate", "control"
)
"""Kinds of edges.

Activations go up, error activations down; the TD error says too which rows keep their trace; control says which rows
begin an episode, to units that go on from their last values, and pauses.
"""


class Traffic(NamedTuple):
    """So many messages, and the bytes of what they say."""

    messages: int = 0
    bytes: int = 0

    def plus(self, more: Traffic, readers: int) -> Traffic:
        """With what so many readers are told."""
        return Traffic(self.messages + readers * more.messages, self.bytes + readers * more.bytes)


@dataclass(frozen=True)
class Ledger:
    """Of some steps of a run.

    Args:
        steps: of the whole batch of environments, since this process began or took up the run.
        exchanges: from one unit to the next on the longest way through a step; ``None`` without a common tick.
        edges: by kind.
        same_node, between_nodes: by link.
        relay: what links between nodes have carried: ``messages``, ``bytes`` with their headers, and ``writes``.
        units: what each unit has done in an average step: ``name``, ``node``, and seconds ``computed``, ``published``,
            ``waited``, and of this last ``transferred``, after the last input was complete on the unit's node: what
            waking up and the memory cost. The last three are ``None`` where nobody waits, as in one process, and all
            four where no step was timed: in very short runs, and without a common tick.
    """

    steps: int
    exchanges: int | None
    edges: Mapping[str, Traffic]
    same_node: Traffic
    between_nodes: Traffic
    relay: Mapping[str, int]
    units: Sequence[Mapping[str, Any]]

    @property
    def total(self) -> Traffic:
        """Of all edges."""
        return Traffic(*(sum(column) for column in zip(*self.edges.values(), strict=True)))

    @property
    def straggler(self) -> str | None:
        """The unit for which the others wait: the one that is busiest in a step; ``None`` if no step was timed."""
        if any(unit["computed"] is None for unit in self.units):
            return None
        return max(self.units, key=lambda unit: unit["computed"] + (unit["published"] or 0.0))["name"]

    def as_plain(self) -> dict[str, Any]:
        """JSON types: totals, and what one step comes to."""
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
            "links": {
                "same_node": show(self.same_node), "between_nodes": show(self.between_nodes), "relay": dict(self.relay),
            },
            "straggler": self.straggler, "units": [dict(unit) for unit in self.units],
        }


def foretell(
    teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], nodes: Sequence[int] | None = None
) -> Ledger:
    """The ledger of one step before anything has run, without times: what the schedules say that units publish.

    Args:
        teams: the layers of every team.
        units: all units in canonical order.
        nodes: each unit's node; one for all if left out.
    """
    schedules = [schedule_of(unit.layer) for unit in units]
    counts = [
        dict.fromkeys(LEDGER, 0) | {
            "sent_activations": rounds(its, "activation"), "sent_errors": rounds(its, "error"),
            "sent_gates": rounds(its, "shown_gate"),
        }
        for its in schedules
    ]
    return book(teams, units, nodes or [COORDINATOR_NODE] * len(units), counts, {}, steps=1, pauses=0)


class _Message(NamedTuple):
    kind: str
    source: int
    readers: Mapping[int, int]
    said: Traffic


def book(
    teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], nodes: Sequence[int],
    counts: Sequence[Mapping[str, int]], relay: Mapping[str, int], *, steps: int, pauses: int,
    free_running: bool = False,
) -> Ledger:
    """Make the ledger of a run.

    Args:
        teams: the layers of every team.
        units: all units in canonical order.
        nodes: each unit's node.
        counts: each unit's :meth:`teamnet.units.unit.Unit.counts`.
        relay: sums over all links between nodes.
        steps: that the coordinator has counted.
        pauses: how often it has paused the run.
        free_running: whether there is no common tick.
    """
    edges = {kind: Traffic() for kind in EDGES}
    same = between = Traffic()
    for kind, source, readers, said in _messages(units, nodes, counts, steps, pauses):
        here, all_readers = readers.get(source, 0), sum(readers.values())
        edges[kind] = edges[kind].plus(said, all_readers)
        same = same.plus(said, here)
        between = between.plus(said, all_readers - here)
    return Ledger(
        steps, None if free_running else exchanges_per_step(teams), edges, same, between, relay,
        [_times(unit, node, its) for unit, node, its in zip(units, nodes, counts, strict=True)],
    )


def _messages(
    units: Sequence[UnitSpec], nodes: Sequence[int], counts: Sequence[Mapping[str, int]], steps: int, pauses: int
) -> Iterator[_Message]:
    where: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
    for unit, node in zip(units, nodes, strict=True):
        where[unit.layer.team, unit.layer.number][node] += 1
        where[unit.layer.team, 0][node] += 1  # of the whole team
    for unit, node, its in zip(units, nodes, counts, strict=True):
        layer, signal = unit.layer, _NUMBER * unit.layer.rows
        team, number, size = layer.team, layer.number, signal * unit.size
        errors = layer.error_size if layer.ships else unit.size

        def every_step(size: int) -> Traffic:
            return Traffic(steps, steps * size)

        if not layer.is_told_from_above:
            yield _Message(TD_ERROR, COORDINATOR_NODE, {node: 1}, every_step(signal * layer.signals))
        if layer.begins_anew:
            yield _Message(CONTROL, COORDINATOR_NODE, {node: 1}, every_step(signal))
        yield _Message(CONTROL, COORDINATOR_NODE, {node: 1}, Traffic(pauses, pauses * _NUMBER))
        if layer.is_first:
            yield _Message(OBSERVATION, COORDINATOR_NODE, {node: 1}, every_step(signal * layer.fan_in))
        else:
            second = its["sent_errors"] * signal * errors * (layer.channels - 1)
            said = _said(unit, its, "errors", errors).plus(Traffic(0, second), 1)
            below = where[team, number - 1]
            yield _Message(ERROR, node, below, said)
            if layer.passes_down:  # in the same messages
                carried = its["sent_errors"] * signal
                yield _Message(TD_ERROR, node, below, Traffic(0, carried * layer.signals))
                yield _Message(GATE, node, below, Traffic(0, carried * layer.gated))
        if not layer.is_last:
            yield _Message(ACTIVATION, node, where[team, number + 1], _said(unit, its, "activations", unit.size))
            continue
        yield _Message(ACTION, node, {COORDINATOR_NODE: 1}, every_step(size + (signal if layer.gated else 0)))
        if layer.gated and not layer.passes_down:
            shown = Traffic(its["sent_gates"], its["sent_gates"] * signal)
            yield _Message(GATE, node, where[team, 0] - Counter({node: 1}), shown)


def _said(unit: UnitSpec, counts: Mapping[str, int], kind: str, size: int) -> Traffic:
    """What a unit's publications say: their numbers, with 8 bits a scale, and where some may be missing, which."""
    layer, numbers = unit.layer, unit.layer.rows * size
    sent = counts[f"sent_{kind}"]
    messages = sent - counts[f"silent_{kind}"]
    of_message = (_NUMBER if layer.wire == "int8" else 0) + (-(-numbers // 8) if layer.tolerance else 0)
    said = (sent * numbers - counts[f"held_{kind}"]) * BYTES_OF_NUMBER[layer.wire]
    return Traffic(messages, said + messages * of_message)


def _times(unit: UnitSpec, node: int, counts: Mapping[str, int]) -> dict[str, Any]:
    def seconds(name: str) -> float:
        return round(counts[name] / max(1, counts["timed_steps"]) / 1e9, 9)

    timed, waits = counts["computed"] > 0, counts["waited"] > 0
    return {
        "name": unit.name, "node": node, "computed": seconds("computed") if timed else None,
        "published": seconds("published") if waits else None, "waited": seconds("waited") if waits else None,
        "transferred": seconds("transferred") if waits else None,
    }
