"""The prediction of a run: its speed, its messages, and its resources."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from teamnet.board.board import board_size
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import SpecError
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.plan.build import build_world
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.simulation import simulate
from teamnet.study.plan.simulation_input import SimulationInput
from teamnet.team.ledger import expected_traffic
from teamnet.team.partition import divide_all
from teamnet.team.placement import needs, place
from teamnet.team.resources import array_bytes, unit_bytes
from teamnet.training.launch import check_specs
from teamnet.training.make_task import make_task

_WARM_UP, _STEPS_OF_MANY, _STEPS = 1, 3, 40
_MESSAGES = 5_000
"""Messages that are simulated at least, in 3 to 40 steps."""
_ENVIRONMENT_SECONDS = 0.2


@dataclass(frozen=True)
class Prediction:
    """The prediction of a run.

    Args:
        actors, nodes: their numbers.
        env_steps_per_second: of all environments together.
        messages_per_step, bytes_per_step, bytes_between_nodes, exchanges_per_step: as the ledger counts them, of a
            step of the whole batch.
        memory: bytes of the node that needs most.
        startup_seconds: until the first step, with kernels that are compiled.
    """

    actors: int
    nodes: int
    env_steps_per_second: float
    messages_per_step: int
    bytes_per_step: int
    bytes_between_nodes: int
    exchanges_per_step: int | None
    memory: int
    startup_seconds: float

    def as_plain(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


def environment_seconds(spec: RunSpec) -> float:
    """Seconds of a step of all environments on this machine, with random actions."""
    task = make_task(spec)
    try:
        task.begin()
        size = task.interface.action_size if spec.actor else 2
        outputs = np.random.default_rng(0).standard_normal((64, spec.num_envs, size))
        times = []
        begun = time.perf_counter()
        while (now := time.perf_counter()) < begun + _ENVIRONMENT_SECONDS or len(times) < 3:
            task.step(outputs[len(times) % 64])
            if task.interface.single_step:
                task.begin()
            times.append(time.perf_counter() - now)
        return float(np.median(times))
    finally:
        task.close()


def predict(
    spec: RunSpec, launch: LaunchSpec, machine: Machine, cluster: Cluster, environment: float | None = None
) -> Prediction:
    """Predict a run from its spec; of the run only the environment is started, to time it.

    Args:
        spec, launch: the run. An emulated link adds to the cluster's latency.
        machine: the costs of every node.
        cluster: the nodes.
        environment: seconds of a step of all environments; timed on this machine if left out.

    Raises:
        TeamnetError: the run would be refused.
    """
    teams, units, nodes = lay_out(spec, launch, cluster)
    local = launch.backend == "local"
    environment = environment_seconds(spec) if environment is None else environment
    if local:
        seconds = local_seconds(teams, units, machine) + environment
    elif launch.transport == "ray":
        seconds = steps_of(teams, units) * machine.call + environment
    else:
        seconds = board_seconds(build_world(Dataflow(teams), units, nodes, machine, cluster, environment))
    ledger = expected_traffic(Dataflow(teams), units, nodes)
    total, between = ledger.total, ledger.between_nodes
    actors = 0 if local else len(units)
    remote = len(set(nodes) - {0})  # each has an actor that manages its board
    started = actors + remote if cluster.shared_cpus else max(nodes.count(node) + (node > 0) for node in {0, *nodes})
    cores = cluster.cores_of(0)
    return Prediction(
        actors=actors, nodes=len(set(nodes) | {0}), env_steps_per_second=spec.num_envs / seconds,
        messages_per_step=total.messages, bytes_per_step=total.bytes, bytes_between_nodes=between.bytes,
        exchanges_per_step=ledger.exchanges, memory=_memory(teams, units, nodes, machine, local=local),
        startup_seconds=0.0 if local else machine.startup + machine.startup_actor * math.ceil(started / cores),
    )


def lay_out(
    spec: RunSpec, launch: LaunchSpec, cluster: Cluster
) -> tuple[list[list[LayerSpec]], list[UnitSpec], list[int]]:
    """The layers of every team, all units, and the node of each unit: all that is checked before a calibration.

    Raises:
        TeamnetError: the run would be refused, or cannot be predicted.
    """
    check_specs(spec, launch)
    check_tick(spec)
    teams = teams_of(spec)
    units = divide_all(teams, launch.grain, spec.seed)
    return teams, units, places(launch, teams, units, cluster)


def check_tick(spec: RunSpec) -> None:
    """Refuse free-running units, of which no step can be predicted or traced.

    Raises:
        SpecError: they are.
    """
    if spec.rule.runs_free:
        raise SpecError(
            "free_running", expected="a run with a common tick", found="one without",
            remedy="Leave --free-running out: free-running units wait for no other unit, and each sets its own speed.",
        )


def teams_of(spec: RunSpec) -> list[list[LayerSpec]]:
    """The layers of every team of a run, without starting it.

    Raises:
        TeamnetError: its environment is refused, or its values do not fit its depth.
    """
    task = make_task(spec)
    try:
        return build_teams(fit_depth(spec, task.interface), task.interface)
    finally:
        task.close()


def places(
    launch: LaunchSpec, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], cluster: Cluster
) -> list[int]:
    """Each unit's node; on a single node nothing is reserved.

    Raises:
        ResourceError: the cluster cannot hold the run.
        SpecError: the placement names a node that does not exist.
    """
    if launch.backend == "local" or cluster.nodes == 1:
        return [0] * len(units)
    return place(launch.placement, units, needs(teams, units), cluster.hosts()[: launch.max_nodes or None])


def local_seconds(teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], machine: Machine) -> float:
    """Seconds of a step of all units in one process, with the coordinator, without the environment."""
    steps, held = Dataflow(teams).steps, sum(map(unit_bytes, units))
    work = sum(machine.seconds(step.operation, unit, held) for unit in units for step in steps[unit.layer.group])
    return machine.coordinator + steps_of(teams, units) * machine.turn + work


def operations_of(teams: Sequence[Sequence[LayerSpec]]) -> set[str]:
    """The operations of all units in an environment step."""
    flow = Dataflow(teams)
    return {step.operation for group in flow.layers for step in flow.steps[group]}


def steps_of(teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec]) -> int:
    """Steps of all units in an environment step."""
    steps = Dataflow(teams).steps
    return sum(len(steps[unit.layer.group]) for unit in units)


def board_seconds(inputs: SimulationInput) -> float:
    """Simulated seconds of a step of actors on boards: the mean of some steps after the first.

    Raises:
        SpecError: the schedules deadlock.
    """
    of_step = int((inputs.parts * np.diff(inputs.target) * inputs.rounds).sum())
    steps = min(_STEPS, max(_STEPS_OF_MANY, _MESSAGES // of_step))
    ends = simulate(inputs, steps)
    if np.isnan(ends).any():
        raise SpecError(
            "steps", expected="an order in which all steps can run", found="none", remedy="Change the rule's steps."
        )
    return float((ends[-1] - ends[_WARM_UP - 1]) / (steps - _WARM_UP))


def _memory(
    teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec], nodes: Sequence[int], machine: Machine, *,
    local: bool,
) -> int:
    """Bytes of the node that needs most."""
    if local:
        return array_bytes(teams) + board_size(Dataflow(teams))
    held = {0: 0}
    for unit, node in zip(units, nodes, strict=True):
        held[node] = held.get(node, 0) + machine.memory_actor + unit_bytes(unit)
    return max(held.values()) + machine.memory + board_size(Dataflow(teams))
