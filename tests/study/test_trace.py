"""Traced steps: their timestamps, the clocks of several nodes, what the critical path is spent on, and the command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.dataflow.graph import Dataflow
from teamnet.errors import SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.clocks import align
from teamnet.study.communication.run_trace import trace_folder
from teamnet.study.communication.trace import chrome_trace
from teamnet.study.communication.waits import Participants, hidden_environment, lost_times
from teamnet.study.plan.predict import teams_of
from teamnet.team.partition import divide_all
from teamnet.training.run import Run
from teamnet.training.step_trace import StepTrace
from tests.commands import run_command

SMALL = changed(preset("cartpole"), hidden=(6, 4), settle_steps=2, env_steps=400, episodes=None)
LAUNCHES = [LaunchSpec("local"), LaunchSpec(), LaunchSpec(transport="ray")]


def finished(spec, launch: LaunchSpec, steps: int | None = None) -> tuple[Run, StepTrace | None]:
    run, trace = Run(spec, launch), None
    if steps:
        while run.step < 50:
            run.advance(lambda: run.step >= 50)
        trace, ended = run.trace(steps)
        assert all(episode.length > 0 for episode in ended)
    while not run.done:
        run.advance()
    return run, trace


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("launch", LAUNCHES)
def test_traced_steps_follow_each_other_and_change_no_bit(launch: LaunchSpec):
    run, trace = finished(SMALL, launch, 20)
    untraced, _ = finished(SMALL, LaunchSpec("local"))
    digests = [each.summary()["digest"] for each in (run, untraced)]
    for each in (run, untraced):
        each.close()
    assert digests[0] == digests[1]
    assert trace is not None
    assert trace.steps == 20
    for each in (trace.coordinator, *trace.units):
        assert len(each) == 20
        assert np.all(np.diff(each.reshape(-1)) >= 0), "one after the other, from step to step"
    starts = trace.coordinator[:, 0, 0]
    for unit in trace.units:
        assert np.all(unit[:, -1, 3] > starts), "every unit has a row for every step"
        assert np.all(unit[:-1, 0, 2] < starts[1:])


def test_a_trace_ends_with_the_run():
    run = Run(changed(SMALL, env_steps=10), LaunchSpec("local"))
    trace, _ = run.trace(50)
    done = run.step
    run.close()
    assert trace.steps == done - 1, "the first step is not kept"
    assert [len(unit) for unit in trace.units] == [trace.steps] * 6


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("launch", LAUNCHES)
def test_no_message_arrives_before_it_is_sent(launch: LaunchSpec):
    run = Run(SMALL, launch)
    trace, _ = run.trace(5)
    participants = Participants(run.flow, run.units, trace)
    events = json.loads(json.dumps(chrome_trace(participants)))["traceEvents"]
    run.close()
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert list(names.values()) == ["coordinator", *(unit.name for unit in run.units)]
    for row, steps in enumerate(participants.steps):
        computed = [event["name"] for event in events if event.get("tid") == row and event.get("cat") == "compute"]
        operations = [step.operation for step in steps]
        assert set(computed) <= set(operations)
        assert row == 0 or computed == 5 * operations
    arrows: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "message":
            arrows.setdefault(event["id"], []).append(event["ts"])
    assert len(arrows) > 5 * 20
    assert all(len(ends) == 2 and ends[0] <= ends[1] for ends in arrows.values())


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("launch", LAUNCHES)
@pytest.mark.parametrize("method", ["map", "tuned", "backprop"])
def test_what_the_critical_path_is_spent_on_adds_up(launch: LaunchSpec, method: str):
    run = Run(changed(preset("cartpole", method), hidden=(6, 4), env_steps=400, episodes=None), launch)
    trace, _ = run.trace(8)
    participants = Participants(run.flow, run.units, trace)
    run.close()
    losses = lost_times(participants)
    assert sum(loss.share for loss in losses) == pytest.approx(1.0)
    assert all(loss.seconds >= 0.0 for loss in losses), "on one machine no message is faster than light"
    ends = np.max([each[:, -1, 3] for each in participants.times], axis=0)
    firsts = np.min([each[:, 0, 0] for each in participants.times], axis=0)
    whole = sum(loss.seconds for loss in losses)
    assert 0.0 < whole <= (ends - firsts).mean() / 1e9 + 1e-9
    environment, hidden = hidden_environment(participants)
    assert environment > 0.0
    assert 0.0 <= hidden <= 1.0


@pytest.mark.parametrize("task", ["cartpole", "regression", "multiplexer"])
def test_in_one_process_nothing_overlaps_and_the_units_compute(task: str):
    run = Run(changed(preset(task), hidden=(6, 4), settle_steps=2), LaunchSpec("local"))
    trace, _ = run.trace(8)
    participants = Participants(run.flow, run.units, trace)
    run.close()
    environment, hidden = hidden_environment(participants)
    assert environment > 0.0
    assert hidden == 0.0
    losses = lost_times(participants)
    assert sum(loss.share for loss in losses) == pytest.approx(1.0)
    assert all(loss.seconds >= 0.0 for loss in losses)
    in_step = sum(
        float((unit[..., 3] - unit[..., 1]).sum()) for unit in participants.times[1:]
    ) / len(participants.times[0]) / 1e9
    computed = sum(loss.seconds for loss in losses if loss.kind == "compute" and loss.name != "coordinator")
    learned = _learning(participants)
    assert learned <= computed <= in_step + 1e-9


def _learning(participants: Participants) -> float:
    """Mean seconds of the units' work after the coordinator's last signal."""
    place = next(k for k, step in enumerate(participants.steps[0]) if step.published and k > 0)
    signals = participants.times[0][:, place, 2]
    after = [
        np.where(unit[..., 1] >= signals[:, None], unit[..., 3] - unit[..., 1], 0) for unit in participants.times[1:]
    ]
    return sum(float(each.sum()) for each in after) / len(signals) / 1e9


def test_the_environment_is_hidden_where_units_work():
    participants = made_up()
    participants.times[0][:, -1, 1:3] = [[100, 200]] * 3
    for unit in participants.times[1:]:
        unit[:] = 0
    participants.times[1][:, 0] = [0, 90, 120, 130]
    participants.times[2][:, 0] = [0, 110, 115, 150]
    participants.times[3][:, 0] = [0, 180, 185, 300]
    assert hidden_environment(participants) == (pytest.approx(100e-9), pytest.approx(0.7))


def made_up(offset: int = 0) -> Participants:
    """Three steps of backpropagation in which every message takes 1,000 ns and every operation 10 ns times its place.

    The critic's first layer is at node 1, whose clock is ahead by ``offset``; nothing else costs any time.
    """
    spec = changed(preset("cartpole", "backprop"), hidden=(6,))
    flow = Dataflow(teams_of(spec))
    units = divide_all(flow.teams, "layer", 0)
    nodes = [int(unit.layer.team == "critic" and unit.layer.number == 1) for unit in units]
    probe = Participants(flow, units, StepTrace(0, np.zeros((1, 3, 4), np.int64), [
        np.zeros((1, len(flow.steps[unit.layer.group]), 4), np.int64) for unit in units
    ], nodes))
    message, taken = 1000, 10
    times = [np.zeros((len(steps), 4), np.int64) for steps in probe.steps]
    order = [(number, place) for number, steps in enumerate(probe.steps) for place in range(len(steps))]
    for _ in order:  # until nothing changes any more
        for number, place in order:
            begun = int(times[number][place - 1, 3]) if place else 0
            arrivals = [int(times[writer][step, 2]) + message for _, writer, step in probe.writers(number, place)]
            ready = max([begun, *arrivals])
            done = ready + taken * (1 + place)
            times[number][place] = begun, ready, done, done
    clocks = [0, *(offset * node for node in nodes)]
    arrays = [
        np.stack([each + shift + 10**6 * step for step in range(3)])
        for each, shift in zip(times, clocks, strict=True)
    ]
    return Participants(flow, units, StepTrace(0, arrays[0], arrays[1:], nodes))


def test_what_a_made_up_step_is_spent_on():
    participants = made_up()
    ends = max(int(each[0, -1, 3]) for each in participants.times)
    losses = lost_times(participants)
    assert sum(loss.seconds for loss in losses) == pytest.approx(ends / 1e9)
    edges = [loss for loss in losses if loss.kind == "edge"]
    assert all(1e9 * loss.seconds % 1000 == pytest.approx(0.0, abs=1e-6) for loss in edges)
    assert 1e9 * sum(loss.seconds for loss in edges) == pytest.approx(ends // 1000 * 1000)


@pytest.mark.parametrize("offset", [10**9, -(10**9), 12345])
def test_clocks_of_two_nodes_are_aligned(offset: int):
    there, here = made_up(offset), made_up()
    assert there.clocks.offsets[1] == pytest.approx(offset)
    assert there.clocks.errors == [0.0, 1000.0]
    assert [loss._asdict() for loss in lost_times(there)] == [loss._asdict() for loss in lost_times(here)]


def test_an_unknown_clock_is_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    participants = made_up()
    participants.clocks.errors[1] = float("inf")
    monkeypatch.setattr("teamnet.study.communication.run_trace.trace_folder", lambda *given: (participants, 0))
    out, _ = run_command(capsys, "trace", tmp_path, "--json", "--out", tmp_path / "trace.json")
    found = json.loads(out.splitlines()[-1], parse_constant=lambda name: pytest.fail(name))
    assert found["clock_errors"] == [0.0, None]


@given(
    st.lists(st.integers(-10**9, 10**9), min_size=1, max_size=5),
    st.lists(st.integers(1, 10**6), min_size=30, max_size=30), st.data(),
)
def test_a_clock_is_wrong_by_no_more_than_is_said(ahead: list[int], taken: list[int], data: st.DataObject):
    clocks = [0, *ahead]
    pairs = [(a, b) for a in range(len(clocks)) for b in range(len(clocks)) if a != b]
    known = data.draw(st.lists(st.sampled_from(pairs), unique=True, max_size=len(pairs))) if pairs else []
    fastest = {
        (source, target): clocks[target] - clocks[source] + time
        for (source, target), time in zip(pairs, taken, strict=False) if (source, target) in known
    }
    found = align(len(clocks), fastest)
    assert found.offsets[0] == found.errors[0] == 0.0
    for clock, offset, error in zip(clocks, found.offsets, found.errors, strict=True):
        assert abs(offset - clock) <= error + 1e-6


def test_a_finished_run_is_traced_and_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    options = ("--hidden", "6", "4", "--env-steps", "300", "--backend", "local", "--out", run)
    run_command(capsys, "train", "cartpole", *options)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    out, _ = run_command(capsys, "trace", run, "--steps", "7")
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert after.keys() - before.keys() == {"trace.json", ".teamnet-trace.json"}
    assert {name: after[name] for name in before} == before
    assert out.startswith("7 steps from step ")
    events = json.loads(after["trace.json"])["traceEvents"]
    assert sum(event.get("name") == "environment" for event in events) == 7
    out, _ = run_command(capsys, "trace", run, "--json", "--steps", "3")
    assert json.loads(out.splitlines()[-1])["steps"] == 3
    (run / "trace.json").write_text("mine")
    _, err = run_command(capsys, "trace", run, code=2)
    assert "trace.json" in err
    assert (run / "trace.json").read_text() == "mine"


def test_a_running_run_is_traced_by_its_own_process(tmp_path: Path):
    out = tmp_path / "run"
    arguments = [
        "train", "cartpole", "--hidden", "6", "4", "--backend", "local", "--env-steps", "100000000", "--out", str(out),
    ]
    code = f"from teamnet.cli.main import main; main({arguments!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 120
            while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").read_bytes():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            participants, first = trace_folder(out, 12, {}, lambda message: None)
            with pytest.raises(SpecError) as error:
                trace_folder(out, 12, {"backend": "local"}, lambda message: None)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert error.value.where == "backend"
    assert first > 0
    assert [len(each) for each in participants.times] == [12] * 7
    assert not list(out.glob(".trace-*"))


def test_free_running_units_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    options = ("--rule", "map-async", "--free-running", "--hidden", "6", "4", "--env-steps", "30", "--out", run)
    run_command(capsys, "train", "cartpole", *options)
    _, err = run_command(capsys, "trace", run, code=2)
    assert err.splitlines()[-1].startswith("teamnet: free_running: ")
