"""The speeds of a study's methods: when they are measured, and what the report makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from teamnet.errors import CheckpointError
from teamnet.study.experiment import speeds
from teamnet.study.experiment.speeds import EPISODES, ROUNDS, SPEEDS, Speed, read_speeds
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.workflow import Choice, run_study
from teamnet.study.paper.methods import PAPER
from tests.study.studies import Diverging, made_up_run, small_study, table_row

EPISODES_OF_RUNS = 3


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One made-up run of two methods; nothing is left to do but to measure their speeds."""
    study = small_study(tmp_path / "study", cartpole=EPISODES_OF_RUNS)
    for method in ("map", "reinforce"):
        made_up_run(study, "cartpole", method, 0, [20.0] * EPISODES_OF_RUNS)
    return study


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Method and seed of each timing, none of which is really made."""
    calls: list[tuple[str, int]] = []

    def rate(study: Study, method: str, seed: int) -> float:
        calls.append((method, seed))
        return 1_000.0 * (seed + 1) * (2 if method == "map" else 1)

    monkeypatch.setattr(speeds, "_rate", rate)
    return calls


def _run(study: Study, *methods: str, recorded: Path | None = None, report_only: bool = False) -> None:
    run_study(study, Choice(("cartpole",), methods, seeds=1), recorded=recorded, report_only=report_only)


def test_all_methods_are_really_timed(study: Study):
    _run(study, "map", "reinforce")
    found = read_speeds(study.folder)
    assert [speed.method for speed in found] == ["map", "reinforce"]
    for speed in found:
        assert len(speed.rates) == ROUNDS
        assert min(speed.rates) > 50.0  # steps a second; a team that waited for anything would have far fewer


def test_methods_are_timed_in_turn_and_the_report_has_their_medians(study: Study, timed: list[tuple[str, int]]):
    _run(study, "map", "reinforce")
    assert timed == [(method, seed) for seed in range(ROUNDS) for method in ("map", "reinforce")]
    text = (study.folder / "results.md").read_text().replace("# Results", "## Results\n", 1)
    assert [table_row(text, "Results", f"`{method}`")[-1] for method in ("map", "reinforce")] == ["16.7", "33.3"]


def test_speeds_are_measured_once(study: Study, timed: list[tuple[str, int]], tmp_path: Path):
    _run(study, "map", "reinforce")
    timed.clear()
    _run(study, "map", "reinforce")
    _run(study, "map", report_only=True)
    elsewhere = small_study(tmp_path / "elsewhere", cartpole=EPISODES_OF_RUNS)
    _run(elsewhere, "map", "reinforce", recorded=study.folder)
    assert timed == []
    assert read_speeds(elsewhere.folder) == read_speeds(study.folder)


def test_a_method_without_a_speed_has_all_of_them_timed_again(study: Study, timed: list[tuple[str, int]]):
    _run(study, "map", "reinforce")
    made_up_run(study, "cartpole", "backprop", 0, [20.0] * EPISODES_OF_RUNS)
    timed.clear()
    _run(study, "map")
    assert timed == []
    _run(study, "backprop")
    assert timed[:3] == [("map", 0), ("backprop", 0), ("reinforce", 0)]


def test_a_report_alone_times_nothing(study: Study, timed: list[tuple[str, int]]):
    _run(study, report_only=True)
    assert timed == []
    assert not (study.folder / SPEEDS).exists()


def test_a_baseline_that_is_not_installed_is_not_timed(
    study: Study, timed: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
):
    made_up_run(study, "cartpole", "sb3-a2c", 0, [20.0] * EPISODES_OF_RUNS)
    monkeypatch.setattr(speeds, "installed", lambda: False)
    _run(study, "sb3-a2c")
    assert timed == []
    _run(study, "sb3-a2c", "map")
    assert {method for method, _ in timed} == {"map", "reinforce"}


def test_timings_are_short_whatever_the_length_of_the_runs(study: Study, monkeypatch: pytest.MonkeyPatch):
    lengths: list[int] = []
    monkeypatch.setattr(speeds, "train_team", lambda spec, log: lengths.append(log.wanted) or log.ended(9, 1.0, 9))
    speeds.measure(study, ["map"])
    speeds.measure(replace(study, lengths={}), ["map"])
    assert lengths == [EPISODES_OF_RUNS] * ROUNDS + [EPISODES] * ROUNDS


def test_a_method_whose_training_fails_has_no_speed_and_the_others_have(tmp_path: Path):
    experiment = replace(PAPER, methods={"map": PAPER.methods["map"], "bad": Diverging("bad", "bad")})
    study = Study(tmp_path, experiment, {"cartpole": 20})
    found = {speed.method: speed for speed in speeds.measure(study, ["map", "bad"])}
    assert (len(found["map"].rates), found["bad"]) == (ROUNDS, Speed("bad", []))
    assert found["bad"].median is None


@pytest.mark.parametrize(
    "line", [{"method": "map"}, {"method": "map", "rates": [0.0]}, {"method": "map", "rates": ["1"]}, {"name": 1}]
)
def test_a_damaged_file_is_refused(study: Study, line: dict[str, object]):
    (study.folder / SPEEDS).write_text(json.dumps(line) + "\n")
    with pytest.raises(CheckpointError) as caught:
        read_speeds(study.folder)
    assert caught.value.where == str(study.folder / SPEEDS)
