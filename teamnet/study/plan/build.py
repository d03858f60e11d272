"""From a run, a machine and a cluster to the numbers that are simulated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from teamnet.board.link import HEADER
from teamnet.board.routes import Routes
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.protocol import (
    COORDINATE,
    COORDINATOR,
    ENVIRONMENT,
    Activity,
    part_bytes,
    protocol_of,
    units_by_layer,
)
from teamnet.study.plan.world import World
from teamnet.team.resources import unit_bytes


def build_world(
    teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], nodes: Sequence[int], machine: Machine,
    cluster: Cluster, environment: float,
) -> World:
    """The world of a run on boards.

    Args:
        teams: the layers of every team.
        units: all units in canonical order.
        nodes: each unit's node.
        machine: what things cost.
        cluster: the nodes.
        environment: seconds of a step of all environments.
    """
    protocol, members = protocol_of(teams), units_by_layer(units)
    slots = {slot: number for number, slot in enumerate(protocol.rounds)}
    layers: dict[tuple[object, object], LayerSpec] = {(its.team, its.number): its for team in teams for its in team}
    kinds, kind_of = _kinds(units)
    chosen = [(COORDINATOR, None), *(((unit.layer.team, unit.layer.number), unit) for unit in kinds)]
    held = working_set(units, nodes, cluster)
    activities = [[(its, unit) for its in protocol.activities[group]] for group, unit in chosen]
    begins = np.cumsum([0, *(len(its) for its in activities)])
    flat = [pair for its in activities for pair in its]

    def seconds(activity: Activity, unit: UnitSpec | None) -> float:
        if unit is not None and activity.operation is not None:
            return machine.cold + machine.seconds(activity.operation, unit, held)
        return {COORDINATE: machine.coordinator, ENVIRONMENT: environment}.get(activity.operation or COORDINATE, 0.0)

    routes = Routes(teams, units, nodes)
    count = cluster.nodes
    where = np.array([0, *nodes])
    writers = np.zeros((len(slots), count), np.int64)
    readers: list[list[int]] = [[] for _ in range(len(slots) * count)]
    processes = {COORDINATOR: [0]} | {group: [number + 1 for number in its] for group, its in members.items()}
    for group, numbers in processes.items():
        writes = {slots[slot] for its in protocol.activities[group] for slot in its.publishes}
        reads = {slots[slot] for its in protocol.activities[group] for slot, _ in its.needs}
        for number in numbers:
            for slot in writes:
                writers[slot, where[number]] += 1
            for slot in reads:
                readers[slot * count + where[number]].append(number)
    targets = [sorted(routes.readers.get(slot, ())) if protocol.rounds[slot] else [] for slot in slots]
    rows = teams[0][0].rows
    size = np.zeros(writers.shape)
    for slot, number in slots.items():
        for node in np.flatnonzero(writers[number]):
            size[number, node] = part_bytes(routes, slot, int(node), layers, rows, HEADER)
    kind = np.array([0, *(1 + its for its in kind_of)])
    pool, cores = cluster.pools()
    return World(
        first=begins[kind], length=np.diff(begins)[kind], seconds=np.array([seconds(*its) for its in flat]),
        **_chain("needs", "needed", [[(slots[slot], at) for slot, at in its.needs] for its, _ in flat], width=2),
        **_chain("shows", "shown", [[slots[slot] for slot in its.publishes] for its, _ in flat]),
        node=where, writers=writers, parts=np.maximum(1, (writers > 0).sum(1)),
        rounds=np.array(list(protocol.rounds.values())),
        every=np.array([max(1, protocol.every[slot]) for slot in slots]),
        **_chain("readers", "read", readers), **_chain("targets", "target", targets), size=size,
        pool=np.array(pool), cores=np.cumsum([0, *cores]).astype(np.int64),
        costs=costs_of(machine, cluster),
    )


def working_set(units: Sequence[UnitSpec], nodes: Sequence[int], cluster: Cluster) -> int:
    """Bytes of the arrays of all units that share caches, where they are most."""
    pool, _ = cluster.pools()
    held: Counter[int] = Counter()
    for unit, node in zip(units, nodes, strict=True):
        held[pool[node]] += unit_bytes(unit)
    return max(held.values())


def costs_of(machine: Machine, cluster: Cluster) -> np.ndarray:
    """What is the same for all processes and messages, as :class:`World` has it."""
    return np.array([
        machine.switch, machine.idle, machine.wake, machine.send, machine.receive, cluster.link_latency,
        1.0 / cluster.link_bandwidth if cluster.link_bandwidth else 0.0, machine.publish, machine.look, machine.sleep,
        machine.jitter,
    ])


def _kinds(units: Sequence[UnitSpec]) -> tuple[list[UnitSpec], list[int]]:
    """One unit for all that are alike, and of each unit which one that is."""
    kinds: dict[tuple[object, ...], int] = {}
    examples: list[UnitSpec] = []
    found = []
    for unit in units:
        key = unit.layer.team, unit.layer.number, unit.size
        if key not in kinds:
            kinds[key] = len(examples)
            examples.append(unit)
        found.append(kinds[key])
    return examples, found


def _chain(values: str, begins: str, rows: Sequence[Sequence[object]], width: int = 1) -> dict[str, np.ndarray]:
    """All rows one after the other, and where each begins."""
    flat = np.array([its for row in rows for its in row], np.int64)
    return {
        values: flat.reshape(-1, width) if width > 1 else flat,
        begins: np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64),
    }
