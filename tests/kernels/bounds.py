"""``python -m tests.kernels.bounds SIDE``: every kernel entry with guarded memory, each case in a process of its own.

Prints one line of JSON for each case: how it should end, and how it did.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec
from teamnet.kernels.constants import LINE
from teamnet.kernels.hidden import ALIASES, FUNCTIONS
from teamnet.kernels.native import native
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team.call_executor import CallExecutor, CallWorker
from teamnet.team.executor import Executor
from teamnet.team.partition import divide_all
from teamnet.team.prepare import compile_rules
from teamnet.team.worker_pool import ThreadPool
from teamnet.training.run import Run
from teamnet.units.layout import GROUPS, READ, WRITE, synapses_of, unit_of
from teamnet.units.unit import Unit
from tests.conftest import make_layers
from tests.kernels.guarded import NOISE_STEPS, guard_everything, guarded
from tests.team.executors import Teams, drive, local, running_free, spread, threaded

STEPS = 2 * NOISE_STEPS + 1
CRASH = -signal.SIGSEGV
_SECONDS = 30
"""That a case may take."""
Case = Callable[[], None]

_RULES: dict[str, dict[str, Any]] = {
    "map": {}, "reinforce": {"settle_steps": 0}, "every 2": {"exchange_every": 2}, "one step": {"single_step": True},
    "sweeps": {"schedule": "sweeps"}, "descents": {"schedule": "descents"},
    "passed down": {"schedule": "sweeps", "td_error": "passed-down"},
    "passed down, descents": {"schedule": "descents", "td_error": "passed-down"},
    "backprop": {"schedule": "chain"}, "entropy": {"schedule": "chain", "entropy": 0.01},
    "entropy, one step": {"schedule": "chain", "entropy": 0.01, "single_step": True}, "ticks": {"schedule": "ticks"},
    "send_threshold": {"send_threshold": 0.1}, "sweeps, send_threshold": {"schedule": "sweeps", "send_threshold": 0.1},
    "recomputed": {"feedback": "recomputed"}, "recomputed, one step": {"feedback": "recomputed", "single_step": True},
    "exploration": {"exploration": 0.5}, "nothing comes down": {"schedule": "reinforce"},
    "nothing comes down, one step": {"schedule": "reinforce", "single_step": True},
    "masked": {"masked": True},
}
_LAYERS: dict[str, dict[str, Any]] = {
    "skips": {"sources": {2: (1, 0), 3: (0, 1, 2)}}, "bernoulli": {"hidden_types": ("bernoulli", "sign")},
}
"""Of teams with two hidden layers."""
_FEEDBACKS = {
    "mirror": {}, "kolen-pollack": {"feedback": "kolen-pollack", "weight_decay": 0.01},
    "random": {"feedback": "random"}, "backprojected": {"feedback": "backprojected"},
}
_WHOLE = "backprojected", "recomputed"
_MESSAGES = [
    {"message_dtype": dtype, "error_feedback": kept}
    for dtype in ("float32", "bfloat16", "int8") for kept in (False, True)
]
_SHAPES = (3, 7, 1), (1, 3, 7, 3), (7, 1, 3, 1), (3, 3)
_FUNCTIONS = *FUNCTIONS, *ALIASES


def _teams(sizes: tuple[int, ...], **options: Any) -> list[list[LayerSpec]]:
    critic = (*sizes[:-1], 1)
    return [make_layers(sizes, **options), make_layers(critic, team="critic", family="gaussian", **options)]


def _maximising(sizes: tuple[int, ...], **options: Any) -> list[list[LayerSpec]]:
    """A team that learns by weight maximisation, which trains no critic."""
    hidden = ("bernoulli",) * (len(sizes) - 2)
    return [make_layers(sizes, schedule="weight-max", family="reference", hidden_types=hidden, **options)]


def every_team() -> Iterator[list[list[LayerSpec]]]:
    """Small teams of every rule with every feedback."""
    for rule, feedback in product(_RULES.values(), _FEEDBACKS.values()):
        yield _teams((3, 7, 3, 1), **{**rule, **feedback})
        yield _teams((3, 3), **{**rule, **feedback})
    yield from (_maximising((3, 7, 3, 2), single_step=single) for single in (False, True))


def _calls(teams: Teams, grain: str) -> CallExecutor:
    units = divide_all(teams, grain, 0)
    return CallExecutor(teams, units, ThreadPool(CallWorker, [(teams, unit) for unit in units]))


def _over_nodes(teams: Teams, grain: str) -> Executor:
    return spread(teams, grain, [number % 3 for number in range(len(divide_all(teams, grain, 0)))])


def _run(make: Callable[[Teams, str], Executor], teams: Teams, grain: str) -> Case:
    def case() -> None:
        executor = make(teams, grain)
        drive(executor, teams, STEPS)
        executor.restore(list(zip(executor.snapshot(), executor.mirrors(), strict=True)), STEPS)
        drive(executor, teams, NOISE_STEPS + 1, first=STEPS)
        executor.close()

    return case


def _each_rule() -> Iterator[tuple[str, Case]]:
    for number, (rule, feedback) in enumerate(product(_RULES, _FEEDBACKS)):
        options = {**_RULES[rule], **_FEEDBACKS[feedback], "rows": (1, 3)[number % 2]}
        for place, sizes in enumerate(_SHAPES[number % 2 :: 2]):
            teams = _teams(sizes, function=_FUNCTIONS[number % len(_FUNCTIONS)], **options)
            whole = options.get("feedback") in _WHOLE
            grain = "layer" if whole else ("layer", "block:2", "neuron")[(number + place) % 3]
            yield f"in turn, {rule}, {feedback}, {sizes}, {grain}", _run(local, teams, grain)
        kinds = {"threads": threaded, "calls": _calls, "nodes": _over_nodes}
        kind = list(kinds)[number % 3]
        teams = _teams((3, 7, 3, 1), **options)
        grain = "layer" if options.get("feedback") in _WHOLE else "block:2"
        yield f"{kind}, {rule}, {feedback}", _run(kinds[kind], teams, grain)
    for number, (make, early) in enumerate(product((local, threaded, _calls, _over_nodes), (False, True))):
        for place, sizes in enumerate(_SHAPES):
            grain = ("layer", "block:2", "neuron")[(number + place) % 3]
            teams = _maximising(sizes, rows=(1, 3)[place % 2], single_step=number % 2 == 1, early_reward=early)
            yield f"{make.__name__}, weight maximisation, {early}, {sizes}, {grain}", _run(make, teams, grain)
    for (layers, options), schedule in product(_LAYERS.items(), ("reinforce", "chain", "sweeps", "ticks")):
        if layers == "skips" or schedule in ("reinforce", "chain"):
            for make in (local, _over_nodes):
                teams = _teams((3, 7, 3, 1), rows=3, schedule=schedule, **options)
                yield f"{make.__name__}, {layers}, {schedule}", _run(make, teams, "block:2")


def _each_wire() -> Iterator[tuple[str, Case]]:
    for number, (messages, feedback) in enumerate(product(_MESSAGES, ("mirror", "backprojected"))):
        for kind, make in (("in turn", local), ("nodes", _over_nodes)):
            teams = _teams((3, 7, 3, 1), rows=(3, 1)[number % 2], feedback=feedback, **messages)
            grain = "layer" if feedback == "backprojected" else ("block:2", "neuron", "layer")[number % 3]
            yield f"{kind}, {feedback}, {messages}, {grain}", _run(make, teams, grain)


def _free() -> Iterator[tuple[str, Case]]:
    for feedback, rows in product(_FEEDBACKS, (1, 3)):
        teams = _teams((3, 7, 3, 1), schedule="ticks", rows=rows, **_FEEDBACKS[feedback])
        grain = "layer" if feedback == "backprojected" else "block:2"
        yield f"free, {feedback}, {rows} rows", _run(running_free, teams, grain)


def _whole_runs() -> Iterator[tuple[str, Case]]:
    for task, method in (("cartpole", "tuned"), ("multiplexer", "map")):
        def case(task: str = task, method: str = method) -> None:
            run = Run(preset(task, method), LaunchSpec("local"))
            while run.step < STEPS:
                run.advance()
            run.close()

        yield f"a run of {task}", case


def _td_error(side: str, rows: int, more: int = 0) -> Case:
    def case() -> None:
        arrays = [guarded(np.ones(rows), side) for _ in range(6)]
        shift = more if side == "before" else 0
        addresses = [array.ctypes.data - 8 * shift for array in arrays]
        native("teamnet.kernels.signal", "find_td_error")(rows + more, *addresses, 0.9, 1.0)

    return case


def _simulations(side: str, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Case]]:
    """They come last: Numba, which they need in this process, makes processes slow to part."""
    from teamnet.study.plan import simulation
    from teamnet.study.plan.build import build_world
    from teamnet.study.plan.cluster import Cluster
    from tests.study.test_plan import ENVIRONMENT, USUAL

    run: Any = simulation._run

    def guarded_run(*arguments: Any) -> None:
        *tuples, times = arguments
        found = guarded(times, side)
        run(*(type(its)(*(guarded(array, side) for array in its)) for its in tuples), found)
        times[:] = found

    patch.setattr(simulation, "_run", guarded_run)
    for nodes, cores, options in ((1, 1, {}), (3, 1, {"schedule": "sweeps"}), (3, 3, {"schedule": "ticks"})):
        teams = _teams((3, 7, 3, 1), **options)
        units = divide_all(teams, "block:2", 0)
        places = [number % nodes for number in range(len(units))]
        world = build_world(Dataflow(teams), units, places, USUAL, Cluster(nodes, cores), ENVIRONMENT)

        def case(world: Any = world) -> None:
            assert np.isfinite(simulation.simulate(world, STEPS)).all()

        if not run.signatures:
            case()  # compiles it, once
        yield f"simulation of {nodes} nodes with {cores} cores", case


def threaded_by_layers(teams: Teams) -> Executor:
    return threaded(teams, "layer")


def _overruns(side: str) -> Iterator[tuple[str, Case]]:
    """What must crash, or the other cases prove nothing: each address that a unit has, moved by one number.

    Those of counters and of the control line are moved by a line, of which not everything is used.
    """
    yield "a row too many", _td_error(side, 3, more=1)
    for options, unused in _UNUSED:
        teams = _teams((3, 7, 3, 1), rows=3, **options)
        executor = local(teams)
        for name in dict.fromkeys(name for unit in executor.units for name, _ in _addresses(unit, executor)):
            if not _is_of_waiting(name) and not {name, name.partition(".")[0]} & {"action_mask", *unused.split(", ")}:
                yield f"{name} moved, {options}", _moved(side, name, local, teams)
    for name in ("reward", "error", *(f"{group}.{part}" for group in GROUPS for part in ("trace", "gradient"))):
        yield f"{name} moved, weight maximisation", _moved(side, name, local, _maximising((3, 7, 3, 2), rows=3))
    for name in ("action_mask", "action_mask.address"):
        yield f"{name} moved, masked", _moved(side, name, local, _teams((3, 7, 3), rows=3, masked=True))
    for make, names in _WAITING:
        teams = _teams((3, 7, 3, 1), rows=3, schedule="ticks")
        for name in names.split(", "):
            yield f"{name} moved, {make.__name__}", _moved(side, name, make, teams)
    yield "a step that there is not", _no_step(side)


_NOTED, _PRODUCTS = "noted_inputs, noted_above, noted_gate", "products, transposed"
_ABOVE = "transposed_mirror, sent_biases, ends_above, preactivation_above, mean_above, derivative_above, error_above"
_DOWN = f"{_PRODUCTS}, {_ABOVE}"
_TRACES = ", ".join(f"{group}.trace" for group in GROUPS)
_GRADIENTS = ", ".join(f"{group}.gradient" for group in GROUPS)
_UNUSED: Sequence[tuple[dict[str, Any], str]] = (
    ({}, f"residual, moved, own.residual, {_DOWN}, {_GRADIENTS}"),
    ({"single_step": True}, f"residual, moved, own.residual, {_DOWN}, decay, {_TRACES}"),
    ({"feedback": "recomputed"}, f"residual, moved, own.residual, {_PRODUCTS}, {_GRADIENTS}"),
    ({"schedule": "sweeps"}, f"own.residual, {_DOWN}, {_GRADIENTS}"),
    ({"schedule": "chain", "entropy": 0.01}, f"own.residual, {_DOWN}, entropy_products"),
    ({"schedule": "chain", "entropy": 0.01, "feedback": "backprojected"}, "own.residual, modulated_above, outgoing"),
    ({"schedule": "ticks"}, f"own.residual, {_DOWN}, {_NOTED}, {_GRADIENTS}"),
    ({"schedule": "reinforce"}, f"own.residual, modulated_above, outgoing, {_GRADIENTS}"),
    (
        {"feedback": "backprojected", "message_dtype": "int8", "error_feedback": True},
        f"residual, moved, modulated_above, outgoing, {_ABOVE}, {_GRADIENTS}",
    ),
)
"""Runs in this process, and addresses that nothing uses in them: a whole group of synapses by its name."""
_WAITING: Sequence[tuple[Callable[[Teams], Executor], str]] = (
    (
        threaded_by_layers,
        "control, own.counter, observation.counter, episode_mask.counter, td_error.counter, trace_mask.counter, "
        "activation.counter, error.counter, gate.counter",
    ),
    (running_free, f"control, own.counter, td_error.counter, error.counter, {_NOTED}"),
)
"""Runs in which units wait for each other or note what others say, and the addresses that only these use."""
_SHIFTS = {"step.writes": WRITE.size, "step.reads": READ.size}
"""By whole records where what stands before a field may be anything."""
_FREE_STEPS = 200
"""Steps within which even a unit that waits for nobody and is waited for by nobody has done all that it does."""
_IN_UNITS = "noise", "timestamps", "steps", "control"
"""The addresses in a unit's record beside those of its arrays and of its groups of synapses."""


Place = tuple[np.ndarray, str]
"""A record, and the field of it that is an address."""


def _is_of_waiting(name: str) -> bool:
    return name == "control" or name.endswith(".counter")


def _addresses(unit: Unit, executor: Any) -> Iterator[tuple[str, Place]]:
    """All addresses that a unit of an exchange has, by name."""
    rule, steps = unit.spec.layer.rule, executor._flow.steps[unit.spec.layer.group]
    for field in (*unit_of(rule).arrays, *GROUPS, *_IN_UNITS):
        yield field, (unit.record, field)
    for group, record in unit._groups.items():
        for field in synapses_of(rule).arrays:
            yield f"{group}.{field}", (record, field)
    for own in unit._own.values():
        for field in ("address", "counter", "source", "residual"):
            yield f"own.{field}", (own, field)
    table, *others = unit._tables
    yield "step.reads", (table, "reads")
    yield "step.writes", (table, "writes")
    for step, reads, writes in zip(steps, others[: len(steps)], others[len(steps) :], strict=True):
        yield "write.own", (writes, "own")
        for place, read in enumerate(step.reads):
            if read:
                yield f"{read.slot[0]}.address", (reads[place : place + 1], "address")
                yield f"{read.slot[0]}.counter", (reads[place : place + 1], "counter")


def _moved(side: str, name: str, make: Callable[[Teams], Any], teams: Teams) -> Case:
    shift = LINE if _is_of_waiting(name) else _SHIFTS.get(name, 8)

    def case() -> None:
        executor = make(teams)
        drive(executor, teams, 1)
        units = executor.units if make is local else [worker._unit for worker in executor._pool._workers]
        for unit in units:
            unit.draw_noise(NOISE_STEPS - 1)
            for its, (record, field) in _addresses(unit, executor):
                if its == name:
                    record[field][record[field] != 0] += shift if side == "after" else -shift
        drive(executor, teams, _FREE_STEPS if make is running_free else STEPS + 1, first=1)

    return case


def _no_step(side: str) -> Case:
    def case() -> None:
        executor = local(_teams((3, 7, 1)))
        unit = executor.units[0]
        unit.draw_noise(1)
        native("teamnet.team.one_step", "run_step")(unit.address, 0)  # a step that there is
        number = len(unit._timestamps[0]) if side == "after" else -1
        native("teamnet.team.one_step", "run_step")(unit.address, number)

    return case


def _taken_twice(count: int) -> Case:
    """Steps that are done again, until more noise is taken than was drawn; the record says ``count`` more than that."""
    def case() -> None:
        teams = _teams((3, 7, 1), rows=3)
        executor = local(teams)
        drive(executor, teams, 1)
        for unit in executor.units:
            unit.draw_noise(1)
            unit.record["noise_count"] += count
            for _ in range(3):
                native("teamnet.team.one_step", "run_step")(unit.address, 0)

    return case


def _cases(side: str, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Case, int]]:
    yield "noise taken twice", _taken_twice(0), 0
    if side == "after":
        yield "noise taken beyond its end", _taken_twice(1), CRASH
    for rows in (1, 3, 7):
        yield f"TD error of {rows} rows", _td_error(side, rows), 0
    yield from ((name, case, CRASH) for name, case in _overruns(side))
    for cases in (_each_rule(), _each_wire(), _free(), _whole_runs(), _simulations(side, patch)):
        yield from ((name, case, 0) for name, case in cases)


def _in_a_process(case: Case, called: set[str]) -> tuple[int, list[str]]:
    """How a process of its own ended that did this, and the kernels that it called.

    It is 0, 1 for an exception, or the number of a signal, negative.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(_SECONDS)
        called.clear()
        try:
            case()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os.write(writing, json.dumps(sorted(called)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as words:
        said = words.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(said or "[]")


def main(side: str) -> None:
    """All cases of a side."""
    with pytest.MonkeyPatch.context() as patch:
        called = guard_everything(patch, side)
        compile_rules()  # loaded once for all cases
        for name, case, expected in _cases(side, patch):
            ended, kernels = _in_a_process(case, called)
            print(json.dumps({"case": name, "expected": expected, "ended": ended, "called": kernels}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
