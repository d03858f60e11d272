"""The checks of a rule in this process: each returns a summary, or raises an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from teamnet.board.handshake import new_key
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.order import order_of_step
from teamnet.errors import TeamnetError
from teamnet.kernels.constants import READY
from teamnet.kernels.native import native
from teamnet.rules.rule import Rule
from teamnet.study.check.bench import TASKS, CheckFailed, Teams, differing, local, state_of, teams_of
from teamnet.study.check.conduct import every_choice, learns_from_the_step_before
from teamnet.team.board_executor import BoardExecutor
from teamnet.team.call_executor import CallExecutor, CallWorker
from teamnet.team.executor import Executor
from teamnet.team.local import LocalExecutor
from teamnet.team.node import Node
from teamnet.team.nodes import Nodes
from teamnet.team.partition import divide_all
from teamnet.team.rule_check import check_rules
from teamnet.team.rule_state import drive
from teamnet.team.state import split
from teamnet.team.worker import BoardWorker
from teamnet.team.worker_pool import ThreadPool

GRAINS = ("layer", "block:3", "neuron")
_STEPS, _LONG, _NODES = 20, 300, 2
_TOLERANCE, _DIFFERENCE = 1e-9, 1e-6


def statically(rule: Rule) -> str:
    """Slots, steps, shapes, compilation and state; see :func:`teamnet.team.rule_check.check_rules`."""
    steps = 0
    for kind in TASKS:
        teams = teams_of(rule, kind)
        check_rules(teams)
        flow = Dataflow(teams)
        steps += sum(len(flow.steps[group]) for group in flow.layers)
    return f"{len(rule.operations())} operations, {steps} steps"


def locally(rule: Rule) -> str:
    """While a unit runs a step, only its own arrays change, and its own columns of the slots that it publishes."""
    watched = 0
    for kind in TASKS:
        teams = teams_of(rule, kind)
        executor = local(teams, "block:3")
        drive(executor, teams, range(2))
        for unit in executor.units:
            unit.draw_noise(1)
        for part in order_of_step(executor.board.flow, [unit.spec for unit in executor.units]):
            for turn in (turn for wave in part for turn in wave):
                _watch(executor, turn.unit, turn.number)
                watched += 1
    return f"{watched} steps of units watched"


def _watch(executor: LocalExecutor, number: int, step: int) -> None:
    unit, flow = executor.units[number], executor.board.flow
    unwatched = [passive.private_bytes() for passive in executor.units if passive is not unit]
    slots = {key: executor.board.slot(key).copy() for key in flow.slots}
    if native("teamnet.team.one_step", "run_step")(unit.address, step) != READY:
        raise CheckFailed(f"{unit.spec.name} could not run step {step}, or is no longer finite")
    if unwatched != [passive.private_bytes() for passive in executor.units if passive is not unit]:
        raise CheckFailed(f"{unit.spec.name} changed an array of another unit in step {step}")
    written = {write.slot for write in flow.steps[unit.spec.layer.group][step].writes}
    for key, before in slots.items():
        after = executor.board.slot(key).copy()
        if key in written:
            columns = slice(unit.spec.start, unit.spec.stop) if flow.slots[key].split else slice(None)
            before[..., columns] = after[..., columns]
        if not np.array_equal(before, after, equal_nan=True):
            raise CheckFailed(f"{unit.spec.name} changed slot {key[0]!r} of layer {key[2]}, which is not its own")


def same_bits(rule: Rule, made: Callable[[Teams, str], Executor], grains: tuple[str, ...] = GRAINS) -> str:
    """At every granularity the state is that of whole layers in one process."""
    for kind in TASKS:
        teams = teams_of(rule, kind)
        whole = local(teams)
        drive(whole, teams, range(_STEPS))
        expected = state_of(whole, teams, "layer")
        for grain in grains:
            executor = made(teams, grain)
            try:
                drive(executor, teams, range(_STEPS))
                if names := differing(expected, state_of(executor, teams, grain)):
                    raise CheckFailed(f"{grain}, a task of {kind}: {', '.join(names[:3])} differ")
            finally:
                executor.close()
    return ", ".join(grains)


def on_board(teams: Teams, grain: str) -> Executor:
    """Units in threads that wait for each other on a board."""
    units = divide_all(teams, grain, 0)
    return BoardExecutor(teams, units, ThreadPool(BoardWorker, [(teams, unit) for unit in units]))


def by_calls(teams: Teams, grain: str) -> Executor:
    """Units that are called step by step."""
    units = divide_all(teams, grain, 0)
    return CallExecutor(teams, units, ThreadPool(CallWorker, [(teams, unit) for unit in units]))


def on_nodes(teams: Teams, grain: str) -> Executor:
    """Units of two nodes, each with a board of its own, linked over the loopback interface."""
    units, key = divide_all(teams, grain, 0), new_key()
    places = [number % _NODES for number in range(len(units))]
    nodes = [(teams, units, places, number, key, "127.0.0.1") for number in range(_NODES)]
    pool = ThreadPool(BoardWorker, [(teams, unit) for unit in units])
    return BoardExecutor(teams, units, pool, Nodes(Node(*nodes[0]), ThreadPool(Node, nodes[1:])))


def continued(rule: Rule) -> str:
    """A run that continues from a snapshot at another granularity has the same bits."""
    for kind in TASKS:
        teams = teams_of(rule, kind)
        whole = local(teams)
        drive(whole, teams, range(2 * _STEPS))
        expected = state_of(whole, teams, "layer")
        for before, after in pairwise((*GRAINS, "layer")):
            saved, restored = local(teams, before), local(teams, after)
            drive(saved, teams, range(_STEPS))
            restored.restore(split(divide_all(teams, after, 0), state_of(saved, teams, before)), _STEPS)
            drive(restored, teams, range(_STEPS, 2 * _STEPS))
            if names := differing(expected, state_of(restored, teams, after)):
                raise CheckFailed(f"from {before} to {after}, a task of {kind}: {', '.join(names[:3])} differ")
    return "layer to block:3 to neuron to layer"


def stay_finite(rule: Rule) -> str:
    """All numbers are finite after a few hundred steps."""
    for kind in TASKS:
        teams = teams_of(rule, kind)
        executor = local(teams)
        try:
            drive(executor, teams, range(_LONG))
            state_of(executor, teams, "layer")
        except TeamnetError as error:
            raise CheckFailed(f"a task of {kind}: {error}") from None
    return f"{_LONG} steps"


def interpreted(rule: Rule) -> str:
    """The operations in plain Python compute the same values as the compiled ones."""
    for kind in TASKS:
        teams = teams_of(rule, kind)
        compiled, plain = local(teams), local(teams, interpret=True)
        for executor in (compiled, plain):
            drive(executor, teams, range(5))
        expected, found = (state_of(executor, teams, "layer") for executor in (compiled, plain))
        if names := differing(expected, found, _TOLERANCE):
            largest = max(float(np.abs(expected[name] - found[name]).max()) for name in names)
            raise CheckFailed(f"a task of {kind}: {', '.join(names[:3])} differ by up to {largest:.3g}")
    return f"to {_TOLERANCE}"


def scores(rule: Rule) -> str:
    """Errors are the derivatives of the log-probability that the rule states, by finite differences."""
    stated = getattr(rule, "log_probability", None)
    if stated is None:
        return "states no log_probability"
    compared = 0
    for kind in TASKS:
        teams = teams_of(rule, kind)
        executor = local(teams)
        drive(executor, teams, range(1))
        for unit in executor.units:
            p, h = unit.private("preactivation"), unit.private("activation")
            for row, j in np.ndindex(*p.shape):
                ends = []
                for sign in (1, -1):
                    moved = p.copy()
                    moved[row, j] += sign * _DIFFERENCE
                    ends.append(float(stated(unit.spec.layer, moved, h)))
                slope = (ends[0] - ends[1]) / (2 * _DIFFERENCE)
                if not np.isclose(unit.private("error")[row, j], slope, rtol=1e-4, atol=1e-5):
                    raise CheckFailed(f"{unit.spec.name}: error {unit.private('error')[row, j]:.6g}, slope {slope:.6g}")
                compared += 1
    return f"{compared} errors"


def in_process(rule: Rule) -> Iterator[tuple[str, Callable[[], str]]]:
    """All checks that run in this process, by name."""
    yield "slots, steps, shapes, compilation, state", lambda: statically(rule)
    yield "locality", lambda: locally(rule)
    yield "same bits at every granularity", lambda: same_bits(rule, local)
    yield "same bits on the board", lambda: same_bits(rule, on_board)
    yield "same bits by calls", lambda: same_bits(rule, by_calls)
    yield "same bits on two nodes", lambda: same_bits(rule, on_nodes, GRAINS[:2])
    yield "same bits after a snapshot", lambda: continued(rule)
    yield "finite values", lambda: stay_finite(rule)
    yield "interpreted as compiled", lambda: interpreted(rule)
    yield "score by finite differences", lambda: scores(rule)
    yield "every choice of settings", lambda: every_choice(rule)
    yield "TD error of the step before", lambda: learns_from_the_step_before(rule)
