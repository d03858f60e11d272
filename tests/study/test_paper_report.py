"""Which runs count as finished, and what the report says of them; nothing is trained here."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from teamnet.cli.main import main
from teamnet.errors import CheckpointError, ResourceError, SpecError, TeamnetError
from teamnet.spec.presets import preset
from teamnet.spec.run import RunSpec
from teamnet.study.baselines import BaselineSpec
from teamnet.study.experiment.curves import average_curves
from teamnet.study.experiment.invocations import InvocationLog
from teamnet.study.experiment.progress import StudyProgress
from teamnet.study.experiment.recorded import Recorded, all_results, read_recorded
from teamnet.study.experiment.report import copy_to_docs, write_report
from teamnet.study.experiment.results import Curve, load_result
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.tasks import TASKS
from teamnet.study.experiment.traffic import pareto
from teamnet.study.experiment.workflow import Choice, plan, run_study
from teamnet.study.kept_run import keep_error
from teamnet.study.paper.methods import METHODS, PAPER
from tests.study.studies import made_up_run, small_study, table_row


def test_a_study_is_planned_seed_by_seed(tmp_path: Path):
    runs = plan(Study(tmp_path, PAPER), Choice(("cartpole", "multiplexer"), ("map", "sb3-ppo"), seeds=2, first_seed=3))
    assert [(run.task, run.method, run.seed) for run in runs] == [
        ("cartpole", "map", 3), ("cartpole", "sb3-ppo", 3), ("multiplexer", "map", 3),
        ("cartpole", "map", 4), ("cartpole", "sb3-ppo", 4), ("multiplexer", "map", 4),
    ]
    assert runs[0].spec == replace(preset("cartpole"), seed=3)
    assert runs[1].spec == BaselineSpec("cartpole", "ppo", 3, 1000)
    assert runs[0].folder == tmp_path / "runs/cartpole/map/seed-3"


def test_all_methods_have_complete_specs():
    for method in METHODS.values():
        for task in method.tasks:
            spec = method.spec(task, 7)
            assert (spec.task, spec.seed) == (task, 7)
            if isinstance(spec, RunSpec):
                for team in filter(None, (spec.actor, spec.critic)):
                    assert len(team.rates) == len(team.final_rates) == len(spec.hidden) + 1


def test_without_a_choice_all_tasks_and_rules_are_done_but_no_baselines(tmp_path: Path):
    runs = plan(Study(tmp_path, PAPER), Choice(seeds=1))
    assert {run.task for run in runs} == set(TASKS)
    assert {run.method for run in runs} == {name for name in METHODS if not name.startswith("sb3-")}


def test_a_run_counts_once_its_end_is_reached(tmp_path: Path):
    study = small_study(tmp_path, cartpole=3, multiplexer=25_600)
    run = study.run("cartpole", "map", 0)
    assert not load_result(run)
    assert load_result(made_up_run(study, "cartpole", "map", 0, [1.0, 2.0, 3.0]))
    assert not load_result(made_up_run(study, "cartpole", "map", 1, [1.0, 2.0]))
    assert load_result(made_up_run(study, "multiplexer", "map", 0, [0.1, 0.2]))
    assert not load_result(made_up_run(study, "multiplexer", "map", 1, [0.1]))
    assert [(its.task, its.seed) for its in all_results(study, Recorded())] == [("cartpole", 0), ("multiplexer", 0)]


def test_a_spec_written_before_a_field_was_added_is_still_the_same(tmp_path: Path):
    study = small_study(tmp_path, cartpole=2)
    run = made_up_run(study, "cartpole", "map", 0, [1.0, 2.0])
    about = json.loads((run.folder / "spec.json").read_text())
    del about["spec"]["address_bits"]
    (run.folder / "spec.json").write_text(json.dumps(about))
    assert load_result(run)


def test_runs_of_another_spec_are_refused(tmp_path: Path):
    made_up_run(small_study(tmp_path, cartpole=2), "cartpole", "map", 0, [1.0, 2.0])
    with pytest.raises(SpecError) as refusal:
        run_study(Study(tmp_path, PAPER), Choice(("cartpole",)), report_only=True)
    assert refusal.value.where.endswith("seed-0/spec.json: episodes")
    assert "1000" in refusal.value.expected
    assert refusal.value.found == "2"
    assert not (tmp_path / "results.md").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", "{"), ("spec.json", "[]"), ("metrics.jsonl", ""), ("metrics.jsonl", '{"episode": 1}\n'),
        ("metrics.jsonl", '{"episode": 1, "return": "much"}\n'),
    ],
)
def test_damaged_runs_are_refused_by_name(tmp_path: Path, name: str, content: str):
    study = small_study(tmp_path, cartpole=2)
    run = made_up_run(study, "cartpole", "map", 0, [1.0, 2.0])
    (run.folder / name).write_text(content)
    with pytest.raises(CheckpointError) as refusal:
        write_report(study, Recorded())
    assert refusal.value.where.startswith(str(run.folder))
    assert not (tmp_path / "results.md").exists()


def test_what_a_control_run_comes_to(tmp_path: Path, generator: np.random.Generator):
    study = small_study(tmp_path, cartpole=250)
    returns = [*generator.uniform(10, 499, 120).tolist(), 500.0, 300.0, *[500.0] * 128]
    result = load_result(made_up_run(study, "cartpole", "map", 4, returns))
    assert (result.task, result.method, result.seed, result.episodes) == ("cartpole", "map", 4, 250)
    assert result.average_return == pytest.approx(sum(returns) / 250)
    assert result.episodes_to_perfect == 121
    assert result.episodes_to_solved == 222
    assert result.final_return == pytest.approx(500.0)
    assert result.early_return is None


def test_what_a_single_step_run_comes_to(tmp_path: Path, generator: np.random.Generator):
    study = small_study(tmp_path, multiplexer=90 * 12_800)
    returns = generator.uniform(-1, 1, 90).tolist()
    result = load_result(made_up_run(study, "multiplexer", "map", 0, returns))
    assert result.average_return == pytest.approx(np.mean(returns))
    assert result.early_return == pytest.approx(np.mean(returns[:78]))
    assert result.final_return == returns[-1]
    assert (result.episodes_to_perfect, result.episodes_to_solved) == (None, None)
    shorter = small_study(tmp_path / "short", multiplexer=70 * 12_800)
    assert load_result(made_up_run(shorter, "multiplexer", "map", 0, returns[:70])).early_return is None


def _full_study(folder: Path, generator: np.random.Generator) -> tuple[Study, dict[str, list[list[float]]]]:
    study = Study(folder, PAPER)
    returns = {
        "map": [generator.uniform(400, 500, 1000).tolist() for _ in range(4)],
        "reinforce": [generator.uniform(20, 60, 1000).tolist() for _ in range(3)],
    }
    for method, runs in returns.items():
        for seed, its in enumerate(runs):
            made_up_run(study, "cartpole", method, seed, its)
    return study, returns


def test_the_test_beside_the_published_numbers_is_scipys(tmp_path: Path, generator: np.random.Generator):
    study, returns = _full_study(tmp_path, generator)
    path, _ = write_report(study, Recorded())
    ps = {}
    for method, mean, std in (("map", 459.70, 13.89), ("reinforce", 47.29, 8.22)):
        averages = np.mean(returns[method], axis=1)
        ours = (averages.mean(), averages.std(ddof=1), len(averages))
        published_std = std * np.sqrt(10 / 9)  # printed with n below the line
        ps[method] = stats.ttest_ind_from_stats(*ours, mean, published_std, 10, equal_var=False).pvalue
        row = table_row(path.read_text(), "Compared with the published numbers", f"CartPole-v1, `{method}`")
        assert row[1:6] == [
            str(len(averages)), f"{ours[0]:.2f} ({ours[1]:.2f})", f"{mean:.2f} ({std:.2f})",
            f"{ours[0] - mean:+.2f}", f"{ps[method]:.2g}",
        ]
        assert row[7] == ("below" if ps[method] < 0.05 else "not below beyond chance")
    low, high = sorted(ps, key=lambda name: ps[name])
    adjusted = {low: min(1, 2 * ps[low]), high: max(2 * ps[low], ps[high])}
    for method in ps:
        row = table_row(path.read_text(), "Compared with the published numbers", f"CartPole-v1, `{method}`")
        assert row[6] == f"{adjusted[method]:.2g}"


def test_methods_are_compared_with_our_own_map_by_scipys_test(tmp_path: Path, generator: np.random.Generator):
    study, returns = _full_study(tmp_path, generator)
    text = write_report(study, Recorded())[0].read_text()
    averages = {method: np.mean(runs, axis=1) for method, runs in returns.items()}
    p = stats.ttest_ind(averages["reinforce"], averages["map"], equal_var=False).pvalue
    row = table_row(text, "Compared with our own `map`", "CartPole-v1, `reinforce`")
    assert row[4:] == [f"{averages['reinforce'].mean() - averages['map'].mean():+.2f}", f"{p:.2g}", "lower"]


def test_the_report_says_what_a_step_of_each_method_says(tmp_path: Path, generator: np.random.Generator):
    study, _ = _full_study(tmp_path, generator)
    text = write_report(study, Recorded())[0].read_text()
    base, other = (table_row(text, "What it takes to communicate", f"`{name}`") for name in ("map", "reinforce"))
    assert base[1:4] == ["45 (100.0 %)", "180 (100.0 %)", "170 (100.0 %)"]
    # four edges of neighbours and one signal each of six layers, and so on; the actor's errors do not go down
    messages = 3 * 4 + (2 + 2) + 6 - 2 - 2
    assert other[2].startswith(f"{messages} ")
    assert "are 10 messages" in " ".join(text.split())
    assert (tmp_path / "figures/communication.png").read_bytes().startswith(b"\x89PNG")


def test_a_study_whose_cartpole_has_no_map_still_makes_a_report(tmp_path: Path):
    study = Study(tmp_path, PAPER)
    made_up_run(study, "acrobot", "map", 0, [-100.0] * 500)
    made_up_run(study, "cartpole", "tuned", 0, [100.0] * 1000)
    assert "What it takes to communicate" not in write_report(study, Recorded())[0].read_text()


def test_the_pareto_front_by_hand():
    points = [(10, 1.0), (20, 0.5), (20, 3.0), (30, 3.0), (40, 4.0)]
    assert pareto(points) == [(10, 1.0), (20, 3.0), (40, 4.0)]


def test_the_report_has_figures_digests_versions_and_a_paragraph(tmp_path: Path, generator: np.random.Generator):
    study, _ = _full_study(tmp_path, generator)
    keep_error(study.run("acrobot", "map", 5).folder, "Traceback\n  some line\nunit: expected finite numbers")
    text = write_report(study, Recorded())[0].read_text()
    assert "- acrobot map seed-5: unit: expected finite numbers" in text
    assert "The environment is the paper's. Its return cannot pass 500" in text
    assert "A team that finds the goal late" not in text
    assert f"numpy {np.__version__}" in text
    row = table_row(text, "Seeds and digests", "cartpole `map`")
    assert row[1] == "0 1 2 3"
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert row[4] == " ".join(f"`{line['digest'][:8]}`" for line in lines if line["method"] == "map")
    row = table_row(text, "CartPole-v1", "`map`")
    assert row[4].endswith("(0 of 4)")
    docs = tmp_path / "docs"
    copy_to_docs(study, docs)
    assert (docs / "results.md").read_text() == text
    figure = (docs / "figures/cartpole.png").read_bytes()
    assert figure.startswith(b"\x89PNG")
    assert len(figure) < 120_000


def test_an_empty_study_and_empty_cells_still_make_a_report(tmp_path: Path):
    outcome = run_study(Study(tmp_path, PAPER), Choice(), report_only=True)
    assert "from 0 finished runs" in outcome.report.read_text()
    made_up_run(Study(tmp_path, PAPER), "acrobot", "reinforce", 0, [-100.0] * 500)
    text = run_study(Study(tmp_path, PAPER), Choice(), report_only=True).report.read_text()
    assert table_row(text, "Acrobot-v1", "`reinforce`")[1:4] == ["1", "-100.00", "-"]
    assert "Compared with the published numbers" not in text, "a single run has no deviation to test with"


def test_shortened_runs_are_not_compared(tmp_path: Path):
    study = small_study(tmp_path, cartpole=2)
    for seed in range(2):
        made_up_run(study, "cartpole", "map", seed, [1.0, 2.0 + seed])
    text = write_report(study, Recorded())[0].read_text()
    assert "These runs were shortened** (cartpole: 2 episodes)" in text
    assert "Compared with the published numbers" not in text


def test_a_figures_lines_by_hand():
    task = TASKS["cartpole"]
    control = [Curve(np.array([1, 2, 3]), np.array(its)) for its in ([1.0, 3.0, 5.0], [3.0, 3.0, 9.0])]
    position, mean, low, high = average_curves([its.smoothed(task) for its in control], task)
    np.testing.assert_array_equal(position, [1, 2, 3])
    np.testing.assert_allclose(mean, [2.0, 2.5, 4.0])  # means of 1 3 5 so far: 1 2 3; of 3 3 9: 3 3 5
    np.testing.assert_array_equal(low, [1, 2, 3])  # a quarter of all resamples of two is twice the lower
    np.testing.assert_array_equal(high, [3, 3, 5])
    errors = [Curve(10 * np.arange(1, 1 + len(its)), np.array(its)) for its in ([-1.0, -0.1], [-100.0])]
    _, mean, low, high = average_curves(errors, TASKS["regression"])
    np.testing.assert_allclose(mean, [10.0])  # the geometric mean of 1 and 100, cut to the shorter run
    np.testing.assert_allclose((low[0], high[0]), [1.0, 100.0])


def test_a_kept_curve_is_the_running_mean_at_a_figures_points(generator: np.random.Generator):
    returns = generator.uniform(0, 500, 1000)
    kept = Curve(np.arange(1, 1001), returns).smoothed(TASKS["cartpole"])
    assert len(kept.value) == 150
    for position, value in zip(kept.position, kept.value, strict=True):
        assert value == pytest.approx(returns[max(0, position - 100) : position].mean())
    assert (kept.position[0], kept.position[-1]) == (1, 1000)
    rewards = Curve(12_800 * np.arange(1, 4), np.array([0.1, 0.9, 0.2])).smoothed(TASKS["multiplexer"])
    np.testing.assert_array_equal(rewards.value, [0.1, 0.9, 0.2])


def test_a_report_is_made_again_from_what_is_recorded_of_it(tmp_path: Path, generator: np.random.Generator):
    study, _ = _full_study(tmp_path / "first", generator)
    InvocationLog(study.files).finished(cpus=2)
    text = write_report(study, Recorded())[0].read_text()
    again = run_study(Study(tmp_path / "second", PAPER), Choice(), report_only=True, recorded=study.folder)
    assert again.report.read_text() == text
    assert "of wall time, up to 2 runs at once" in text
    for name in ("results.jsonl", "goes.jsonl"):
        assert (tmp_path / "second" / name).read_text() == (study.folder / name).read_text()
    choice = Choice(("cartpole",), ("map",), seeds=4)
    assert run_study(Study(tmp_path / "second", PAPER), choice, recorded=study.folder).done == []
    own = made_up_run(Study(tmp_path / "second", PAPER), "cartpole", "map", 9, [7.0] * 1000)
    outcome = run_study(Study(tmp_path / "second", PAPER), Choice(), report_only=True, recorded=study.folder)
    assert [its.seed for its in outcome.results if its.method == "map"] == [0, 1, 2, 3, own.seed]


def test_what_is_recorded_must_fit_the_study(tmp_path: Path, generator: np.random.Generator):
    study, _ = _full_study(tmp_path / "first", generator)
    write_report(study, Recorded())
    path = study.folder / "results.jsonl"
    lines = path.read_text().splitlines(keepends=True)

    def refusal(content: str, error: type[TeamnetError]) -> TeamnetError:
        path.write_text(content)
        with pytest.raises(error) as refused:
            read_recorded(Study(tmp_path / "second", PAPER), study.folder)
        return refused.value

    assert refusal(lines[0] + "{", CheckpointError).where == str(path)
    assert "digist" in refusal(lines[0].replace('"digest"', '"digist"'), CheckpointError).found
    unknown = refusal(lines[0].replace('"cartpole"', '"cartpool"'), CheckpointError)
    assert "line 1" in unknown.found
    assert "cartpool" in unknown.found
    other = refusal(lines[0].replace('"episodes": 1000', '"episodes": 9'), SpecError)
    assert other.where == f"{path}:1: episodes"
    assert "1000" in other.expected
    path.write_text("".join(lines))
    made_up_run(Study(tmp_path / "second", PAPER), "cartpole", "map", 0, [1.0] * 1000, digest="0" * 64)
    with pytest.raises(SpecError) as refused:
        run_study(Study(tmp_path / "second", PAPER), Choice(), report_only=True, recorded=study.folder)
    assert refused.value.where.endswith("seed-0: digest")
    assert refused.value.found == "0" * 64
    with pytest.raises(CheckpointError) as missing:
        run_study(Study(tmp_path / "third", PAPER), Choice(), report_only=True, recorded=tmp_path / "nowhere")
    assert missing.value.where == str(tmp_path / "nowhere/results.jsonl")


def test_the_time_left_goes_by_runs_of_the_same_cell(tmp_path: Path):
    study = small_study(tmp_path, cartpole=2, acrobot=2)
    known = [
        load_result(made_up_run(study, task, "map", 0, [1.0, 2.0], seconds=seconds))
        for task, seconds in (("cartpole", 100.0), ("acrobot", 40.0))
    ]
    runs = [study.run("cartpole", "map", 1), study.run("acrobot", "map", 1), study.run("lunarlander", "map", 1)]
    now = 1000.0
    progress = StudyProgress(runs, 2, known, now=lambda: now)
    assert progress.seconds_left() == 100 + 40 + 70
    progress.waiting([0, 1])
    now += 30
    assert progress.seconds_left() == (70 + 10 + 70) / 2
    assert progress.text() == "cartpole map seed 1, acrobot map seed 1; about 1 min 15 s left"
    now += 30
    progress.ended(1, "")
    progress.waiting([0, 2])
    assert progress.seconds_left() == (40 + 200 / 3) / 2  # the acrobot run took 60 s: any run 200 / 3 on average
    now += 300
    assert progress.seconds_left() == (360 / 4 + 300 / 4) / 2
    progress.ended(0, "unit: expected something")
    progress.waiting([2])
    assert (progress.seconds_left(), progress.at_once) == (300 / 4, 2)
    assert StudyProgress(runs, 0, []).seconds_left() is None


@pytest.mark.parametrize(
    ("options", "where", "found"),
    [
        ({"choice": Choice(("cartpol",))}, "task", "cartpol"),
        ({"choice": Choice(methods=("reinforc",))}, "methods", "reinforc"),
        ({"choice": Choice(seeds=0)}, "seeds", "0"),
        ({"choice": Choice(), "cpus": 0}, "cpus", "0"),
        ({"choice": Choice(("regression",), ("sb3-a2c",))}, "tasks", "regression"),
        ({"choice": Choice(("acrobot",)), "address": "nowhere:1"}, "address nowhere:1", ""),
    ],
)
def test_refusals_come_before_any_work(tmp_path: Path, options: dict[str, Any], where: str, found: str):
    with pytest.raises((SpecError, ResourceError)) as refusal:
        run_study(Study(tmp_path / "study", PAPER), **options)
    assert refusal.value.where == where
    assert found in refusal.value.found
    assert not (tmp_path / "study/runs").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_with_exit_code_2(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_:
        main(["paper", "--out", "/proc/nowhere"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("teamnet: out: ")


def test_a_baseline_that_is_not_installed_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(ResourceError) as refusal:
        run_study(Study(tmp_path, PAPER), Choice(("cartpole",), ("sb3-ppo",), seeds=1))
    assert refusal.value.where == "algorithm ppo"
    assert "teamnet[baselines]" in refusal.value.remedy
    assert not (tmp_path / "runs").exists()
