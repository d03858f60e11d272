"""Calibration: short runs from which the costs of a machine are fitted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, minimize, nnls

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.registry import is_built_in
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.memory import session_bytes
from teamnet.study.plan.build import build_world, costs_of
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import CALLS, LINKS, PARTS, WAITING, WIDE, Machine
from teamnet.study.plan.operations import (
    GUESS,
    QUICK,
    RELAY_GUESS,
    USUAL,
    endless,
    is_large,
    measure_large,
    measure_operations,
    measure_operations_of,
    measure_wide,
    missing_operations,
    new_machine,
    usual_rate,
)
from teamnet.study.plan.predict import board_seconds, environment_seconds, places, steps_of
from teamnet.study.rates import ENDLESS, Precision, rate
from teamnet.team.resources import ACTOR_BYTES, RAY_BYTES
from teamnet.training.run import Run

_MAP, _BACKPROP = MapPropagation.name, Backpropagation.name
_CALL_STEPS = 15
_QUICK_HIDDEN, _QUICK_GRAIN = (64, 32), "block:16"
"""Of the runs from which a quick calibration fits the costs of waiting."""
_PRIOR_WEIGHT = 0.003
"""The weight of a guess relative to a run: a cost that the runs do not determine keeps its guess."""
_STRIDE = 0.5
"""The initial step of a search for costs, in natural logarithms."""


class Effort(NamedTuple):
    """How thoroughly costs are searched for: the most evaluations of a search, and how often it is started again."""

    trials: int
    restarts: int


THOROUGH, _BRIEF = Effort(200, 3), Effort(60, 0)


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
    """Measure this machine in full, in about seven minutes; nothing else should run on it meanwhile.

    Args:
        cluster: the nodes. With two or more, the cost of a message at its two ends is measured too; otherwise the usual
            costs over the loopback interface are assumed.
        address: of a Ray cluster; if empty, a private one on this machine.
        say: called with the name of each measurement.

    Raises:
        TeamnetError: a run failed.
    """
    machine = measure_operations(new_machine(), say)
    machine = _measure_waiting(machine, ON_RAY, address, USUAL, say)
    machine = measure_wide(_measure_calls(machine, address, say), address, say)
    parts: tuple[str, ...] = (WAITING, CALLS, WIDE)
    if cluster.nodes > 1:
        machine, parts = _measure_links(machine, BETWEEN_NODES, cluster, address, USUAL, say), PARTS
    return replace(machine, full=True, parts=parts)


def with_needed(
    machine: Machine, runs: Sequence[tuple[RunSpec, LaunchSpec]], cluster: Cluster, address: str,
    say: Callable[[str], None],
) -> Machine:
    """The machine with all that predictions of some runs need; what it lacks is measured.

    That takes some 25 seconds for the first run on Ray, and 5 for each further rule or schedule. Operations of a user's
    rule are measured anew by each call, and replace those of this package that it uses. The cost of a message between
    nodes at its two ends is measured on a cluster that was probed, and else assumed.

    Raises:
        TeamnetError: a run failed.
    """
    own: set[type] = set()
    for spec, launch in runs:
        kind = type(spec.rule)
        if missing_operations(machine, spec) and kind not in own:
            machine = measure_operations_of(machine, spec, say)
            own |= set() if is_built_in(kind) else {kind}
        if is_large(machine, spec):
            machine = measure_large(machine, spec, say)
        if launch.backend != "local":
            machine = _with_part(machine, spec, launch, address, say)
    between = [spec for spec, launch in runs if launch.transport == "board" and launch.backend != "local"]
    if between and address and cluster.probe and cluster.nodes > 1 and LINKS not in machine.parts:
        small = _small(between[0])
        placed = [(small, LaunchSpec(placement=placement)) for placement in ("by-layer", "by-team")]
        machine = _measure_links(machine, placed, cluster, address, QUICK, say)
        machine = replace(machine, parts=(*machine.parts, LINKS))
    return machine


def _small(spec: RunSpec) -> RunSpec:
    """A run of the same rule, from which a quick calibration fits the costs of waiting and of links."""
    hidden = _QUICK_HIDDEN if len(spec.hidden) == 2 else tuple(min(64, size) for size in spec.hidden)
    return replace(spec, hidden=hidden, num_envs=1, env_steps=ENDLESS, episodes=None)


def _with_part(
    machine: Machine, spec: RunSpec, launch: LaunchSpec, address: str, say: Callable[[str], None]
) -> Machine:
    """The machine with the costs of the run's transport."""
    part = CALLS if launch.transport == "ray" else WAITING
    if part in machine.parts:
        return machine
    if part == CALLS:
        machine = _measure_calls(machine, address, say)
    else:
        small = _small(spec)
        runs = [(small, LaunchSpec()), (small, LaunchSpec(grain=_QUICK_GRAIN))]
        machine = _measure_waiting(machine, runs, address, QUICK, say)
    return replace(machine, parts=(*machine.parts, part))


def _measure_links(
    machine: Machine, runs: Sequence[tuple[RunSpec, LaunchSpec]], cluster: Cluster, address: str, precision: Precision,
    say: Callable[[str], None],
) -> Machine:
    found = []
    for number, (spec, launch) in enumerate(runs, 1):
        say(f"links between nodes, {number} of {len(runs)}")
        found.append(_measure(spec, replace(launch, address=address), precision))
    return fit_simulated(machine, found, RELAY_GUESS, cluster, THOROUGH if precision == USUAL else _BRIEF)


def _measure(spec: RunSpec, launch: LaunchSpec, precision: Precision) -> Measured:
    run = Run(spec, launch)
    try:
        speed = usual_rate(run, precision)
        computed = sum(float(unit["computed"] or 0.0) for unit in run.ledger().units)
        return Measured(
            run.teams, run.units, launch, environment_seconds(spec), spec.num_envs / speed, computed,
            run.startup_seconds, session_bytes(),
        )
    finally:
        run.close()


def _measure_waiting(
    machine: Machine, runs: Sequence[tuple[RunSpec, LaunchSpec]], address: str, precision: Precision,
    say: Callable[[str], None],
) -> Machine:
    found = []
    for number, (spec, launch) in enumerate(runs, 1):
        say(f"actors on boards, {number} of {len(runs)}")
        found.append(_measure(spec, replace(launch, address=address), precision))
    later = [(run.computed - _computed(machine, run)) / steps_of(run.teams, run.units) for run in found if run.computed]
    machine = replace(machine, cold=max(0.0, statistics.median(later)) if later else 0.0)
    actors = np.array([len(run.units) for run in found], float)
    memory, memory_actor = _line(actors, [run.memory for run in found])
    startups = [run.startup_seconds for run in found[1:]]  # the first may have compiled
    base, per_actor = _line(np.ceil(actors[1:] / machine.origin.cores), startups)
    if len(startups) == 1:  # one start tells no line
        per_actor = machine.startup_actor
        base = max(0.0, startups[0] - per_actor * float(np.ceil(actors[1] / machine.origin.cores)))
    if address:  # its processes do not descend from this one
        memory, memory_actor = RAY_BYTES, ACTOR_BYTES
    machine = replace(
        machine, memory=int(memory), memory_actor=int(memory_actor), startup=base, startup_actor=per_actor
    )
    effort = THOROUGH if precision == USUAL else _BRIEF
    return fit_simulated(machine, found, GUESS, Cluster(1, machine.origin.cores), effort)


def _line(positions: np.ndarray, values: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope of the line fitted to values, neither below 0."""
    (base, rise), _ = nnls(np.stack([np.ones(len(positions)), positions], 1), np.array(values, float))
    return float(base), float(rise)


def _computed(machine: Machine, run: Measured) -> float:
    steps = Dataflow(run.teams).steps
    return sum(machine.seconds(step.operation, unit) for unit in run.units for step in steps[unit.layer.group])


def fit_simulated(
    machine: Machine, found: Sequence[Measured], guess: Mapping[str, float], cluster: Cluster, effort: Effort = THOROUGH
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
        costs = costs_of(with_costs(logarithms))
        ratios = np.log([
            board_seconds(inputs._replace(costs=costs)) / run.seconds
            for inputs, run in zip(simulations, found, strict=True)
        ])
        return float((ratios**2).sum() + _PRIOR_WEIGHT * ((logarithms - start) ** 2).sum())

    def search(begin: np.ndarray) -> OptimizeResult:  # the objective is not continuous: no gradient
        simplex = np.vstack([begin, begin + _STRIDE * np.eye(len(begin))])
        options = {"initial_simplex": simplex, "maxfev": effort.trials}
        return minimize(miss, begin, method="Nelder-Mead", options=options)

    generator = np.random.default_rng(0)
    begins = [start, *(start + generator.normal(0.0, _STRIDE, (effort.restarts, len(start))))]
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
