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
    study = Study(tmp_path, PAPER, lengths={"cartpole": 2, "acrobot": 2, "lunarlander": 2, "mountaincar": 2})
    for (task, method), value in RETURNS.items():
        made_up_run(study, task, method, 0, [value, value])
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
    speeds = [Speed("map", [1_000.0, 4_000.0, 2_000.0]), Speed("backprop", [])]
    found = {each.name: each for each in scored(Cells(study, all_results(study, Recorded()), speeds))}
    assert (found["map"].exchanges, found["map"].bytes) == (45, 43_720)  # as the ledger of a run counts them
    assert (found["map"].seconds, found["backprop"].seconds, found["reinforce"].seconds) == (50.0, None, None)


def test_the_results_begin_with_the_table(study: Study):
    text = write_report(study, Recorded())[0].read_text()
    row = table_row("## " + text.replace("# Results", "Results\n", 1), "Results", "`backprop`")
    assert row[1:5] == ["1.01", "250.00", "-75.00", "-"]
    assert text.index("![Score against") < text.index("## Runs and measures")
    assert (study.folder / "figures/frontier.png").read_bytes().startswith(b"\x89PNG")
