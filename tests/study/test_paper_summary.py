"""The table and the figure at the head of the paper's results."""

from __future__ import annotations

from pathlib import Path

import pytest

from teamnet.study.experiment.cells import Cells
from teamnet.study.experiment.recorded import Recorded, all_results
from teamnet.study.experiment.report import write_report
from teamnet.study.experiment.speeds import Speed
from teamnet.study.experiment.study import Study
from teamnet.study.paper.methods import PAPER
from teamnet.study.paper.summary import Summary, scored
from tests.study.studies import made_up_run, table_row

RETURNS = {
    ("cartpole", "map"): 400.0, ("cartpole", "reinforce"): 100.0, ("cartpole", "backprop"): 250.0,
    ("acrobot", "map"): -100.0, ("acrobot", "reinforce"): -200.0, ("acrobot", "backprop"): -75.0,
    ("lunarlander", "map"): 50.0, ("mountaincar", "tuned"): 10.0,
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One made-up run of some cells."""
    study = Study(tmp_path, PAPER)
    for (task, method), value in RETURNS.items():
        made_up_run(study, task, method, 0, [value, value], episodes=study.run(task, method, 0).spec.episodes)
    return study


def _scored(study: Study) -> dict[str, Summary]:
    return {each.name: each for each in scored(Cells(study, all_results(study, Recorded())))}


def test_scores_by_hand(study: Study):
    """Of the published returns 47.29 and 459.70 of CartPole, -148.42 and -100.29 of Acrobot, and so on."""
    found = _scored(study)
    assert {name: each.score for name, each in found.items()} == pytest.approx({
        "map": (352.71 / 412.41 + 48.42 / 48.13 + 112.05 / 189.93) / 3,
        "tuned": 45.52 / 74.97,
        "backprop": (202.71 / 412.41 + 73.42 / 48.13) / 2,
        "reinforce": (52.71 / 412.41 - 51.58 / 48.13) / 2,
    })


def test_traffic_and_time_are_those_of_a_step_of_cartpole(study: Study):
    speeds = [Speed("map", {}, "1", [1_000.0, 4_000.0, 2_000.0]), Speed("backprop", {}, "1", [])]
    found = {each.name: each for each in scored(Cells(study, all_results(study, Recorded()), speeds))}
    assert (found["map"].exchanges, found["map"].bytes) == (45, 43_720)  # as the ledger of a run counts them
    assert (found["map"].seconds, found["backprop"].seconds, found["reinforce"].seconds) == (50.0, None, None)


def test_the_results_begin_with_the_table(study: Study):
    text = write_report(study, Recorded())[0].read_text()
    row = table_row("## " + text.replace("# Results", "Results\n", 1), "Results", "`backprop`")
    assert row[1:5] == ["1.01", "250.00", "-75.00", "-"]
    assert text.index("![Score against") < text.index("## Runs and measures")
    assert (study.folder / "figures/frontier.png").read_bytes().startswith(b"\x89PNG")


def test_shortened_runs_have_no_score(tmp_path: Path):
    study = Study(tmp_path, PAPER, lengths={"cartpole": 2})
    made_up_run(study, "cartpole", "map", 0, [9.0, 9.0])
    text = write_report(study, Recorded())[0].read_text()
    assert "Score" not in text
    assert not (tmp_path / "figures/frontier.png").exists()


def test_a_run_that_two_methods_have_is_counted_and_tested_once(tmp_path: Path):
    """On Acrobot `scaled` is `tuned`."""
    study = Study(tmp_path, PAPER)
    for method, returns in (("tuned", (-90.0, -95.0)), ("map", (-100.0, -120.0))):
        for seed, value in enumerate(returns):
            made_up_run(
                study, "acrobot", method, seed, [value], episodes=study.run("acrobot", method, seed).spec.episodes
            )
    results = all_results(study, Recorded())
    assert (len(results), len(Cells(study, results).distinct)) == (6, 4)
    text = write_report(study, Recorded())[0].read_text()
    assert "from 4 finished runs" in text
    rows = {name: table_row(text, "Compared with the published numbers", f"Acrobot-v1, `{name}`")
            for name in ("map", "tuned", "scaled")}
    p, adjusted = (float(rows["tuned"][place]) for place in (5, 6))
    assert rows["tuned"][5:] == rows["scaled"][5:]
    assert adjusted == pytest.approx(2 * p, rel=0.05), "two tests, not three"
