"""The ledger agrees with closed formulas, whatever the rule, the grain, the host and the transport."""

from __future__ import annotations

import time

import numpy as np
import pytest

from teamnet.cli.communication import communication_lines
from teamnet.dataflow.critical_path import exchanges_per_step
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec
from teamnet.kernels.constants import DTYPES, packed_size
from teamnet.team.call_executor import CallExecutor, CallWorker
from teamnet.team.executor import Executor
from teamnet.team.ledger import expected_traffic
from teamnet.team.partition import divide_all
from teamnet.team.state import split
from teamnet.team.worker_pool import ThreadPool
from tests.conftest import make_layers
from tests.team.executors import assert_same, drive, local, running_free, spread, state_of, threaded

STEPS, N, ACTING, ROWS = 70, 3, 4, 2
ACTOR, CRITIC = (3, 9, 6, 2), (3, 8, 5, 1)
PUBLISHED = {
    "jacobi": (N + 1, N + 1), "sweeps": (N + 1, N), "descents": (N, N), "chain": (1, 1),
    "ticks": (1 + ACTING + N, 1 + ACTING + N),
    "every second": (1 + 2, 1 + 2), "passed down": (N, N),
}
"""How often a hidden layer publishes its activations in a step, and every layer but the first its errors."""


def _teams(schedule: str) -> list[list[LayerSpec]]:
    common = {"rows": ROWS, "schedule": schedule, "settle_steps": N, "acting_steps": ACTING}
    if schedule == "every second":
        common |= {"schedule": "jacobi", "exchange_every": 2}
    elif schedule == "passed down":
        common |= {"schedule": "descents", "td_error": "passed-down"}
    return [make_layers(ACTOR, **common), make_layers(CRITIC, team="critic", family="gaussian", **common)]


def _units(size: int, grain: str) -> int:
    width = {"layer": size, "block:4": 4, "neuron": 1}[grain]
    return -(-size // width)


def _by_formula(schedule: str, grain: str) -> dict[str, tuple[int, int]]:
    """Messages and bytes of one step."""
    ups, downs = PUBLISHED[schedule]
    found = dict.fromkeys(("observation", "activation", "error", "action", "td_error", "gate", "control"), (0, 0))

    def add(kind: str, times: int, writers: int, numbers: int, readers: int) -> None:
        """``writers`` publish ``numbers`` rows together, to so many readers."""
        messages, size = found[kind]
        found[kind] = messages + times * writers * readers, size + 8 * ROWS * times * numbers * readers

    for sizes in (ACTOR, CRITIC):
        units = [*(_units(size, grain) for size in sizes[1:-1]), 1]  # a choice and a value are one agent's
        critic = sizes is CRITIC
        add("observation", 1, 1, sizes[0], units[0])
        for low, high in ((0, 1), (1, 2)):
            add("activation", ups, units[low], sizes[low + 1], units[high])
            add("error", downs, units[high], sizes[high + 1], units[low])
        add("action", 1, units[2], sizes[3] + critic, 1)
        if schedule == "passed down":
            add("td_error", 1, 1, 2, units[2])
            for low, high in ((0, 1), (1, 2)):  # in the messages of the errors
                for kind, numbers in (("td_error", 2), ("gate", critic)):
                    messages, size = found[kind]
                    found[kind] = messages, size + 8 * ROWS * downs * units[high] * numbers * units[low]
        else:
            add("td_error", 1, 1, 2, sum(units))  # and which rows keep their trace
        if schedule == "ticks":
            add("control", 1, 0, 1, units[0])  # in the message of the observation
            add("control", 1, 1, 1, sum(units[1:]))
        if critic and schedule != "passed down":
            add("gate", 1, 1, 1, sum(units) - 1)
    return found


def _check(executor: Executor, expected: dict[str, tuple[int, int]], units: int) -> None:
    ledger = executor.ledger()
    assert ledger.steps == STEPS
    pauses = round((ledger.edges["control"].bytes - STEPS * expected["control"][1]) / 8 / units)
    assert 0 <= pauses <= 2
    for kind, (messages, size) in expected.items():
        more = pauses * units if kind == "control" else 0
        assert ledger.edges[kind] == (STEPS * messages + more, STEPS * size + 8 * more), kind
    assert ledger.total == tuple(np.sum(list(ledger.edges.values()), axis=0))
    assert ledger.total == tuple(np.sum([ledger.same_node, ledger.between_nodes], axis=0))


@pytest.mark.parametrize("schedule", PUBLISHED)
@pytest.mark.parametrize("grain", ["layer", "block:4", "neuron"])
def test_counts_are_those_of_the_formula(schedule: str, grain: str):
    teams = _teams(schedule)
    units = len(divide_all(teams, grain, 0))
    for executor in (local(teams, grain), threaded(teams, grain)):
        drive(executor, teams, STEPS)
        _check(executor, _by_formula(schedule, grain), units)
        executor.close()
    assert dict(expected_traffic(Dataflow(teams), divide_all(teams, grain, 0)).edges) == _by_formula(schedule, grain)


@pytest.mark.parametrize(("message_dtype", "number", "scale"), [("float32", 4, 0), ("bfloat16", 2, 0), ("int8", 1, 8)])
def test_messages_of_fewer_bits_say_fewer_bytes(message_dtype: str, number: int, scale: int):
    teams = [make_layers(ACTOR, rows=ROWS, settle_steps=N, message_dtype=message_dtype)]
    executor = local(teams)
    drive(executor, teams, STEPS)
    edges = executor.ledger().edges
    ups, downs = PUBLISHED["jacobi"]
    said = [sum(number * ROWS * size + scale for size in sizes) for sizes in ((9, 6), (6, 2))]
    assert edges["activation"] == (STEPS * ups * 2, STEPS * ups * said[0])
    assert edges["error"] == (STEPS * downs * 2, STEPS * downs * said[1])
    assert edges["action"].bytes == STEPS * 8 * ROWS * 2


def test_who_computes_the_errors_above_receives_activations_and_once_biases_and_the_first_errors():
    """The output's errors while the team settles go nowhere, and a settle step is one exchange."""
    common = {"rows": ROWS, "settle_steps": N}
    teams, usual = ([make_layers(ACTOR, feedback=feedback, **common)] for feedback in ("recomputed", "mirror"))
    executor = local(teams)
    drive(executor, teams, STEPS)
    once = STEPS * 2, STEPS * 8 * ROWS * (6 + 2)
    assert executor.ledger().edges["error"] == executor.ledger().edges["sent_biases"] == once
    longest = [exchanges_per_step(Dataflow(its)) for its in (teams, usual)]
    assert longest[1] - longest[0] == N


@pytest.mark.parametrize(("schedule", "downs"), [("jacobi", N), ("descents", N), ("ticks", ACTING + N), ("chain", 1)])
def test_who_ships_products_says_one_for_each_neuron_below(schedule: str, downs: int):
    """And the last errors of the published schedule, which only those read who mirror synapses, are not said at all."""
    teams = [make_layers(
        ACTOR, rows=ROWS, settle_steps=N, schedule=schedule, acting_steps=ACTING, feedback="backprojected", entropy=0.1,
    )]
    units, channels = divide_all(teams, "layer", 0), 2 if schedule == "chain" else 1
    expected = STEPS * downs * 2, STEPS * downs * 8 * channels * ROWS * (9 + 6)
    calls = CallExecutor(teams, units, ThreadPool(CallWorker, [(teams, unit) for unit in units]))
    for executor in (local(teams), calls, threaded(teams, "layer")):
        drive(executor, teams, STEPS)
        assert executor.ledger().edges["error"] == expected
        executor.close()


def test_actor_calls_count_the_same():
    teams = _teams("sweeps")
    units = divide_all(teams, "block:4", 0)
    nodes = [unit.layer.team == "critic" for unit in units]
    executor = CallExecutor(teams, units, ThreadPool(CallWorker, [(teams, unit) for unit in units]), nodes)
    drive(executor, teams, STEPS)
    _check(executor, _by_formula("sweeps", "block:4"), len(units))
    ledger, critics = executor.ledger(), sum(nodes)
    executor.close()
    assert ledger.between_nodes.messages == STEPS * (critics + 2 + 1), "signals, two first units, and the output"
    assert [unit["node"] for unit in ledger.units] == nodes


def test_links_between_nodes_are_told_apart_and_the_relay_sends_a_slot_once():
    teams = _teams("jacobi")
    executor = spread(teams, "layer", [0, 0, 0, 1, 1, 1])
    drive(executor, teams, STEPS)
    ledger, expected = executor.ledger(), _by_formula("jacobi", "layer")
    executor.close()
    signals = 3 + 1 + 1  # TD errors with which rows keep their trace, the observation, and the critic's output
    pauses = ledger.edges["control"].messages // 6
    assert ledger.between_nodes.messages == STEPS * signals + 3 * pauses
    assert ledger.between_nodes.bytes == 8 * (STEPS * ROWS * (3 + 3 + 3 + 2) + 3 * pauses)
    assert ledger.total.messages == STEPS * sum(messages for messages, _ in expected.values()) + 6 * pauses
    slots = 3  # the observation, the TD error with the rows that keep their trace, the output with its value
    sizes = ROWS * 3 + ROWS * (1 + 1) + ROWS * (1 + 1)
    assert ledger.relay["messages"] == slots * STEPS
    assert ledger.relay["bytes"] == 8 * STEPS * (slots + sizes)
    assert [unit["node"] for unit in ledger.units] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("message_dtype", "send_threshold"), [
    ("float64", 0.0), ("float32", 0.0), ("bfloat16", 0.0), ("int8", 0.0), ("float64", 1e9), ("float32", 1e9),
    ("bfloat16", 1e9),
])
def test_a_link_carries_no_more_bytes_than_are_said(message_dtype: str, send_threshold: float):
    teams = [make_layers(ACTOR, rows=ROWS, settle_steps=N, message_dtype=message_dtype, send_threshold=send_threshold)]
    here, there = local(teams), spread(teams, "layer", [0, 1, 0])
    for executor in (here, there):
        drive(executor, teams, STEPS)
    assert_same(state_of(here, teams, "layer"), state_of(there, teams, "layer"))
    relay = there.ledger().relay
    there.close()
    times = 1 if send_threshold else N + 1  # of the other rounds only the headers
    said = [packed_size(ROWS * size, DTYPES.index(message_dtype)) for size in (9, 6, 6, 2)]
    messages = STEPS * (4 * (N + 1) + 1)
    assert relay["messages"] == messages
    most = STEPS * times * sum(said) + 8 * ROWS * 2 * STEPS + 8 * messages
    least = 0.95 * most if message_dtype in ("bfloat16", "int8") else most  # few bits may happen to be the same again
    assert least <= relay["bytes"] <= most


@pytest.mark.parametrize(
    ("schedule", "steps", "exchanges"),
    [
        # observation, two layers up, action, TD error; then as the schedule says, counted by hand
        ("jacobi", 20, 5 + 40), ("jacobi", 0, 5), ("sweeps", 1, 9 - 1), ("sweeps", 2, 12), ("descents", 2, 10),
    ],
)
def test_the_exchanges_that_follow_one_upon_another(schedule: str, steps: int, exchanges: int):
    assert exchanges_per_step(Dataflow([make_layers((3, 9, 6, 2), schedule=schedule, settle_steps=steps)])) == exchanges


def test_a_td_error_that_is_passed_down_takes_one_exchange_more():
    layers = make_layers((3, 9, 6, 2), schedule="descents", settle_steps=2, td_error="passed-down")
    assert exchanges_per_step(Dataflow([layers])) == 11


def test_a_link_carries_what_is_passed_down_with_the_errors():
    layers = make_layers(CRITIC, team="critic", family="gaussian", rows=ROWS, schedule="descents", settle_steps=N,
                         td_error="passed-down")
    executor = spread([layers], "layer", [0, 1, 0])
    drive(executor, [layers], STEPS)
    relay = executor.ledger().relay
    executor.close()
    assert relay["messages"] == STEPS * 4 * N, "neither the observation nor the TD error crosses by itself"
    numbers = ROWS * (8 + 5 + 5 + 3 + 1 + 3)  # both layers' activations, and their errors with the signals
    assert relay["bytes"] == 8 * STEPS * N * (numbers + 4)


def test_free_units_count_what_they_said_and_have_no_longest_way():
    teams = _teams("ticks")
    executor = running_free(teams)
    drive(executor, teams, STEPS)
    ledger = executor.ledger()
    executor.close()
    assert ledger.exchanges is None
    assert ledger.edges["observation"].messages == 2 * STEPS
    assert ledger.edges["error"].messages > 4 * STEPS
    assert ledger.straggler is None, "nobody times a unit that runs free"
    assert {unit["computed"] for unit in ledger.units} == {None}
    text = "\n".join(communication_lines(ledger.as_plain()))
    assert "no step was timed" in text
    assert "exchanges a step" not in text


def test_times_are_per_step_and_the_straggler_is_the_unit_that_is_busiest():
    slow = make_layers((3, 300, 2), settle_steps=20)
    quick = make_layers((3, 4, 1), team="critic", family="gaussian", settle_steps=20)
    executor = local([slow, quick])
    for unit in executor.units:
        unit.record["timed_mask"] = 0  # every step: on a busy machine a few samples are no average
    drive(executor, [slow, quick], 500)
    ledger = executor.ledger()
    computed = [unit["computed"] for unit in ledger.units]
    assert ledger.straggler == ledger.units[int(np.argmax(computed))]["name"]
    assert ledger.straggler.startswith("actor")
    assert 0.1 > min(computed[:2]) > max(computed[2:]) > 0
    assert {(unit["published"], unit["waited"], unit["transferred"]) for unit in ledger.units} == {(None,) * 3}


def test_who_waits_for_a_neighbour_is_seen_to_wait():
    teams = [make_layers((3, 300, 2), settle_steps=20)]
    begun = time.perf_counter()
    executor = threaded(teams, "layer")
    drive(executor, teams, 64 * 5)
    seconds = (time.perf_counter() - begun) / (64 * 5)
    ledger = executor.ledger()
    executor.close()
    for unit in ledger.units:
        assert min(unit["computed"], unit["published"], unit["waited"]) > 0
        assert unit["computed"] + unit["published"] + unit["waited"] < 20 * seconds
        assert 0 < unit["transferred"] < unit["waited"]
    assert ledger.units[1]["waited"] > ledger.units[0]["computed"] / 2


def test_a_restored_run_begins_a_new_ledger():
    teams = _teams("jacobi")
    executor = threaded(teams, "layer")
    drive(executor, teams, 5)
    executor.restore(split(divide_all(teams, "layer", 0), state_of(executor, teams, "layer")), 5)
    drive(executor, teams, STEPS, first=5)
    _check(executor, _by_formula("jacobi", "layer"), 6)
    executor.close()
