"""From a run, a machine and a cluster to the numbers that are simulated."""

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
        machine: what things cost.
        cluster: the nodes.
        environment: seconds of a step of all environments.
    """
    published = flow.published()
    slots = {slot.key: number for number, slot in enumerate(published)}
    kinds, kind_of = _kinds(units)
    held = working_set(units, nodes, cluster)
    activities: list[list[tuple[Step, UnitSpec | None]]] = [[(step, None) for step in flow.steps[COORDINATOR]]]
    activities.extend([(step, unit) for step in flow.steps[unit.layer.group]] for unit in kinds)
    begins = np.cumsum([0, *(len(its) for its in activities)])
    flat = [pair for its in activities for pair in its]

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
    kind = np.array([0, *(1 + its for its in kind_of)])
    pool, cores = cluster.pools()
    return SimulationInput(
        first=begins[kind], length=np.diff(begins)[kind], seconds=np.array([seconds(*its) for its in flat]),
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
