"""The study of depth: its runs, its table and figure, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from teamnet.spec.check import check_run
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.depth.experiment import DEPTH
from teamnet.study.depth.figure import deepest
from teamnet.study.depth.methods import DEPTHS, LENGTHS, METHODS, PRESETS, name_of
from teamnet.study.experiment.execute import execute
from teamnet.study.experiment.recorded import Recorded
from teamnet.study.experiment.report import write_report
from teamnet.study.experiment.statistics import Spread
from teamnet.study.experiment.study import Study
from teamnet.study.interfaces import INTERFACES
from teamnet.study.kept_run import keep_run
from teamnet.training.single_step import make_single_step_task
from tests.commands import run_command
from tests.study.studies import made_up_run, table_row


@pytest.mark.parametrize("task", LENGTHS)
def test_every_rule_has_a_run_of_every_depth_that_is_accepted(task: str):
    for base in PRESETS:
        for depth in DEPTHS:
            method = METHODS[name_of(base, depth)]
            if task not in method.tasks:
                assert base == "map-async", "which has no tasks of one step"
                continue
            spec = method.spec(task, 2)
            assert isinstance(spec, RunSpec)
            check_run(spec)
            interface = INTERFACES[task] if task == "cartpole" else make_single_step_task(spec).interface
            teams = build_teams(fit_depth(spec, interface), interface)
            assert {len(team) for team in teams} == {depth + 1}
            assert {layer.size for team in teams for layer in team[:-1]} == {32}
            assert (spec.num_envs, interface.observation_size) == ((1, 4) if task == "cartpole" else (32, 11))


def test_the_report_has_a_column_for_each_depth(tmp_path: Path):
    study = Study(tmp_path, DEPTH, {"cartpole": 3})
    for seed in (0, 1):
        made_up_run(study, "cartpole", "map-1", seed, [100.0, 200.0 + seed, 300.0])
        made_up_run(study, "cartpole", "map-4", seed, [400.0, 500.0 + seed, 600.0])
        made_up_run(study, "cartpole", "reinforce-2", seed, [10.0, 20.0, 30.0])
    text = write_report(study, Recorded())[0].read_text()
    row = table_row(text, "CartPole-v1", "`map`")
    assert row[1:] == ["200.17 (0.24)", "-", "-", "500.17 (0.24)", "-", "-", "0"], "no half of it with one layer"
    assert "- CartPole-v1: at no depth by `map`, `reinforce`" in text, "20 is below a quarter of 500"
    assert table_row(text, "CartPole-v1", "`reinforce`")[1:3] == ["-", "20.00 (0.00)"]
    assert (tmp_path / "figures/depth.png").read_bytes().startswith(b"\x89PNG")


def test_the_deepest_that_keeps_half_by_hand():
    def spreads(*means: float) -> dict[int, Spread]:
        return {depth: Spread(1, mean, 0.0, mean, mean) for depth, mean in enumerate(means, 1)}

    assert [deepest(spreads(*means)) for means in ((4, 2, 1), (1, 4, 4), (4, 3, 2), (4, 1, 4))] == [2, 0, 3, 1]
    assert deepest({2: spreads(4)[1], 3: spreads(3)[1]}) == 3, "a depth without runs has not failed"
    assert (deepest(spreads(-4, -9)), deepest(spreads(4, 3), 4.0)) == (0, 0)


def test_a_run_of_another_depth_is_one_of_the_study(tmp_path: Path):
    """Its spec as the run records it has a value for each layer, which presets have not."""
    study = Study(tmp_path, DEPTH, {"cartpole": 2})
    for method in ("map-1", "weight-max-4"):
        run = study.run("cartpole", method, 0)
        assert isinstance(run.spec, RunSpec)
        keep_run(run.folder, execute(run.spec))
    text = write_report(study, Recorded())[0].read_text()
    assert "from 2 finished runs" in text


def test_the_command_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    unfit = ("--tasks", "multiplexer", "--methods", "map-async-2")
    for wrong in (("--methods", "map-7"), ("--tasks", "nothing"), unfit):
        run_command(capsys, "depth", "--out", tmp_path / "depth", *wrong, code=2)
    assert not (tmp_path / "depth").exists()
