"""The search for the best candidate, against brute force and cases whose best is known."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.cli.options import Keeping, parse_run_options
from teamnet.cli.plan_command import train_command
from teamnet.dataflow.graph import Dataflow
from teamnet.errors import ResourceError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.files import to_plain
from teamnet.spec.resolve import fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.experiment.results import Curve
from teamnet.study.interfaces import interface_of
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.curves import KnownCurves
from teamnet.study.plan.factors import FACTORS, SAME
from teamnet.study.plan.machine import save_machine
from teamnet.study.plan.predict import teams_of
from teamnet.study.plan.search import Candidate, candidates, front, kinds_of_run, ranked, with_returns
from teamnet.study.report.found import Found, FoundRun
from tests.commands import run_command
from tests.study.test_plan import ENVIRONMENT, HERE, USUAL, WORKING, small


def _search(cluster: Cluster, *factors: str, launch: LaunchSpec | None = None) -> list[Candidate]:
    return candidates(small(), launch or LaunchSpec(), USUAL, cluster, factors, lambda spec: ENVIRONMENT)


def test_the_front_is_what_no_other_candidate_beats():
    found = _search(Cluster(2, 2, link_latency=1e-4), *FACTORS)
    shown = front(found)

    def point(each: Candidate) -> tuple[float, float]:
        return each.prediction.env_steps_per_second, each.bytes_per_env_step

    expected = {
        point(each) for each in found
        if not any(a >= point(each)[0] and b <= point(each)[1] and (a, b) != point(each) for a, b in map(point, found))
    }
    assert {point(each) for each in shown} == expected
    rates = [rate for rate, _ in map(point, shown)]
    assert rates == sorted(rates, reverse=True)
    assert ranked(found, "steps")[0] is not None
    assert point(ranked(found, "steps")[0]) == max(map(point, found), key=lambda its: (its[0], -its[1]))
    assert point(ranked(found, "bytes")[0])[1] == min(size for _, size in map(point, found))


def test_results_are_the_same_exactly_where_only_the_launch_changes():
    for each in _search(Cluster(2, 2), *FACTORS):
        assert each.same_results == (each.spec.num_envs == 1 and each.spec.messages == small().messages and (
            getattr(each.spec.rule, "schedule", "") == "jacobi"
        ))


def test_on_slow_links_a_team_stays_on_one_node():
    slow = Cluster(2, 8, link_latency=0.1)
    best = ranked(_search(slow, "placement", launch=LaunchSpec(placement="by-layer")), "steps")[0]
    assert best.options["placement"] in ("pack", "by-team")
    assert ranked(_search(slow, "nodes", launch=LaunchSpec(placement="spread")), "steps")[0].prediction.nodes == 1


def test_where_communication_is_free_and_cores_are_many_finer_grains_win():
    wide = replace(small(), hidden=(256, 256))
    found = candidates(wide, LaunchSpec(), WORKING, Cluster(1, 64), ("grain",), lambda spec: ENVIRONMENT)
    assert ranked(found, "steps")[0].options == {"grain": "block:8"}


def test_what_does_not_fit_in_memory_is_left_out():
    enough = _search(Cluster(1, 2), "grain")
    needed = sorted(each.prediction.memory for each in enough)
    fewer = _search(Cluster(1, 2, memory=needed[0]), "grain")
    assert {each.prediction.memory for each in fewer[1:]} <= {needed[0]}
    assert len(fewer) < len(enough) + 1
    without = _search(Cluster(1, 2, memory=needed[0] - 1), "backend")
    assert [each.launch.backend for each in without] == ["local"], "nor is the request recommended"
    with pytest.raises(ResourceError) as refusal:
        _search(Cluster(1, 2, memory=1), "grain")
    assert refusal.value.where == "node_memory"


def test_factors_that_are_not_named_stay():
    for each in _search(Cluster(2, 2), "schedule"):
        assert each.launch == LaunchSpec()
        assert set(each.options) <= {"schedule", "settle_steps"}
    with pytest.raises(SpecError) as refusal:
        _search(Cluster(), "schedules")
    assert refusal.value.where == "vary"


def test_what_is_measured_has_all_operations_of_the_candidates():
    runs = kinds_of_run(small(), LaunchSpec("local"), FACTORS)
    assert [(run.rule.schedule, run.rule.feedback) for run, _ in runs] == [
        ("jacobi", "mirror"), ("jacobi", "recomputed"), ("sweeps", "mirror"), ("descents", "mirror"),
    ]
    assert {launch.backend for _, launch in runs} == {"ray"}, "whose waiting is measured then"
    known = {operation_of for run, _ in runs for operation_of in _operations(run)}
    machine = replace(USUAL, operations={name: USUAL.operations[name] for name in known})
    found = candidates(small(), LaunchSpec("local"), machine, Cluster(), FACTORS, lambda spec: ENVIRONMENT)
    assert {each.options.get("schedule") for each in found} == {None, "sweeps", "descents"}


def _operations(spec: RunSpec) -> set[str]:
    flow = Dataflow(teams_of(spec))
    return {step.operation for group in flow.layers for step in flow.steps[group]}


def test_the_grain_of_scaled_messages_changes_results():
    spec = changed(small(), message_dtype="int8")
    for each in candidates(spec, LaunchSpec(), USUAL, Cluster(), ("grain", "backend"), lambda spec: ENVIRONMENT):
        assert each.same_results == ("grain" not in each.options)


def test_the_command_of_a_candidate_is_one_that_train_takes():
    given = shlex.split(
        "cartpole --hidden 8 4 --nodes 2 --grain layer --best --vary grain nodes --json --seed=3 "
        "--node_memory 5 --link-latency 1e-4 --wire float32")
    options = {"grain": "block:8", "max_nodes": 1, "settle_steps": 2, "message_dtype": "int8"}
    assert train_command(given, options) == (
        "teamnet train cartpole --hidden 8 4 --seed=3 --grain block:8 --max-nodes 1 --settle-steps 2 "
        "--message-dtype int8"
    )


def test_the_command_of_a_candidate_is_the_run_that_was_predicted():
    given = ["cartpole", "--hidden", "8", "4", "--env-steps", "100", "--critic.settle-steps", "4"]

    def parsed(arguments: list[str]) -> RunSpec:
        return parse_run_options("train", "", Keeping, arguments[0], arguments[1:])[0]

    found = candidates(
        parsed(given), LaunchSpec(), USUAL, Cluster(), ("schedule", "feedback"), lambda spec: ENVIRONMENT
    )
    assert len(found) > 3
    for each in found:
        assert parsed(shlex.split(train_command(given, each.options))[2:]) == each.spec


def test_the_best_are_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("teamnet.cli.plan_command._SECONDS", 0.05)
    save_machine(HERE, tmp_path / "machine.json")
    command = (
        "plan", "cartpole", "--machine", tmp_path / "machine.json", "--hidden", "8", "4", "--backend", "local",
        "--best", "--vary", "schedule", "message_dtype", "--verify", "2",
    )
    out, _ = run_command(capsys, *command, "--json")
    result = json.loads(out.splitlines()[-1])
    assert result["candidates"] == 12
    assert len(result["verified"]) == 2
    assert all(each["measured"] > 0 for each in result["verified"])
    assert result["best"]["measured"] == max(each["measured"] for each in result["verified"])
    assert result["command"].startswith("teamnet train cartpole --hidden 8 4 --backend local")
    run_command(capsys, *command[:-6], "--verify", 1, code=2)
    out, _ = run_command(capsys, *command[:-2], "--objective", "bytes")
    assert "best: teamnet train cartpole --hidden 8 4 --backend local --schedule" in out
    assert set(SAME) < set(FACTORS)


@pytest.mark.parametrize("options", [("--nodes", 2), ("--cpus", 1000)])
def test_what_is_not_this_machine_is_not_verified_on_it(
    options: tuple[object, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    save_machine(HERE, tmp_path / "machine.json")
    common = ("plan", "cartpole", "--machine", tmp_path / "machine.json", "--best", "--vary", "message_dtype")
    _, err = run_command(capsys, *common, *options, "--verify", 1, code=2)
    assert err.startswith("teamnet: verify: ")


def test_most_return_for_a_budget_is_what_known_runs_have_reached_by_then(monkeypatch: pytest.MonkeyPatch):
    """Two schedules whose learning curves cross: the slower learner has the better end."""
    found = candidates(small(), LaunchSpec("local"), USUAL, Cluster(), ("schedule",), lambda spec: ENVIRONMENT)
    values = {"jacobi": [10.0, 20.0, 90.0], "sweeps": [10.0, 40.0, 50.0], "descents": [10.0, 10.0, 10.0]}
    runs = []
    for each in found:
        spec = replace(each.spec, seed=5, env_steps=30)
        curve = Curve([10.0, 20.0, 30.0], values[each.spec.rule.schedule])
        plain = json.loads(json.dumps(to_plain(fit_depth(spec, interface_of(spec)))))
        runs.append(FoundRun("run", "map", {}, plain, np.zeros(3), curve))
    monkeypatch.setattr("teamnet.study.plan.curves.collect", lambda folders: Found(runs))
    curves = KnownCurves([Path("runs")])

    def best(steps: float) -> Candidate:
        known = [replace(each, measured=steps / 2.0) for each in found]
        return ranked(with_returns(known, curves, 2.0), "return")[0]

    assert (best(20.0).spec.rule.schedule, best(20.0).known_return) == ("sweeps", 40.0)
    assert (best(30.0).spec.rule.schedule, best(30.0).known_return) == ("jacobi", 90.0)
    assert best(1000.0).known_return == 90.0, "the last value of a shorter run counts"
    assert curves.after(replace(small(), hidden=(7, 4)), 20.0) is None


def test_a_run_is_known_by_its_spec(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    options = ("--hidden", "8", "4", "--backend", "local", "--env-steps", "200", "--seed", "3")
    run_command(capsys, "train", "cartpole", *options, "--out", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["episodes"] < 100
    assert KnownCurves([tmp_path]).after(small(), 10**6) == pytest.approx(summary["mean_return"])


def test_the_known_return_of_the_best_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    save_machine(HERE, tmp_path / "machine.json")
    options = ("cartpole", "--hidden", "8", "4", "--backend", "local", "--env-steps", "200")
    run_command(capsys, "train", *options, "--out", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    out, _ = run_command(
        capsys, "plan", *options, "--machine", tmp_path / "machine.json", "--best", "--vary", "message_dtype",
        "--objective", "return", "--budget", 60, "--curves", tmp_path / "run",
    )
    assert f"known return after 60 s: {summary['mean_return']:,.2f}" in out


def test_an_objective_of_return_needs_a_budget_and_curves(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    _, err = run_command(capsys, "plan", "cartpole", "--objective", "bytes", code=2)
    assert err.startswith("teamnet: objective: ")
    for options in (("--objective", "return"), ("--budget", "60"), ("--curves", tmp_path)):
        _, err = run_command(capsys, "plan", "cartpole", "--best", *options, code=2)
        assert err.startswith(("teamnet: budget: ", "teamnet: curves: "))
    options = ("--objective", "return", "--budget", "60", "--curves", tmp_path)
    _, err = run_command(capsys, "plan", "cartpole", "--best", *options, code=2)
    assert err.startswith("teamnet: folder: "), "there is no run"
