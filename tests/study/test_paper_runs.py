"""Small studies that are really trained, on a Ray cluster."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.cli.main import main
from teamnet.errors import SpecError, TeamnetError
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.workflow import Choice, run_study
from teamnet.study.kept_run import RUN_FILES
from teamnet.study.paper.methods import METHODS, PAPER
from teamnet.team.ray_tasks import Ended, Job, run_jobs
from teamnet.training.saving import Saving
from teamnet.training.session import train
from tests.study.folders import contents
from tests.study.studies import Diverging, table_row

LENGTHS = {"cartpole": 8, "acrobot": 1, "multiplexer": 25_600}

pytestmark = pytest.mark.usefixtures("shared_ray")


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted((folder / "runs").rglob("*.*"))
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, shared_ray: None) -> Study:
    study = Study(tmp_path_factory.mktemp("paper"), PAPER, LENGTHS)
    outcome = run_study(study, Choice(("cartpole", "multiplexer"), ("map", "reinforce"), seeds=2))
    assert len(outcome.done) == 8
    assert outcome.failed == []
    return study


def _returns(study: Study, task: str, method: str) -> list[list[float]]:
    folders = [study.folder / "runs" / task / method / f"seed-{seed}" for seed in range(2)]
    return [
        [json.loads(line)["return"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in folders
    ]


def test_a_run_leaves_its_spec_metrics_and_summary_and_nothing_else(study: Study):
    folder = study.folder / "runs/cartpole/map/seed-1"
    assert sorted(path.name for path in folder.iterdir()) == sorted([".teamnet-run.json", *RUN_FILES])
    assert json.loads((folder / "spec.json").read_text())["spec"]["episodes"] == 8


def test_the_report_holds_what_the_metrics_say(study: Study):
    report = (study.folder / "results.md").read_text()
    for method in ("map", "reinforce"):
        returns = np.array(_returns(study, "cartpole", method))
        assert returns.shape == (2, 8)
        averages = returns.mean(axis=1)
        row = table_row(report, "CartPole-v1", f"`{method}`")
        assert row[1] == "2"
        assert row[2] == f"{averages.mean():.2f} ({averages.std(ddof=1):.2f})"
        assert row[3] == f"{averages.min():.2f} to {averages.max():.2f}"  # of two values: all resamples
        assert row[4] == "never (0 of 2)"
        assert row[6] == row[2]
        rewards = np.array(_returns(study, "multiplexer", method))
        row = table_row(report, "Multiplexer", f"`{method}`")
        assert row[2] == f"{rewards.mean():.3f} ({rewards.mean(axis=1).std(ddof=1):.3f})"
        assert row[5] == f"{rewards[:, -1].mean():.3f} ({rewards[:, -1].std(ddof=1):.3f})"
    lines = [json.loads(line) for line in (study.folder / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    for line in lines:
        folder = study.folder / "runs" / line["task"] / line["method"] / f"seed-{line['seed']}"
        summary = json.loads((folder / "summary.json").read_text())
        assert (line["digest"], line["env_steps"]) == (summary["digest"], summary["env_steps"])
        assert line["average_return"] == pytest.approx(summary["mean_return"])
        assert f"`{line['digest'][:8]}`" in report
    assert "`teamnet paper` took" in report


def test_a_run_is_the_one_that_train_makes(study: Study, tmp_path: Path):
    spec = study.run("cartpole", "map", 1).spec
    assert isinstance(spec, RunSpec)
    summary, _ = train(spec, LaunchSpec("local"), tmp_path, saving=Saving(10**9))
    folder = study.folder / "runs/cartpole/map/seed-1"
    assert json.loads((folder / "summary.json").read_text())["digest"] == summary["digest"]
    assert (folder / "metrics.jsonl").read_bytes() == (tmp_path / "metrics.jsonl").read_bytes()
    abouts = [json.loads((its / "spec.json").read_text()) for its in (folder, tmp_path)]
    assert abouts[0]["spec"] == abouts[1]["spec"]
    assert abouts[0]["run"] != abouts[1]["run"]


def test_finished_runs_are_not_done_again(study: Study):
    before = _files(study.folder)
    outcome = run_study(study, Choice(("cartpole", "multiplexer"), ("map", "reinforce"), seeds=2))
    assert (outcome.done, len(outcome.results)) == ([], 8)
    assert _files(study.folder) == before


def test_an_interrupted_run_is_done_again_and_comes_out_the_same(study: Study):
    before = _files(study.folder)
    folder = study.folder / "runs/cartpole/reinforce/seed-0"
    (folder / "summary.json").unlink()
    metrics = (folder / "metrics.jsonl").read_bytes()
    (folder / "metrics.jsonl").unlink()
    outcome = run_study(study, Choice(("cartpole",), ("map", "reinforce"), seeds=2))
    assert [run.label for run in outcome.done] == ["cartpole reinforce seed 0"]
    after = _files(study.folder)
    name = "runs/cartpole/reinforce/seed-0/summary.json"
    digests = [json.loads(files[name][1])["digest"] for files in (before, after)]
    assert digests[0] == digests[1]
    assert (folder / "metrics.jsonl").read_bytes() == metrics
    changed = {name for name in after if after[name] != before[name]}
    assert {Path(name).parent for name in changed} == {Path("runs/cartpole/reinforce/seed-0")}


def test_files_of_others_are_refused_before_anything_is_done(study: Study, tmp_path: Path):
    folder = study.folder / "runs/cartpole/map"
    foreign = {
        "runs/cartpole/map/seed-7/metrics.jsonl": "out", "runs/cartpole/map/seed-8/error.txt": "out",
        "runs/acrobot/map/seed-0/summary.json": "", "figures/acrobot.png": "out", "docs/results.md": "docs",
    }
    before = _files(study.folder)
    reports = {path: path.read_bytes() for path in study.folder.glob("results.*")}
    for name, where in foreign.items():
        path = study.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("mine")
        with pytest.raises(TeamnetError) as refused:
            run_study(study, Choice(("cartpole", "acrobot"), ("map",), seeds=9), docs=study.folder / "docs")
        assert refused.value.where == where or (not where and str(path.parent) in refused.value.where)
        assert path.read_text() == "mine"
        path.unlink()
        for made in (path.parent, *path.parent.parents):
            if made != study.folder and not list(made.iterdir()):
                made.rmdir()
        assert {path: path.read_bytes() for path in reports} == reports
    assert _files(study.folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["seed-0", "seed-1"]


@pytest.mark.parametrize("name", ["results.md", "results.jsonl", "goes.jsonl", "speeds.jsonl", "figures/cartpole.png"])
def test_a_report_that_was_changed_by_hand_is_not_replaced(study: Study, tmp_path: Path, name: str):
    shutil.copytree(study.folder, tmp_path / "copy")
    copy = Study(tmp_path / "copy", PAPER, LENGTHS)
    run_study(copy, Choice(("cartpole",), ("map",), seeds=2), report_only=True, docs=tmp_path / "docs")
    docs = contents(tmp_path / "docs")
    (copy.folder / name).write_bytes((copy.folder / name).read_bytes() + b"mine")
    before = contents(copy.folder)
    with pytest.raises(SpecError) as refused:
        run_study(copy, Choice(("cartpole",), ("map",), seeds=3), docs=tmp_path / "docs")
    assert refused.value.where == "out"
    assert contents(copy.folder) == before
    assert contents(tmp_path / "docs") == docs


def test_a_run_that_two_methods_have_is_made_once_and_counts_for_both(tmp_path: Path):
    study = Study(tmp_path, PAPER, LENGTHS)
    outcome = run_study(study, Choice(("acrobot", "cartpole"), ("tuned", "scaled"), seeds=1))
    assert sorted(run.label for run in outcome.done) == [
        "acrobot tuned seed 0", "cartpole scaled seed 0", "cartpole tuned seed 0"
    ]
    digests = {result.key[:2]: result.digest for result in outcome.results}
    assert digests["acrobot", "tuned"] == digests["acrobot", "scaled"]
    assert digests["cartpole", "tuned"] != digests["cartpole", "scaled"]
    again = run_study(study, Choice(("acrobot", "cartpole"), ("scaled",), seeds=1))
    assert again.done == []
    assert again.report.read_text() == outcome.report.read_text()


def test_another_spec_in_the_same_folder_is_refused_and_nothing_changes(study: Study):
    before = _files(study.folder)
    with pytest.raises(SpecError, match="episodes: expected this study's, 9; found 8"):
        run_study(Study(study.folder, PAPER, lengths={"cartpole": 9}), Choice(("acrobot",), ("map",), seeds=1))
    assert _files(study.folder) == before


def test_a_run_that_fails_is_recorded_while_the_others_go_on_and_is_tried_again(tmp_path: Path):
    methods = {"diverging": Diverging("diverging", "diverging"), **METHODS}
    study = Study(tmp_path, replace(PAPER, methods=methods), {"cartpole": 3})
    choice = Choice(("cartpole",), ("diverging", "map"), seeds=2)
    for _ in range(2):
        outcome = run_study(study, choice)
        failed = sorted(run.label for run in outcome.failed)  # they ended in any order
        assert failed == ["cartpole diverging seed 0", "cartpole diverging seed 1"]
    assert outcome.done == []
    assert sorted((its.method, its.seed) for its in outcome.results) == [("map", 0), ("map", 1)]
    error = (tmp_path / "runs/cartpole/diverging/seed-1/error.txt").read_text()
    assert "expected finite" in error
    assert "Traceback" not in error
    assert f"- cartpole diverging seed-1: {error.strip()}" in outcome.report.read_text()
    fixed = replace(PAPER, methods={"diverging": METHODS["tuned"], "map": METHODS["map"]})
    outcome = run_study(Study(tmp_path, fixed, {"cartpole": 3}), choice)
    assert len(outcome.done) == 2
    assert not (tmp_path / "runs/cartpole/diverging/seed-1/error.txt").exists()


def test_the_command_exits_with_1_if_a_run_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(METHODS, "reinforce", Diverging("reinforce", "diverging"))
    arguments = ["paper", "--quick", "--out", str(tmp_path), "--tasks", "cartpole", "--methods", "reinforce"]
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--seeds", "1", "--docs", str(tmp_path / "docs")])
    assert exit_.value.code == 1
    printed = capsys.readouterr()
    assert f"0 runs done, 0 finished in all; report: {tmp_path}/quick/results.md" in printed.out
    assert "failed: cartpole reinforce seed 0, see" in printed.err
    assert (tmp_path / "docs/results.md").read_text() == (tmp_path / "quick/results.md").read_text()


def _double_or_fail(number: int) -> int:
    if number == 3:
        raise ValueError("three is refused")
    if number == 4:
        raise SpecError("number", expected="no four", found="4", remedy="Take another.")
    return 2 * number


def test_jobs_end_in_any_order_and_failures_are_theirs_alone():
    seen: list[int] = []
    ended = {
        its.number: its
        for its in run_jobs(
            [Job(_double_or_fail, (number,)) for number in range(6)], most_at_once=2,
            waiting=lambda running: seen.append(len(running)),
        )
    }
    assert sorted(ended) == list(range(6))
    assert [ended[number] for number in (0, 1, 2, 5)] == [Ended(number, 2 * number) for number in (0, 1, 2, 5)]
    assert ended[3].error.strip().splitlines()[-1] == "ValueError: three is refused"
    assert ended[4].error == "number: expected no four; found 4. Take another."
    assert max(seen) <= 2
