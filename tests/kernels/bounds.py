"""``python -m tests.kernels.bounds SIDE``: every kernel entry with guarded memory, each case in a process of its own.

Prints one line of JSON for each case: how it should end, and how it did.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team.call_exchange import CallExchange, CallWorker
from teamnet.team.crew import ThreadCrew
from teamnet.team.exchange import Exchange
from teamnet.team.partition import divide_all
from teamnet.training.run import Run
from tests.conftest import make_layers
from tests.kernels.guarded import NOISE_STEPS, guard_everything, guarded
from tests.team.exchanges import Teams, drive, local, running_free, spread, threaded

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
    "tolerance": {"tolerance": 0.1}, "sweeps, tolerance": {"schedule": "sweeps", "tolerance": 0.1},
    "exploring": {"exploring": 0.5},
}
_FEEDBACKS = {
    "mirror": {}, "kolen-pollack": {"feedback": "kolen-pollack", "forgetting": 0.01}, "random": {"feedback": "random"},
    "shipped": {"feedback": "shipped"},
}
_WIRES = [{"wire": wire, "error_feedback": kept} for wire in ("float32", "bfloat16", "int8") for kept in (False, True)]
_SHAPES = (3, 7, 1), (1, 3, 7, 3), (7, 1, 3, 1), (3, 3)


def _teams(sizes: tuple[int, ...], **options: Any) -> list[list[LayerSpec]]:
    critic = (*sizes[:-1], 1)
    return [make_layers(sizes, **options), make_layers(critic, team="critic", family="gaussian", **options)]


def _calls(teams: Teams, grain: str) -> CallExchange:
    units = divide_all(teams, grain, 0)
    return CallExchange(teams, units, ThreadCrew(CallWorker, [(teams, unit) for unit in units]))


def _over_nodes(teams: Teams, grain: str) -> Exchange:
    return spread(teams, grain, [number % 3 for number in range(len(divide_all(teams, grain, 0)))])


def _run(make: Callable[[Teams, str], Exchange], teams: Teams, grain: str) -> Case:
    def case() -> None:
        exchange = make(teams, grain)
        drive(exchange, teams, STEPS)
        exchange.restore(list(zip(exchange.snapshot(), exchange.mirrors(), strict=True)), STEPS)
        drive(exchange, teams, NOISE_STEPS + 1, first=STEPS)
        exchange.close()

    return case


def _each_rule() -> Iterator[tuple[str, Case]]:
    for number, (rule, feedback) in enumerate(product(_RULES, _FEEDBACKS)):
        options = {**_RULES[rule], **_FEEDBACKS[feedback], "rows": (1, 3)[number % 2]}
        for place, sizes in enumerate(_SHAPES[number % 2 :: 2]):
            teams = _teams(sizes, function=("softplus", "relu", "linear", "logistic", "tanh")[number % 5], **options)
            grain = "layer" if feedback == "shipped" else ("layer", "block:2", "neuron")[(number + place) % 3]
            yield f"in turn, {rule}, {feedback}, {sizes}, {grain}", _run(local, teams, grain)
        kinds = {"threads": threaded, "calls": _calls, "nodes": _over_nodes}
        kind = list(kinds)[number % 3]
        teams = _teams((3, 7, 3, 1), **options)
        grain = "layer" if feedback == "shipped" else "block:2"
        yield f"{kind}, {rule}, {feedback}", _run(kinds[kind], teams, grain)


def _each_wire() -> Iterator[tuple[str, Case]]:
    for number, (wire, feedback) in enumerate(product(_WIRES, ("mirror", "shipped"))):
        for kind, make in (("in turn", local), ("nodes", _over_nodes)):
            teams = _teams((3, 7, 3, 1), rows=(3, 1)[number % 2], feedback=feedback, **wire)
            grain = "layer" if feedback == "shipped" else ("block:2", "neuron", "layer")[number % 3]
            yield f"{kind}, {feedback}, {wire}, {grain}", _run(make, teams, grain)


def _free() -> Iterator[tuple[str, Case]]:
    for feedback, rows in product(_FEEDBACKS, (1, 3)):
        teams = _teams((3, 7, 3, 1), schedule="ticks", rows=rows, **_FEEDBACKS[feedback])
        grain = "layer" if feedback == "shipped" else "block:2"
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
    from teamnet.study.plan import events
    from teamnet.study.plan.build import build_world
    from teamnet.study.plan.cluster import Cluster
    from tests.study.test_plan import ENVIRONMENT, USUAL

    step_times: Any = events._step_times

    def guarded_times(world: Any, state: Any, steps: int) -> np.ndarray:
        world, state = (type(its)(*(guarded(array, side) for array in its)) for its in (world, state))
        return step_times(world, state, steps)

    patch.setattr(events, "_step_times", guarded_times)
    for nodes, cores, options in ((1, 1, {}), (3, 1, {"schedule": "sweeps"}), (3, 3, {"schedule": "ticks"})):
        teams = _teams((3, 7, 3, 1), **options)
        units = divide_all(teams, "block:2", 0)
        places = [number % nodes for number in range(len(units))]
        world = build_world(teams, units, places, USUAL, Cluster(nodes, cores), ENVIRONMENT)

        def case(world: Any = world) -> None:
            assert np.isfinite(events.simulate(world, STEPS)).all()

        if not step_times.signatures:
            case()  # compiles it, once
        yield f"simulation of {nodes} nodes with {cores} cores", case


def _overruns(side: str) -> Iterator[tuple[str, Case]]:
    """What must crash, or the other cases prove nothing: each address that a unit has, moved by one number."""
    yield "a row too many", _td_error(side, 3, more=1)
    for fields, options in (
        (("incoming", "biases", "outgoing", "ones", "decay", "noise", "laps", "below", "above", "own_activation",
          "own_error", "delta", "gate", "value", "signalled_above"), {}),
        (("keep",), {"schedule": "ticks"}),
        (("state", "transposed", "unsaid_products"), {"feedback": "shipped", "wire": "int8", "error_feedback": True}),
    ):
        for field in fields:
            yield f"{field} moved", _moved(side, field, _teams((3, 7, 3, 1), rows=3, **options))
    yield "a phase that is not in the schedule", _no_phase(side)


def _moved(side: str, field: str, teams: Teams) -> Case:
    def case() -> None:
        exchange = local(teams)
        drive(exchange, teams, 1)
        for unit in exchange.units:
            unit.draw_noise(NOISE_STEPS - 1)
            if unit.record[field][0]:
                unit.record[field] += 8 if side == "after" else -8
        drive(exchange, teams, STEPS + 1, first=1)

    return case


def _no_phase(side: str) -> Case:
    def case() -> None:
        unit = local(_teams((3, 7, 1))).units[0]
        count = len(unit.laps())
        number = count if side == "after" else -1 - count  # one from -1 on counts from the end, as in Python
        native("teamnet.team.phase", "do_phase")(unit.record.ctypes.data, number)

    return case


def _taken_twice(count: int) -> Case:
    """Steps that are done again, until more noise is taken than was drawn; the record says ``count`` more than that."""
    def case() -> None:
        teams = _teams((3, 7, 1), rows=3)
        exchange = local(teams)
        drive(exchange, teams, 1)
        for unit in exchange.units:
            unit.draw_noise(1)
            unit.record["noise_count"] += count
            for _ in range(3):
                native("teamnet.team.phase", "do_phase")(unit.record.ctypes.data, 0)

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
        for name, case, expected in _cases(side, patch):
            ended, kernels = _in_a_process(case, called)
            print(json.dumps({"case": name, "expected": expected, "ended": ended, "called": kernels}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
