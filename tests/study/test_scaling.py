"""Scaling experiments: what grows, what is measured, and what the numbers are made of."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teamnet.errors import ResourceError, SpecError
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Configuration
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import save_machine
from teamnet.study.plan.predict import places
from teamnet.study.rates import Precision
from teamnet.study.scaling.points import Point, points_of, synapses
from teamnet.study.scaling.session import run_scaling
from teamnet.study.scaling.table import (
    draw_scaling,
    efficiency,
    over_one_process,
    prediction_errors,
    scaling_table,
    speed_up,
    turning_point,
)
from teamnet.team.cores import only_cores, usable_cores
from teamnet.team.partition import divide_all
from teamnet.training.owned_files import OwnedFiles
from tests.commands import run_command
from tests.study.folders import contents
from tests.study.test_plan import HERE, USUAL, small, teams_of

BASE = Configuration("tuned", hidden="6-4")


def scaled_points() -> list[Point]:
    """Two batches of a small team in this process."""
    return points_of("batch", ("1", "4"), BASE, Cluster(), LaunchSpec("local"))


def _row(factor: str, value: str, measured: float | None, predicted: float, **more: Any) -> dict[str, Any]:
    usual = {"task": "cartpole", "actors": 6, "nodes": 1, "batches": 1, "work": 1, "waiting": 0.5}
    return usual | {"factor": factor, "value": value, "measured": measured, "predicted": predicted} | more


def test_one_factor_grows_and_the_rest_stays():
    cluster, launch = Cluster(nodes=4), LaunchSpec(address="here:6379", link_latency=1e-3)
    widths = points_of("width", ("1", "3"), BASE, cluster, launch)
    assert [its.configuration.hidden for its in widths] == ["6-4", "18-12"]
    depths = points_of("depth", ("1", "3"), BASE, cluster, launch)
    assert [its.configuration.hidden for its in depths] == ["6", "6-6-6"]
    grains = points_of("actors", (), BASE, cluster, launch)
    assert [its.configuration.grains for its in grains] == ["layer", "block:32", "block:16", "block:8"]
    for point in (*widths, *depths, *grains):
        changed = {name for name, value in vars(BASE).items() if getattr(point.configuration, name) != value}
        assert len(changed) <= 1
        assert point.possible


def test_nodes_can_be_measured_on_as_many_as_there_are():
    launch = LaunchSpec(address="here:6379", link_latency=1e-3)
    nodes = points_of("nodes", ("1", "2", "4", "8"), BASE, Cluster(nodes=4), launch)
    assert [its.possible for its in nodes] == [True, True, True, False]
    assert [its.configuration.placements for its in nodes] == ["pack", "spread", "spread", "spread"]
    assert [its.launch.max_nodes for its in nodes] == [1, 2, 4, 8]
    assert [its.cluster.nodes for its in nodes] == [1, 4, 4, 8]
    assert [its.launch.link_latency for its in nodes] == [0.0, 1e-3, 1e-3, 1e-3]
    layers = points_of("nodes", ("2",), replace(BASE, placements="by-layer"), Cluster(nodes=2), launch)
    assert layers[0].configuration.placements == "by-layer"


def test_with_weak_nodes_the_environments_grow_with_the_nodes():
    nodes = points_of("weak-nodes", (), BASE, Cluster(nodes=3), LaunchSpec(address="here:6379"))
    assert [(its.value, its.launch.max_nodes, its.configuration.batches) for its in nodes] == [
        ("1", 1, BASE.batches), ("2", 2, 2 * BASE.batches), ("3", 3, 3 * BASE.batches)
    ]
    rows = [{"factor": "weak-nodes", "nodes": 1, "work": 1, "measured": 100.0},
            {"factor": "weak-nodes", "nodes": 2, "work": 1, "measured": 150.0}]
    assert efficiency(rows, "measured") == [1.0, 0.75]


def test_a_run_keeps_to_some_of_the_nodes():
    teams = teams_of(small())
    units = divide_all(teams, "layer", 0)
    for most, used in ((0, {0, 1, 2, 3}), (2, {0, 1}), (1, {0})):
        launch = LaunchSpec(placement="spread", max_nodes=most, address="here:6379")
        assert set(places(launch, teams, units, Cluster(4, 8))) == used


def test_cores_are_those_that_a_private_cluster_may_use():
    here = len(usable_cores())
    points = points_of("cores", ("1", str(here), str(here + 1)), BASE, Cluster(cpus=here), LaunchSpec())
    assert [(its.cluster.cpus, its.cores, its.possible) for its in points] == [
        (1, 1, True), (here, here, True), (here + 1, here + 1, False)
    ]
    allowed = os.sched_getaffinity(0)
    with only_cores(1):
        assert os.sched_getaffinity(0) == set(usable_cores()[:1])
        assert subprocess.run(["nproc"], stdout=subprocess.PIPE, check=True).stdout == b"1\n"
    assert os.sched_getaffinity(0) == allowed


def test_actors_are_compared_with_one_process():
    one = {"one_process": 50.0, "one_process_predicted": 40.0}
    rows = [_row("cores", "1", 25.0, 30.0, cores=1, **one), _row("cores", "2", None, 60.0, cores=2, **one)]
    assert over_one_process(rows, "measured") == [0.5, None]
    assert over_one_process(rows, "predicted") == [0.75, 1.5]
    assert efficiency(rows, "predicted") == [1.0, 1.0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in scaling_table(rows).splitlines()[:4]]
    assert lines[0][-2:] == ["one process", "over it"]
    assert [line[-2:] for line in lines[2:]] == [["50", "0.50"], ["50", "(1.50)"]]


def test_speed_up_and_efficiency():
    strong = [_row("actors", "layer", 100.0, 90.0), _row("actors", "block:8", 150.0, 60.0, actors=24)]
    assert speed_up(strong, "measured") == [1.0, 1.5]
    assert efficiency(strong, "measured") == [1.0, 1.5 / 4]
    assert turning_point(strong) == "layer"
    assert prediction_errors(strong, "measured", "predicted") == pytest.approx([0.1, 0.6])
    weak = [_row("width", "1", 100.0, 1.0, work=10), _row("width", "2", 40.0, 1.0, work=35, actors=12)]
    assert speed_up(weak, "measured") == [1.0, pytest.approx(1.4)]
    assert efficiency(weak, "measured")[1] == pytest.approx(0.7)
    assert turning_point(weak) is None
    batch = [_row("batch", "1", 100.0, 1.0), _row("batch", "4", 200.0, 1.0, batches=4)]
    assert efficiency(batch, "measured") == [1.0, 0.5]
    nodes = [_row("nodes", "1", None, 100.0), _row("nodes", "2", None, 120.0, nodes=2)]
    assert speed_up(nodes, "measured") == [None, None]
    assert efficiency(nodes, "predicted") == [1.0, pytest.approx(0.6)]


def test_the_table_says_what_is_predicted_only():
    more = {"memory": 200, "memory_predicted": 150}
    rows = [_row("nodes", "1", 100.0, 110.0, **more), _row("nodes", "4", None, 55.0, nodes=4)]
    lines = scaling_table(rows).splitlines()
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "1", "6", "1", "100", "110", "1.10", "1.00", "1.00", "50 %"
    ]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")][3:8] == ["-", "55", "-", "(0.50)", "(0.12)"]
    assert lines[-1] == (
        "In brackets: predicted. The median error of the prediction is 10 %, of memory 25 %. "
        "Beyond nodes 1, communication costs more than it gains."
    )


def test_the_figure_has_whole_markers_and_a_legend_of_what_is_drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("teamnet.study.scaling.table.as_png", lambda figure: figure)
    rows = [_row("nodes", "1", None, 100.0), _row("nodes", "2", None, 120.0, nodes=2)]
    axes = draw_scaling(rows).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["predicted"]
    assert axes.get_ylim() == (0.0, pytest.approx(1.2 * 1.08))


def test_work_is_synapses_and_biases():
    assert synapses(teams_of(small())) == 2 * ((4 + 1) * 8 + (8 + 1) * 4) + (4 + 1) * 2 + (4 + 1) * 1


def test_the_command_measures_predicts_and_keeps(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    save_machine(HERE, tmp_path / "machine.json")
    common = ("--machine", tmp_path / "machine.json", "--out", tmp_path / "out", "--backend", "local")
    asked = (
        "scale", "width", "--values", 1, 2, *common, "--hidden", "6-4", "--seconds", 0.01, "--repeats", 1, "--method",
        "tuned",
    )
    out, err = run_command(capsys, *asked)
    rows = [json.loads(line) for line in (tmp_path / "out/scale.jsonl").read_text().splitlines()]
    assert [(row["value"], row["hidden"], row["actors"]) for row in rows] == [("1", "6-4", 1), ("2", "12-8", 1)]
    assert all(row["measured"] > 0 and row["predicted"] > 0 for row in rows)
    assert {row["backend"] for row in rows} == {"local"}
    assert out.startswith((tmp_path / "out/scale.md").read_text().split("\n\n")[1].splitlines()[0])
    assert (tmp_path / "out/scale.png").read_bytes().startswith(b"\x89PNG")
    assert "2 of 2: width 2" in err
    lines = (tmp_path / "out/scale.jsonl").read_bytes().splitlines(keepends=True)
    OwnedFiles(tmp_path / "out", "scale").write("scale.jsonl", lines[0])  # as after an interrupt
    _, err = run_command(capsys, *asked)
    assert err.splitlines() == ["2 of 2: width 2"]
    first = json.loads((tmp_path / "out/scale.jsonl").read_bytes().splitlines()[0])
    assert first["measured"] == json.loads(lines[0])["measured"]
    again = ("scale", "nodes", "--no-measure", "--json", *common[:4], "--backend", "ray")
    before = contents(tmp_path)
    run_command(capsys, *again, code=2)
    run_command(capsys, *again, "--overwrite", "--placement", "nowhere", code=2)
    assert contents(tmp_path) == before
    out, err = run_command(capsys, *again, "--overwrite")
    found = json.loads(out.splitlines()[-1])
    assert [row["nodes"] for row in found] == [1, 2, 4, 8, 16, 32]
    assert {row["measured"] for row in found} == {None}
    assert err == ""


@pytest.mark.parametrize(("arguments", "message"), [
    (("nods",), "one of actors, cores, nodes, weak-nodes, width, depth, batch; found 'nods'. Did you mean 'nodes'?"),
    (("width", "--values", "0"), "width: expected whole numbers from 1, in digits; found '0'"),
    (("batch", "--values", "two"), "batch: expected whole numbers from 1, in digits; found 'two'"),
    (("width", "--values", "0" * 5000 + "1"), "width: expected whole numbers from 1, in digits"),
    (("depth", "--values", "1001"), "depth: expected a whole number from 1 to 1000; found 1001"),
    (("width", "--batch", "0"), "batch: expected a whole number from 1 to"),
    (("width", "--hidden", ""), "hidden: expected a hidden layer to scale; found none"),
    (("actors", "--values", "block:x"), "grain: expected layer"),
    (("cores", "--values", "0"), "cores: expected whole numbers from 1"),
    (("cores",), "backend: expected ray"),
    (("weak-nodes", "--no-measure"), "backend: expected ray"),
    (("cores", "--backend", "ray", "--nodes", "2"), "factor: expected one that can vary on a cluster; found cores"),
    (("width", "--method", "tund"), "method: expected one of map"),
    (("width", "--out", "/proc/nowhere"), "out: expected a folder that can be "),
    (("width", "--out", ""), "out: expected a name"),
    (("width", "--machine", ""), "machine: expected "),
])
def test_refusals(capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], message: str):
    save_machine(USUAL, tmp_path / "machine.json")
    common = ("--machine", tmp_path / "machine.json", "--backend", "local", "--out", tmp_path / "out")
    _, err = run_command(capsys, "scale", *arguments[:1], *common, *arguments[1:], code=2)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_nothing_is_calibrated_before_all_is_checked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[str] = []
    monkeypatch.setattr("teamnet.study.plan.calibrate.with_needed", lambda *given: calls.append("calibrated") or USUAL)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/scale.md").write_text("mine")
    common = ("--machine", tmp_path / "machines/machine.json", "--out", tmp_path / "out", "--backend", "local")
    run_command(capsys, "scale", "width", *common, code=2)
    run_command(capsys, "scale", "width", *common, "--overwrite", code=2)
    assert (calls, contents(tmp_path)) == ([], {"out/scale.md": b"mine"})
    (tmp_path / "out/scale.md").unlink()
    run_command(capsys, "scale", "width", "--no-measure", *common)
    assert calls == ["calibrated"]


def test_an_unknown_factor_is_no_crash():
    with pytest.raises(SpecError):
        points_of("speed", (), BASE, Cluster(), LaunchSpec())


def test_predictions_are_those_of_the_given_machine_though_measurements_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[Any] = []
    monkeypatch.setattr(
        "teamnet.study.scaling.session.measure", lambda *given: calls.append(given) or {"env_steps_per_second": 1.0}
    )
    for seconds in (0.0, 1.0):
        rows, _ = run_scaling(
            "cartpole", "batch", scaled_points(), lambda seconds=seconds: replace(USUAL, coordinator=seconds),
            Precision(0.1, 1), measured=True, out=tmp_path / "out", say=lambda text: None,
        )
        assert all((row["predicted"] < 5.0) == bool(seconds) for row in rows)
        assert [row["measured"] for row in rows] == [1.0, 1.0]
    assert len(calls) == 2


def test_an_edited_rule_is_another_experiment(tmp_path: Path):
    path = tmp_path / "mine.py"
    base = replace(BASE, methods=str(path))

    def run(factor: float) -> None:
        path.write_text(
            "from teamnet.rules.map_propagation import MapPropagation\n\n\n"
            f"class Mine(MapPropagation):\n    factor: float = {factor}\n"
        )
        points = points_of("batch", ("1",), base, Cluster(), LaunchSpec("local"))
        run_scaling(
            "cartpole", "batch", points, lambda: USUAL, Precision(0.1, 1), measured=False, out=tmp_path / "out",
            say=lambda text: None,
        )

    run(1.0)
    with pytest.raises(SpecError) as refusal:
        run(2.0)
    assert refusal.value.where == "out"


def test_a_point_whose_measurement_failed_is_measured_again_and_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    failing = [True]

    def fail_once(*given: Any) -> dict[str, Any]:
        if failing.pop() if failing else False:
            raise ResourceError("memory", expected="more", found="less", remedy="Free some.")
        return {"env_steps_per_second": 1000.0}

    monkeypatch.setattr("teamnet.study.scaling.session.measure", fail_once)

    def run() -> tuple[list[dict[str, Any]], int]:
        precision = Precision(0.1, 1)
        return run_scaling(
            "cartpole", "batch", scaled_points(), lambda: USUAL, precision, measured=True, out=tmp_path / "out",
            say=lambda text: None,
        )

    rows, failures = run()
    assert ([row["measured"] for row in rows], failures) == ([None, 1000.0], 1)
    rows, failures = run()
    assert ([row["measured"] for row in rows], failures) == ([1000.0, 1000.0], 0)
    assert [row["value"] for row in rows] == ["1", "4"]
