"""The cost model: the simulated protocol against closed forms, what is fitted, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.board.board import Board, board_size
from teamnet.board.link import HEADER
from teamnet.board.routes import Routes
from teamnet.board.segment import private_memory
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.ports import OBSERVATION
from teamnet.errors import SpecError
from teamnet.kernels.constants import YIELDS
from teamnet.rules.registry import built_in_rules
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.plan.build import build_world, working_set
from teamnet.study.plan.calibrate import Measured, fit_simulated, with_needed
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import PARTS, WAITING, Cost, Machine, amounts, load_machine, save_machine
from teamnet.study.plan.operations import GUESS, Lap, fit_cost, fit_far, new_machine
from teamnet.study.plan.origin import Origin, this_machine, usual_path
from teamnet.study.plan.predict import board_seconds, local_seconds, places, predict, teams_of
from teamnet.study.plan.simulation import simulate
from teamnet.team.ledger import expected_traffic
from teamnet.team.partition import divide_all
from teamnet.team.resources import array_bytes, unit_bytes
from tests.commands import run_command

OPERATIONS = sorted({name for rule in built_in_rules().values() for name in rule().operations()})
WORK = Cost(fixed=1e-6, inputs=1e-9, outputs=2e-9, weights=3e-9, values=4e-9)
FREE = Machine(
    origin=Origin("any", 1, {}), full=True, parts=PARTS, quick=(),
    operations=dict.fromkeys(OPERATIONS, Cost()), far={}, cache=0, turn=0.0, coordinator=0.0, cold=0.0,
    jitter=0.0, switch=0.0, idle=0.0, sleep=0.0, look=0.0, publish=0.0, wake=0.0, send=0.0, receive=0.0, call=0.0,
    startup=0.0, startup_actor=0.0, memory=0, memory_actor=0,
)
"""A machine on which nothing takes any time."""
WORKING = replace(FREE, operations=dict.fromkeys(OPERATIONS, WORK), coordinator=5e-6)
USUAL = replace(
    WORKING, cold=3e-7, switch=1e-6, idle=2e-5, sleep=1.5e-5, look=2e-7, publish=3e-7, wake=5e-6, send=1e-5,
    receive=1e-5, turn=5e-8, call=1e-3, startup=4.0, startup_actor=0.5, memory=700 << 20, memory_actor=60 << 20,
)
HERE = replace(USUAL, origin=this_machine())
METHODS = ("map", "tuned", "frugal", "backprop", "map-async", "reinforce")
ENVIRONMENT = 2e-5


def small(method: str = "map", **changes: object) -> RunSpec:
    return replace(preset("cartpole", method), hidden=(8, 4), **changes)  # type: ignore[arg-type]


def seconds(spec: RunSpec, launch: LaunchSpec, machine: Machine, cluster: Cluster) -> float:
    return spec.num_envs / predict(spec, launch, machine, cluster, ENVIRONMENT).env_steps_per_second


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grain", ["layer", "block:3", "neuron"])
def test_on_one_core_a_step_takes_as_long_as_all_its_work(method: str, grain: str):
    spec = small(method)
    flow = Dataflow(teams_of(spec))
    work = sum(
        WORKING.seconds(step.operation, unit)
        for unit in divide_all(flow.teams, grain, 0) for step in flow.steps[unit.layer.group]
    )
    expected = work + WORKING.coordinator + ENVIRONMENT
    found = seconds(spec, LaunchSpec(grain=grain), WORKING, Cluster(cpus=1))
    assert found == pytest.approx(expected, rel=0.02)  # what is left of a step may be done beside the next one
    assert seconds(spec, LaunchSpec("local", grain=grain), WORKING, Cluster()) == pytest.approx(expected, rel=1e-9)


def test_beyond_the_caches_operations_take_what_memory_gives_and_a_fit_finds_both_again():
    spec, far = small(), dict.fromkeys(OPERATIONS, Cost(*(5.0 * its for its in WORK)))
    flow = Dataflow(teams_of(spec))
    units = divide_all(teams_of(spec), "layer", 0)
    arrays = sum(map(unit_bytes, units))
    assert arrays == array_bytes(teams_of(spec))

    def step(cache: int) -> float:
        return seconds(spec, LaunchSpec("local"), replace(WORKING, far=far, cache=cache), Cluster()) - ENVIRONMENT

    work = seconds(spec, LaunchSpec("local"), WORKING, Cluster()) - ENVIRONMENT - WORKING.coordinator
    assert step(arrays) - WORKING.coordinator == pytest.approx(3.0 * work, rel=1e-9)
    assert step(3 * arrays) - WORKING.coordinator == pytest.approx(2.0 * work, rel=1e-9)
    assert step(0) - WORKING.coordinator == pytest.approx(5.0 * work, rel=1e-9)

    machine = replace(WORKING, far=far, cache=30_000_000)

    def laps(held: int) -> list[Lap]:
        return [
            Lap(step.operation, unit, machine.seconds(step.operation, unit, held), held)
            for unit in units for step in flow.steps[unit.layer.group]
        ]

    found = fit_far(WORKING, laps(40_000_000), laps(500_000_000))
    assert found.cache == pytest.approx(30_000_000, rel=0.02)
    for unit in units:
        for its in flow.steps[unit.layer.group]:
            expected = machine.seconds(its.operation, unit, 10**12)
            assert found.seconds(its.operation, unit, 10**12) == pytest.approx(expected, rel=0.02)


def test_nodes_on_one_machine_share_its_caches():
    units = divide_all(teams_of(small()), "layer", 0)
    places_of = [number % 2 for number in range(len(units))]
    arrays = list(map(unit_bytes, units))
    together = working_set(units, places_of, Cluster(nodes=2, shared_cpus=True))
    assert together == sum(arrays)
    assert working_set(units, places_of, Cluster(nodes=2)) == max(sum(arrays[::2]), sum(arrays[1::2]))


@pytest.mark.parametrize("method", METHODS)
def test_a_team_on_another_node_costs_two_messages_a_step(method: str):
    latency, bandwidth, spec = 1e-3, 1e6, small(method)
    cluster = Cluster(nodes=2, cpus=8, link_latency=latency, link_bandwidth=bandwidth)
    begins = method == "map-async"  # which rows begin an episode comes with the observation
    sent = 8 + 8 * (begins + 4), 8 + 8 * (1 + 1)  # headers; the observation; output and value
    delta = 8 + 8 * 2
    expected = 2 * latency + sum(sent) / bandwidth
    found = predict(spec, LaunchSpec(placement="by-team"), FREE, cluster, environment=0.0)
    assert 1.0 / found.env_steps_per_second == pytest.approx(expected + delta / bandwidth, rel=1e-9)
    assert found.nodes == 2


def test_with_a_layer_a_node_every_exchange_costs_its_latency():
    """Backpropagation by hand: up through three layers, TD error down to them; errors come down meanwhile."""
    cluster = Cluster(nodes=7, cpus=8, link_latency=1.0, reserved_cpus=8)
    launch = LaunchSpec(placement="by-layer")
    slow = predict(small("backprop"), launch, FREE, cluster, environment=0.0)
    # observation 1 to layer 2, 2, 3, coordinator: the actor's first layer is at home; the critic's costs one more
    assert 1.0 / slow.env_steps_per_second == pytest.approx(4.0)
    jacobi = 1.0 / predict(small(), launch, FREE, cluster, environment=0.0).env_steps_per_second
    frugal = 1.0 / predict(small("frugal"), launch, FREE, cluster, environment=0.0).env_steps_per_second
    assert jacobi == pytest.approx(2 * 20 + 4, abs=2.0)
    assert frugal == pytest.approx(5 + 4, abs=2.0)


def test_waking_and_switching_cost_what_they_are_said_to():
    spec, launch, one = small("backprop"), LaunchSpec(), Cluster(cpus=1)
    switches = seconds(spec, launch, replace(WORKING, switch=1e-5), one) - seconds(spec, launch, WORKING, one)
    flow = Dataflow(teams_of(spec))
    published = expected_traffic(flow, divide_all(flow.teams, "layer", 0))
    assert 7 * 1e-5 <= switches <= 3 * 7 * (YIELDS + 1) * 1e-5, "each of seven processes waits two or three times"
    publishing = seconds(spec, launch, replace(WORKING, publish=1e-5), one) - seconds(spec, launch, WORKING, one)
    sent = sum(published.edges[kind].messages for kind in ("activation", "error", "action"))
    assert publishing == pytest.approx((sent + published.edges["gate"].messages / 2 + 2) * 1e-5)


@given(
    st.sampled_from(METHODS), st.sampled_from(["layer", "block:3", "neuron"]),
    st.sampled_from(["pack", "spread", "by-team", "by-layer"]), st.integers(1, 5), st.integers(1, 4),
    st.booleans(),
)
def test_no_schedule_is_stuck_and_slower_links_never_help(
    method: str, grain: str, placement: str, nodes: int, rows: int, shared: bool
):
    spec, launch = small(method, num_envs=rows), LaunchSpec(grain=grain, placement=placement)
    taken = [
        seconds(spec, launch, USUAL, Cluster(nodes, 2, link_latency=latency, reserved_cpus=4, shared_cpus=shared))
        for latency in (0.0, 1e-3, 1e-1)
    ]
    assert np.isfinite(taken).all()
    assert taken[0] <= taken[1] * 1.001
    assert taken[1] <= taken[2] * 1.001


@pytest.mark.parametrize("placement", ["spread", "by-team", "by-layer"])
@pytest.mark.parametrize("grain", ["layer", "block:3"])
@pytest.mark.parametrize(("task", "message_dtype", "method"), [
    ("cartpole", "float64", "map"), ("mountaincar", "float32", "map"), ("cartpole", "int8", "map"),
    ("cartpole", "float64", "map-async"),
])
def test_messages_between_nodes_have_the_bytes_that_the_relay_sends(
    task: str, message_dtype: str, method: str, grain: str, placement: str
):
    teams = teams_of(changed(preset(task, method), hidden=(8, 4), num_envs=3, message_dtype=message_dtype))
    units = divide_all(teams, grain, 0)
    cluster = Cluster(3, 4)
    nodes = places(LaunchSpec(grain=grain, placement=placement), teams, units, cluster)
    flow = Dataflow(teams)
    routes, board = Routes(flow, units, nodes), Board(flow, private_memory(board_size(flow)))
    inputs = build_world(flow, units, nodes, USUAL, cluster, ENVIRONMENT)
    slots = {slot.key: number for number, slot in enumerate(flow.published())}
    compared = 0
    for source in range(3):
        for target in range(3):
            for route in routes.between(board, source, target) if source != target else []:
                slot = flow.slots[route.slot]
                assert target in routes.readers(slot)
                assert target in inputs.targets[inputs.target[slots[slot.key]] : inputs.target[slots[slot.key] + 1]]
                found = routes.packed_bytes(slot, source)
                assert inputs.size[slots[slot.key], source] == HEADER + found
                seen = [unit.layer.is_first for unit, node in zip(units, nodes, strict=True) if node == target]
                if route.slot == OBSERVATION and not any(seen):
                    found -= 8 * 3 * teams[0][0].fan_in  # no first layer there: only the rows that begin an episode
                assert found == route.size
                compared += 1
    assert compared >= 3


def test_an_operation_that_was_not_measured_is_refused():
    spec = small("tuned")
    older = replace(WORKING, operations={name: cost for name, cost in WORKING.operations.items() if name != "descend"})
    for launch in (LaunchSpec(), LaunchSpec("local")):
        with pytest.raises(SpecError) as refusal:
            seconds(spec, launch, older, Cluster())
        assert refusal.value.where == "machine"
        assert "'descend'" in refusal.value.found
    assert seconds(small("backprop"), LaunchSpec(), older, Cluster()) > 0.0, "which the run does not need"


def test_processes_that_wait_for_ever_are_found():
    teams = teams_of(small())
    inputs = build_world(
        Dataflow(teams), divide_all(teams, "layer", 0), [0] * 6, WORKING, Cluster(), ENVIRONMENT
    )
    stuck = inputs._replace(needs=inputs.needs + np.array([0, 1000]))
    assert np.isnan(simulate(stuck, 3)).all()
    with pytest.raises(SpecError) as refusal:
        board_seconds(stuck)
    assert refusal.value.where == "steps"


def test_costs_are_found_again():
    units = [
        unit for hidden in ((4, 4), (32, 16), (64, 8)) for rows in (1, 16)
        for unit in divide_all(teams_of(small(num_envs=rows) if hidden == (4, 4) else replace(
            preset("cartpole"), hidden=hidden, num_envs=rows)), "layer", 0)
    ]
    truth = Cost(2e-7, 1e-10, 0.0, 2e-9, 5e-9)
    rows = [(amounts(unit), sum(a * b for a, b in zip(amounts(unit), truth, strict=True))) for unit in units]
    assert fit_cost(rows) == pytest.approx(truth, rel=1e-6, abs=1e-14)


def test_what_waiting_costs_is_found_from_rates():
    """Rates that other costs have made: the fit meets them, which the guess does not."""
    truth = replace(USUAL, switch=3e-6, idle=1e-5, sleep=4e-5, wake=2e-6)
    cluster = Cluster(cpus=2)

    def measured(method: str, grain: str) -> Measured:
        launch, teams = LaunchSpec(grain=grain), teams_of(small(method))
        units = divide_all(teams, grain, 0)
        step = board_seconds(build_world(Dataflow(teams), units, [0] * len(units), truth, cluster, ENVIRONMENT))
        return Measured(teams, units, launch, ENVIRONMENT, step, 0.0, 0.0, 0)

    seen = ("map", "layer"), ("tuned", "layer"), ("map", "block:3"), ("backprop", "block:3")
    found = [measured(*its) for its in seen]
    fitted = fit_simulated(replace(USUAL, **GUESS), found, GUESS, cluster)
    def largest_error(machine: Machine) -> float:
        ratios = [
            seconds(small(method), LaunchSpec(grain=grain), machine, cluster) / its.seconds
            for (method, grain), its in zip(seen, found, strict=True)
        ]
        return max(abs(ratio - 1.0) for ratio in ratios)

    assert largest_error(fitted) < 0.15 < largest_error(replace(USUAL, **GUESS))


def test_memory_and_start_up_are_of_the_node_that_needs_most():
    spec = small()
    one = predict(spec, LaunchSpec(), USUAL, Cluster(cpus=2), ENVIRONMENT)
    two = predict(spec, LaunchSpec(placement="by-team"), USUAL, Cluster(2, 2), ENVIRONMENT)
    local = predict(spec, LaunchSpec("local"), USUAL, Cluster(), ENVIRONMENT)
    assert one.memory - two.memory == pytest.approx(3 * (60 << 20), rel=0.01)
    assert one.startup_seconds == 4.0 + 0.5 * 3
    assert two.startup_seconds == 4.0 + 0.5 * 2, "three units, and what looks after the board"
    namespaces = predict(spec, LaunchSpec(placement="by-team"), USUAL, Cluster(2, 2, shared_cpus=True), ENVIRONMENT)
    assert namespaces.startup_seconds == 4.0 + 0.5 * 4
    assert (local.actors, local.startup_seconds) == (0, 0.0)
    assert local.memory < 10 << 20
    flow = Dataflow(teams_of(spec))
    ledger = expected_traffic(flow, divide_all(flow.teams, "layer", 0))
    assert (one.messages_per_step, one.bytes_per_step) == tuple(ledger.total)
    assert one.exchanges_per_step == ledger.exchanges


def test_calls_cost_by_operation():
    spec = small("tuned")
    flow = Dataflow(teams_of(spec))
    steps = sum(len(flow.steps[group]) for group in flow.layers)
    found = predict(spec, LaunchSpec(transport="ray"), USUAL, Cluster(), ENVIRONMENT)
    assert 1.0 / found.env_steps_per_second == pytest.approx(steps * 1e-3 + ENVIRONMENT)
    assert local_seconds(teams_of(spec), divide_all(teams_of(spec), "layer", 0), USUAL) < 1e-3


def test_a_machine_is_kept_and_read_again(tmp_path: Path):
    save_machine(USUAL, tmp_path / "below" / "machine.json")
    assert load_machine(tmp_path / "below" / "machine.json") == USUAL


@pytest.mark.parametrize("damage", [
    lambda its: its.pop("switch"), lambda its: its.update(more=1.0), lambda its: its.update(idle=-1.0),
    lambda its: its.update(look=float("inf")), lambda its: its["origin"].update(cores=0),
    lambda its: its.update(parts=["more"]), lambda its: its.update(full=1), lambda its: its.update(operations=3),
    lambda its: its.update(operations={"act": [1.0]}) or its.update(wake="soon"),
])
def test_a_damaged_machine_is_refused(tmp_path: Path, damage: object):
    path = tmp_path / "machine.json"
    save_machine(USUAL, path)
    plain = json.loads(path.read_text())
    damage(plain)  # type: ignore[operator]
    path.write_text(json.dumps(plain))
    for text in (path.read_text(), "[" * 100_000):
        path.write_text(text)
        for action in (lambda: load_machine(path), lambda: save_machine(USUAL, path)):
            with pytest.raises(SpecError) as refused:
                action()
            assert refused.value.where == "machine"
        assert path.read_text() == text


def test_a_calibration_replaces_only_a_calibration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[str] = []
    monkeypatch.setattr("teamnet.study.plan.calibrate.calibrate", lambda *given: calls.append("full") or HERE)
    monkeypatch.setattr("teamnet.study.plan.calibrate.with_needed", lambda known, *given: (
        known if known.parts else calls.append("quick") or HERE
    ))
    path = tmp_path / "runs/machine.json"
    common = ("plan", "cartpole", "--machine", path)
    run_command(capsys, *common, "--step-size", 5, code=2)
    run_command(capsys, *common, "--free-running", "--rule", "map-async", code=2)
    assert (calls, list(tmp_path.iterdir())) == ([], [])
    run_command(capsys, *common)
    run_command(capsys, *common)
    run_command(capsys, *common, "--calibrate")
    assert calls == ["quick", "full"]
    path.write_text("mine")
    for more in ((), ("--calibrate",)):
        run_command(capsys, *common, *more, code=2)
    assert (len(calls), path.read_text()) == (2, "mine")


def test_a_calibration_is_kept_for_this_machine_and_these_versions(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path))
    calls: list[str] = []
    monkeypatch.setattr("teamnet.study.plan.calibrate.with_needed", lambda known, *given: (
        known if known.parts else calls.append("quick") or replace(HERE, full=False)
    ))
    for _ in range(2):
        out, _ = run_command(capsys, "plan", "cartpole", "--hidden", "3")
    assert calls == ["quick"]
    assert "about 35 %" in out
    path = usual_path()
    assert path.is_relative_to(tmp_path)
    monkeypatch.setattr("teamnet.study.plan.origin.version", lambda name: "0.0.1")
    run_command(capsys, "plan", "cartpole", "--hidden", "3")
    assert calls == ["quick", "quick"], "with other versions it is another machine"
    foreign = path.read_bytes()
    _, err = run_command(capsys, "plan", "cartpole", "--hidden", "3", "--machine", path)
    assert "note:" in err
    assert "numba" in err
    assert path.read_bytes() == foreign


def test_what_a_prediction_lacks_is_measured_and_nothing_else():
    spec, said = small("tuned"), list[str]()
    assert with_needed(HERE, [(spec, LaunchSpec())], Cluster(), "", said.append) is HERE
    assert said == []
    found = with_needed(new_machine(), [(spec, LaunchSpec("local"))], Cluster(), "", said.append)
    assert said == [f"operations, {n} of 4" for n in range(1, 5)]
    assert set(found.operations) < set(OPERATIONS)
    flow = Dataflow(teams_of(spec))
    assert {step.operation for group in flow.layers for step in flow.steps[group]} == found.operations.keys()
    assert with_needed(found, [(spec, LaunchSpec("local"))], Cluster(), "", said.append) is found
    assert found.coordinator + found.turn > 0
    assert WAITING not in found.parts, "one process does not wait"


def test_arrays_beyond_the_caches_are_looked_at_where_a_run_has_them():
    spec, said = replace(preset("cartpole", "backprop"), hidden=(512, 256)), list[str]()
    slow = replace(new_machine(), operations=dict.fromkeys(OPERATIONS, Cost(fixed=1e-9)), cache=1 << 20)
    found = with_needed(slow, [(spec, LaunchSpec("local"))], Cluster(), "", said.append)
    assert said == ["arrays beyond the caches"]
    seconds_of_step = seconds(spec, LaunchSpec("local"), found, Cluster())
    assert seconds_of_step > 1e-4, "the factor makes up for costs that are far too small"


def test_the_command_prints_the_prediction(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    save_machine(USUAL, tmp_path / "machine.json")
    common = ("plan", "cartpole", "--machine", tmp_path / "machine.json", "--nodes", 2, "--cpus", 4)
    out, _ = run_command(capsys, *common, "--placement", "by-layer", "--link-latency", "0.001", "--json")
    found = json.loads(out.splitlines()[-1])
    assert (found["actors"], found["nodes"], found["exchanges_per_step"]) == (6, 2, 45)
    assert 20 < found["env_steps_per_second"] < 25
    out, _ = run_command(capsys, *common, "--grain", "block:8")
    assert "actors                 26" in out
    assert "GiB on the node that needs most" in out


@pytest.mark.parametrize(("arguments", "message"), [
    (("--nodes", "0"), "nodes: expected 1 or more; found 0"),
    (("--cpus", "-1"), "cpus: expected 1 or more; found -1"),
    (("--link-latency", "-1"), "link_latency: expected 0.0 or more"),
    (("--nodes", "2", "--cpus", "1", "--placement", "by-team", "--node-memory", "1000"), "the cluster: expected"),
    (("--rule", "map-async", "--free-running"), "free_running: expected a run with a common tick"),
    (("--placement", "nowhere", "--nodes", "2"), "placement: expected one of"),
])
def test_refusals(capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], message: str):
    save_machine(USUAL, tmp_path / "machine.json")
    _, err = run_command(capsys, "plan", "cartpole", "--machine", tmp_path / "machine.json", *arguments, code=2)
    assert message in err
