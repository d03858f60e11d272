"""The costs of operations, within the caches of a processor and beyond: short runs, and fits of their timestamps."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.rules.asynchronous import AsynchronousMapPropagation
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.registry import is_built_in
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.plan.machine import Cost, Machine, amounts
from teamnet.study.plan.origin import this_machine
from teamnet.study.plan.predict import environment_seconds, local_seconds, operations_of, teams_of
from teamnet.study.rates import ENDLESS, Precision, median_rate, rate, timings
from teamnet.team.partition import divide_all
from teamnet.team.resources import ACTOR_BYTES, RAY_BYTES, array_bytes, unit_bytes
from teamnet.training.run import Run

_MAP, _ASYNCHRONOUS, _BACKPROP = MapPropagation.name, AsynchronousMapPropagation.name, Backpropagation.name
_SAMPLES, _QUICK_SAMPLES = 60, 20
"""Timed steps of which the median is taken."""
_WARM_UP = 64
"""Steps before them."""
_LEAST = 1e-8
"""Seconds below the resolution of a clock."""
USUAL, QUICK = Precision(0.8, 3), Precision(0.25, 2)
"""Timings of a run in a full calibration and in a quick one."""
_WIDE_SAMPLES = 8
_SHAPES = (25, 1), (100, 8), (400, 1), (400, 8)
"""Of the runs of a single rule: percent of the hidden neurons, and environments."""
_LARGE, _LARGE_STEPS = 4 << 20, 10
"""Bytes of arrays from which on a quick calibration looks at memory, and the steps that it times then."""
_LARGEST = 64 << 20
"""Bytes of the arrays of that run at most."""
_USUAL_CACHE = 32 << 20
"""Bytes of caches that a quick calibration assumes."""
_MOST_NEURONS = 512
"""Of a layer of those runs, whose arrays the caches hold."""
_CACHES = 2e6, 1e9
"""Bounds of the size of the caches, in bytes."""
GUESS = {"switch": 1e-6, "idle": 2e-5, "sleep": 1.5e-5, "look": 2e-7, "publish": 2e-7, "wake": 5e-6}
RELAY_GUESS = {"send": 1e-5, "receive": 1e-5}
START_GUESS = {"startup": 4.0, "startup_actor": 0.5}
""":class:`Machine`'s costs of waiting, of links and of starting, before they are measured."""


def endless(method: str, hidden: tuple[int, ...] = (64, 32), num_envs: int = 1, task: str = "cartpole") -> RunSpec:
    """A preset's run without an end; ``num_envs`` of 0 is the preset's own."""
    return replace(
        preset(task, method), hidden=hidden, num_envs=num_envs or preset(task).num_envs, env_steps=ENDLESS,
        episodes=None,
    )


LOCAL = (
    endless(_MAP), endless(_MAP, (16, 8)), endless(_MAP, (256, 128)), endless(_MAP, (64, 32), 16),
    endless("tuned"), endless("tuned", (256, 128), 4), endless(_BACKPROP), endless(_BACKPROP, (128, 64), 8),
    changed(endless(_MAP), feedback="recomputed"), changed(endless(_MAP, (256, 128), 4), feedback="recomputed"),
    endless(_ASYNCHRONOUS), endless(_ASYNCHRONOUS, (128, 64), 4), endless(_MAP, (64, 32), 0, "multiplexer"),
    endless(_MAP, (16, 8), 32, "multiplexer"),
)
"""Runs in this process, from which the costs of operations are fitted."""
MIDDLE = endless(_MAP, (1024, 512))
WIDE = tuple(
    endless(method, hidden, rows) for method in (_MAP, "tuned", _BACKPROP, _ASYNCHRONOUS)
    for hidden, rows in (((2048, 1024), 1), ((512, 512), 16))
)
"""Runs on Ray whose arrays are too large for the caches, with few and with many environments.

Only together do they tell what an operation takes for each product from what it takes to read each weight.
"""


def new_machine() -> Machine:
    """The machine before anything was measured: guesses for what waiting and sending cost, else 0."""
    costs: dict[str, Any] = dict.fromkeys((field.name for field in fields(Machine)), 0.0) | {
        "origin": this_machine(), "full": False, "parts": (), "quick": (), "operations": {}, "far": {}, "cache": 0,
        "memory": RAY_BYTES, "memory_actor": ACTOR_BYTES, **GUESS, **RELAY_GUESS, **START_GUESS,
    }
    return Machine(**costs)


def measure_operations(machine: Machine, say: Callable[[str], None]) -> Machine:
    """The machine with the costs of computation of all rules of this package."""
    return _with_operations(machine, LOCAL, USUAL, say)


def missing_operations(machine: Machine, spec: RunSpec) -> bool:
    """Whether a run has operations that were never measured; those of a user's rule are always measured anew."""
    return not (is_built_in(type(spec.rule)) and operations_of(teams_of(spec)) <= machine.operations.keys())


def measure_operations_of(machine: Machine, spec: RunSpec, say: Callable[[str], None]) -> Machine:
    """The machine with the costs of the operations of a run, from short runs of smaller and larger teams."""
    runs = [
        replace(
            spec, hidden=tuple(min(_MOST_NEURONS, max(1, size * percent // 100)) for size in spec.hidden),
            num_envs=rows, env_steps=ENDLESS, episodes=None,
        )
        for percent, rows in _SHAPES
    ]
    found = _with_operations(machine, runs, QUICK, say)
    if is_built_in(type(spec.rule)):  # those that are known were measured as well or better
        new = found.operations.keys() - machine.operations.keys()
        return replace(
            found, operations={**found.operations, **machine.operations}, quick=tuple(sorted({*machine.quick, *new}))
        )
    used = {name for name, cost in found.operations.items() if cost != machine.operations.get(name)}
    return replace(
        found, far={name: cost for name, cost in machine.far.items() if name not in used},
        quick=tuple(sorted({*machine.quick, *used})),
    )


def is_large(machine: Machine, spec: RunSpec) -> bool:
    """Whether a run has more arrays than caches hold, and operations whose costs there were never measured."""
    teams = teams_of(spec)
    return array_bytes(teams) > _LARGE and not operations_of(teams) <= machine.far.keys()


def measure_large(machine: Machine, spec: RunSpec, say: Callable[[str], None]) -> Machine:
    """The machine with the costs of the operations of a run where the caches are too small.

    They are those in the caches times one factor, with which a run in one process is predicted as it was measured. Of a
    run of more than 64 MiB of arrays one with fewer neurons is measured.
    """
    say("arrays beyond the caches")
    while array_bytes(teams_of(spec)) > _LARGEST and max(spec.hidden, default=1) > 1:
        spec = replace(spec, hidden=tuple(max(1, size * 2 // 3) for size in spec.hidden))
    teams = teams_of(spec)
    units, held = divide_all(teams, "layer", spec.seed), array_bytes(teams)
    run = Run(replace(spec, env_steps=ENDLESS, episodes=None), LaunchSpec(backend="local"))
    try:
        rate(run, _LARGE_STEPS * spec.num_envs)  # the first steps are slower, as their arrays are new
        seconds = spec.num_envs / rate(run, _LARGE_STEPS * spec.num_envs)
    finally:
        run.close()
    near = local_seconds(teams, units, replace(machine, far={}))
    rest = local_seconds(teams, units, replace(machine, far={}, operations=dict.fromkeys(machine.operations, Cost())))
    work = seconds - environment_seconds(spec) - rest
    cache = machine.cache or _USUAL_CACHE
    cached = cache / (cache + held)
    factor = max(1.0, (work / max(_LEAST, near - rest) - cached) / (1.0 - cached))
    far = {name: Cost(*(factor * cost for cost in machine.operations[name])) for name in operations_of(teams)}
    return replace(machine, far={**machine.far, **far}, cache=cache)


def _with_operations(
    machine: Machine, specs: Sequence[RunSpec], precision: Precision, say: Callable[[str], None]
) -> Machine:
    operations, between, jitter = _measure(specs, precision, say)
    first = not machine.operations
    return replace(
        machine, operations={**machine.operations, **operations},
        **({"turn": between.values, "coordinator": between.fixed, "jitter": jitter} if first else {}),
    )


def _measure(
    specs: Sequence[RunSpec], precision: Precision, say: Callable[[str], None]
) -> tuple[dict[str, Cost], Cost, float]:
    """The cost of each operation, the cost between operations, and the spread of their times."""
    rows: dict[str, list[tuple[Cost, float]]] = {}
    rest, spreads = [], []
    for number, spec in enumerate(specs, 1):
        say(f"operations, {number} of {len(specs)}")
        run = Run(spec, LaunchSpec(backend="local"))
        try:
            taken, spread = take_times(run, _SAMPLES if precision == USUAL else _QUICK_SAMPLES)
            spreads += spread
            for timing in taken:
                rows.setdefault(timing.operation, []).append((amounts(timing.unit), timing.seconds))
            turns, work = len(taken), sum(timing.seconds for timing in taken)
            step = spec.num_envs / usual_rate(run, precision)
            rest.append((Cost(fixed=1.0, values=turns), max(1e-9, step - work - environment_seconds(spec))))
        finally:
            run.close()
    operations = {operation: fit_cost(samples) for operation, samples in rows.items()}
    return operations, fit_cost(rest), statistics.median(spreads)


def fit_cost(rows: Sequence[tuple[Cost, float]]) -> Cost:
    """Non-negative costs with the least mean squared relative error."""
    seconds = np.array([value for _, value in rows])
    weighted = np.array([amount for amount, _ in rows]) / seconds[:, None]
    scale = np.maximum(weighted.max(0), 1e-30)
    solution, _ = nnls(weighted / scale, np.ones(len(seconds)))
    return Cost(*(float(cost) for cost in solution / scale))


def usual_rate(run: Run, precision: Precision = USUAL) -> float:
    """The median rate of timings that are long enough for the pause at the end of each to be negligible."""
    return median_rate(timings(run, precision.seconds, precision.repeats))


class Lap(NamedTuple):
    """The time of one operation of a unit in a run whose units have arrays of ``held`` bytes."""

    operation: str
    unit: UnitSpec
    seconds: float
    held: int


def take_times(run: Run, count: int = _SAMPLES) -> tuple[list[Lap], list[float]]:
    """Median seconds of each step of each unit, and the interquartile ranges of the times as shares of the medians."""
    rate(run, _WARM_UP * run.spec.num_envs)
    trace, _ = run.trace(count)
    quartiles = [
        np.maximum(_LEAST, np.percentile((stamps[:, :, 2] - stamps[:, :, 1]) / 1e9, (25, 50, 75), axis=0))
        for stamps in trace.units
    ]
    spreads = [np.minimum(1.0, (points[2] - points[0]) / points[1]) for points in quartiles]
    flow, held = Dataflow(run.teams), sum(map(unit_bytes, run.units))
    taken = [
        Lap(step.operation, unit, float(seconds), held)
        for unit, points in zip(run.units, quartiles, strict=True)
        for step, seconds in zip(flow.steps[unit.layer.group], points[1], strict=True)
    ]
    return taken, np.concatenate(spreads).tolist()


def measure_wide(machine: Machine, address: str, say: Callable[[str], None]) -> Machine:
    """The machine with the costs of operations of all rules of this package where the caches are too small."""
    taken: list[list[Lap]] = []
    for number, spec in enumerate((MIDDLE, *WIDE), 1):
        say(f"wide layers, {number} of {1 + len(WIDE)}")
        run = Run(spec, LaunchSpec(address=address))
        try:
            taken.append(take_times(run, _WIDE_SAMPLES)[0])
        finally:
            run.close()
    return fit_far(machine, taken[0], [timing for timings_of_run in taken[1:] for timing in timings_of_run])


def fit_far(machine: Machine, middle: Sequence[Lap], wide: Sequence[Lap]) -> Machine:
    """Fit the costs of operations beyond the caches and the size of the caches, which depend on each other.

    Args:
        machine: with the costs of operations in the caches.
        middle: of a run whose arrays the caches hold in part.
        wide: of runs whose arrays the caches hold hardly at all.
    """

    def with_cache(logarithm: float) -> Machine:
        cache = math.exp(logarithm)
        rows: dict[str, list[tuple[Cost, float]]] = {}
        for timing in wide:
            cached = cache / (cache + timing.held)
            beyond = timing.seconds - cached * machine.seconds(timing.operation, timing.unit)
            rows.setdefault(timing.operation, []).append((amounts(timing.unit), max(_LEAST, beyond / (1 - cached))))
        return replace(machine, far={name: fit_cost(samples) for name, samples in rows.items()}, cache=int(cache))

    def miss(logarithm: float) -> float:
        fitted = with_cache(logarithm)
        predicted = sum(fitted.seconds(timing.operation, timing.unit, timing.held) for timing in middle)
        return abs(math.log(predicted / sum(timing.seconds for timing in middle)))

    bounds = math.log(_CACHES[0]), math.log(_CACHES[1])
    best: Any = minimize_scalar(miss, bounds=bounds, method="bounded")
    return with_cache(float(best.x))
