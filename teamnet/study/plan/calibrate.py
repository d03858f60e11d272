"""Calibration: short runs from which the costs of a machine are fitted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import OptimizeResult, minimize, nnls

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.memory import session_bytes
from teamnet.study.plan.build import build_world, costs_of
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.operations import endless, measure_operations, measure_wide, usual_rate
from teamnet.study.plan.predict import board_seconds, environment_seconds, places, steps_of
from teamnet.study.rates import rate
from teamnet.team.resources import ACTOR_BYTES, RAY_BYTES
from teamnet.training.run import Run

_MAP, _BACKPROP = MapPropagation.name, Backpropagation.name
_CALL_STEPS = 15
GUESS = {"switch": 1e-6, "idle": 2e-5, "sleep": 1.5e-5, "look": 2e-7, "publish": 2e-7, "wake": 5e-6}
_RELAY_GUESS = {"send": 1e-5, "receive": 1e-5}
_PRIOR_WEIGHT = 0.003
"""The weight of a guess relative to a run: a cost that the runs do not determine keeps its guess."""
_STRIDE, _TRIALS, _RESTARTS = 0.5, 200, 3
"""The search for costs: the initial step in natural logarithms, the most evaluations, and the restarts."""


ON_RAY = (
    (endless(_MAP), LaunchSpec()), (endless("tuned"), LaunchSpec()), (endless(_MAP, (64, 32), 16), LaunchSpec()),
    (endless(_MAP), LaunchSpec(grain="block:8")), (endless(_BACKPROP), LaunchSpec(grain="block:8")),
)
"""Runs on Ray, from which the costs of waiting and waking are fitted."""
BETWEEN_NODES = (
    (endless(_MAP), LaunchSpec(placement="by-layer")), (endless("tuned"), LaunchSpec(placement="by-layer")),
    (endless("tuned"), LaunchSpec(placement="by-team")),
)
"""Runs on several nodes, from which the costs of sending and receiving are fitted."""


@dataclass(frozen=True)
class Measured:
    """The measurements of one run: times of a step, of its environment, of all computation in it, and of its start.

    ``seconds`` is of a step of the whole batch; ``memory`` is in bytes.
    """

    teams: Sequence[Sequence[LayerSpec]]
    units: Sequence[UnitSpec]
    launch: LaunchSpec
    environment: float
    seconds: float
    computed: float
    startup_seconds: float
    memory: int


def calibrate(cluster: Cluster, address: str, say: Callable[[str], None]) -> Machine:
    """Measure this machine, in about seven minutes; nothing else should run on it meanwhile.

    Args:
        cluster: the nodes. With two or more, the cost of a message at its two ends is measured too; otherwise the usual
            costs over the loopback interface are assumed.
        address: of a Ray cluster; if empty, a private one on this machine.
        say: called with the name of each measurement.

    Raises:
        TeamnetError: a run failed.
    """
    machine = replace(measure_operations(cluster.cpus, say), **GUESS, **_RELAY_GUESS)
    machine = _measure_waiting(machine, address, say)
    machine = _measure_calls(machine, address, say)
    machine = measure_wide(machine, address, say)
    return machine if cluster.nodes == 1 else _measure_links(machine, cluster, address, say)


def _measure_links(machine: Machine, cluster: Cluster, address: str, say: Callable[[str], None]) -> Machine:
    found = []
    for number, (spec, launch) in enumerate(BETWEEN_NODES, 1):
        say(f"links between nodes, {number} of {len(BETWEEN_NODES)}")
        found.append(_measure(spec, replace(launch, address=address)))
    return fit_simulated(machine, found, _RELAY_GUESS, cluster)


def _measure(spec: RunSpec, launch: LaunchSpec) -> Measured:
    run = Run(spec, launch)
    try:
        speed = usual_rate(run)
        computed = sum(float(unit["computed"] or 0.0) for unit in run.ledger().units)
        return Measured(
            run.teams, run.units, launch, environment_seconds(spec), spec.num_envs / speed, computed,
            run.startup_seconds, session_bytes(),
        )
    finally:
        run.close()


def _measure_waiting(machine: Machine, address: str, say: Callable[[str], None]) -> Machine:
    found = []
    for number, (spec, launch) in enumerate(ON_RAY, 1):
        say(f"actors on boards, {number} of {len(ON_RAY)}")
        found.append(_measure(spec, replace(launch, address=address)))
    later = [(run.computed - _computed(machine, run)) / steps_of(run.teams, run.units) for run in found if run.computed]
    machine = replace(machine, cold=max(0.0, statistics.median(later)) if later else 0.0)
    actors = np.array([len(run.units) for run in found], float)
    memory, memory_actor = _line(actors, [run.memory for run in found])
    startups = [run.startup_seconds for run in found[1:]]  # the first may have compiled
    base, per_actor = _line(np.ceil(actors[1:] / machine.cpus), startups)
    if address:  # its processes do not descend from this one
        memory, memory_actor = RAY_BYTES, ACTOR_BYTES
    machine = replace(
        machine, memory=int(memory), memory_actor=int(memory_actor), startup=base, startup_actor=per_actor
    )
    return fit_simulated(machine, found, GUESS, Cluster(1, machine.cpus))


def _line(positions: np.ndarray, values: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope of the line fitted to values, neither below 0."""
    (base, rise), _ = nnls(np.stack([np.ones(len(positions)), positions], 1), np.array(values, float))
    return float(base), float(rise)


def _computed(machine: Machine, run: Measured) -> float:
    steps = Dataflow(run.teams).steps
    return sum(machine.seconds(step.operation, unit) for unit in run.units for step in steps[unit.layer.group])


def fit_simulated(
    machine: Machine, found: Sequence[Measured], guess: Mapping[str, float], cluster: Cluster
) -> Machine:
    """Fit the costs that have a guess so that the ratios of simulated to measured rates are nearest to 1."""
    names, start = tuple(guess), np.log(list(guess.values()))
    simulations = [
        build_world(
            Dataflow(run.teams), run.units, places(run.launch, run.teams, run.units, cluster), machine, cluster,
            run.environment,
        ) for run in found
    ]

    def with_costs(logarithms: np.ndarray) -> Machine:
        return replace(machine, **dict(zip(names, np.exp(logarithms).tolist(), strict=True)))

    def miss(logarithms: np.ndarray) -> float:
        costs = costs_of(with_costs(logarithms), cluster)
        ratios = np.log([
            board_seconds(inputs._replace(costs=costs)) / run.seconds
            for inputs, run in zip(simulations, found, strict=True)
        ])
        return float((ratios**2).sum() + _PRIOR_WEIGHT * ((logarithms - start) ** 2).sum())

    def search(begin: np.ndarray) -> OptimizeResult:  # the objective is not continuous: no gradient
        simplex = np.vstack([begin, begin + _STRIDE * np.eye(len(begin))])
        return minimize(miss, begin, method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": _TRIALS})

    generator = np.random.default_rng(0)
    begins = [start, *(start + generator.normal(0.0, _STRIDE, (_RESTARTS, len(start))))]
    return with_costs(min((search(begin) for begin in begins), key=lambda result: result.fun).x)


def _measure_calls(machine: Machine, address: str, say: Callable[[str], None]) -> Machine:
    say("actor calls")
    run = Run(endless("tuned"), LaunchSpec(transport="ray", address=address))
    try:
        rate(run, 3)
        seconds = 1.0 / rate(run, _CALL_STEPS)
        return replace(machine, call=seconds / steps_of(run.teams, run.units))
    finally:
        run.close()
