"""Builds the simulation's input from a run, a machine and a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from teamnet.board.link import HEADER
from teamnet.board.routes import Routes
from teamnet.dataflow.graph import ENVIRONMENT, GIVE, Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.dataflow.slots import COORDINATOR, Group, Step
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.simulation_input import SimulationInput
from teamnet.team.resources import unit_bytes


def build_world(
    flow: Dataflow, units: Sequence[UnitSpec], nodes: Sequence[int], machine: Machine, cluster: Cluster,
    environment: float,
) -> SimulationInput:
    """The simulation's input for a run on boards.

    Args:
        flow: the dataflow of the run.
        units: all units in canonical order.
        nodes: each unit's node.
        machine: the calibrated costs.
        cluster: the nodes.
        environment: seconds of a step of all environments.
    """
    published = flow.published()
    slots = {slot.key: number for number, slot in enumerate(published)}
    kinds, kind_of = _kinds(units)
    held = working_set(units, nodes, cluster)
    activities: list[list[tuple[Step, UnitSpec | None]]] = [[(step, None) for step in flow.steps[COORDINATOR]]]
    activities.extend([(step, unit) for step in flow.steps[unit.layer.group]] for unit in kinds)
    begins = np.cumsum([0, *(len(row) for row in activities)])
    flat = [pair for row in activities for pair in row]

    def seconds(step: Step, unit: UnitSpec | None) -> float:
        if unit is not None:
            return machine.cold + machine.seconds(step.operation, unit, held)
        return {GIVE: machine.coordinator, ENVIRONMENT: environment}.get(step.operation, 0.0)

    def shown(step: Step) -> list[int]:
        return [slots[write.slot] for write in step.published if write.slot in slots]

    routes = Routes(flow, units, nodes)
    count = cluster.nodes
    where = np.array([0, *nodes])
    writers = np.zeros((len(slots), count), np.int64)
    readers: list[list[int]] = [[] for _ in range(len(slots) * count)]
    processes: dict[Group, list[int]] = {COORDINATOR: [0]}
    for number, unit in enumerate(units, 1):
        processes.setdefault(unit.layer.group, []).append(number)
    for slot in published:
        for number in processes[slot.writer]:
            writers[slots[slot.key], where[number]] += 1
        for group in flow.readers(slot.key):
            for number in processes[group]:
                readers[slots[slot.key] * count + where[number]].append(number)
    size = np.zeros(writers.shape)
    for slot in published:
        for node in routes.writers(slot):
            size[slots[slot.key], node] = HEADER + routes.packed_bytes(slot, node)
    kind = np.array([0, *(1 + index for index in kind_of)])
    pool, cores = cluster.pools()
    return SimulationInput(
        first=begins[kind], length=np.diff(begins)[kind], seconds=np.array([seconds(*pair) for pair in flat]),
        **_chain(
            "needs", "needed", [[(slots[key], number + 1) for key, number in step.awaited] for step, _ in flat], width=2
        ),
        **_chain("shows", "shown", [shown(step) for step, _ in flat]),
        node=where, writers=writers, parts=np.maximum(1, (writers > 0).sum(1)),
        rounds=np.array([flow.rounds(slot.key) for slot in published]),
        every=np.array([flow.travelling(slot.key) for slot in published]),
        **_chain("readers", "read", readers),
        **_chain("targets", "target", [sorted(routes.readers(slot)) for slot in published]), size=size,
        pool=np.array(pool), cores=np.cumsum([0, *cores]).astype(np.int64),
        latency=cluster.latencies(), byte_seconds=cluster.byte_seconds(), slowness=cluster.slowness(),
        costs=costs_of(machine),
    )


def working_set(units: Sequence[UnitSpec], nodes: Sequence[int], cluster: Cluster) -> int:
    """Bytes of the arrays of all units that share caches; the maximum over the sets of cores."""
    pool, _ = cluster.pools()
    held: Counter[int] = Counter()
    for unit, node in zip(units, nodes, strict=True):
        held[pool[node]] += unit_bytes(unit)
    return max(held.values())


def costs_of(machine: Machine) -> np.ndarray:
    """The costs that all processes and messages share, in the order of ``costs`` in :class:`SimulationInput`."""
    return np.array([
        machine.switch, machine.idle, machine.wake, machine.send, machine.receive, machine.publish, machine.look,
        machine.sleep, machine.jitter,
    ])


def _kinds(units: Sequence[UnitSpec]) -> tuple[list[UnitSpec], list[int]]:
    """One example of each kind of unit, and the kind of each unit."""
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
    """All rows concatenated, and where each begins."""
    flat = np.array([entry for row in rows for entry in row], np.int64)
    return {
        values: flat.reshape(-1, width) if width > 1 else flat,
        begins: np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64),
    }
