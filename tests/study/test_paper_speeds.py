"""The speeds of a study's methods: when they are measured, and what the report makes of them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teamnet.errors import CheckpointError
from teamnet.study.experiment import speeds
from teamnet.study.experiment.speeds import ROUNDS, SPEEDS, read_speeds
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.workflow import Choice, run_study
from teamnet.study.paper.methods import PAPER
from tests.study.studies import Diverging, made_up_run, table_row

LINE = {"method": "map", "spec": {}, "version": "1"}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One made-up run of two methods; nothing is left to do but to measure their speeds."""
    study = Study(tmp_path / "study", PAPER)
    for method in ("map", "reinforce"):
        _finished(study, method)
    return study


def _finished(study: Study, method: str) -> None:
    made_up_run(study, "cartpole", method, 0, [20.0] * 3, episodes=study.run("cartpole", method, 0).spec.episodes)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The method of each timing, none of which is really made: each is faster than the one before it."""
    calls: list[str] = []

    def started(study: Study, method: str, until_end: ExitStack) -> Any:
        def rate() -> float:
            calls.append(method)
            return 1_000.0 * calls.count(method) * (2 if method == "map" else 1)

        return rate

    monkeypatch.setattr(speeds, "_started", started)
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


def test_methods_are_timed_in_turn_and_the_report_has_their_medians(study: Study, timed: list[str]):
    _run(study, "map", "reinforce")
    assert timed == ["map", "reinforce"] * (1 + ROUNDS), "a warm-up, then the rounds"
    text = (study.folder / "results.md").read_text().replace("# Results", "## Results\n", 1)
    assert [table_row(text, "Results", f"`{method}`")[-1] for method in ("map", "reinforce")] == ["12.5", "25.0"]


def test_speeds_are_measured_once(study: Study, timed: list[str], tmp_path: Path):
    _run(study, "map", "reinforce")
    timed.clear()
    _run(study, "map", "reinforce")
    _run(study, "map", report_only=True)
    elsewhere = Study(tmp_path / "elsewhere", PAPER)
    _run(elsewhere, "map", "reinforce", recorded=study.folder)
    assert timed == []
    assert read_speeds(elsewhere.folder) == read_speeds(study.folder)


def test_a_method_without_a_speed_has_all_of_them_timed_again(study: Study, timed: list[str]):
    _run(study, "map", "reinforce")
    _finished(study, "backprop")
    timed.clear()
    _run(study, "map")
    assert timed == []
    _run(study, "backprop")
    assert timed[:3] == ["map", "backprop", "reinforce"]


@pytest.mark.parametrize("change", [{"version": "0.1"}, {"spec": {"task": "cartpole"}}, {"rates": []}])
def test_a_speed_of_another_version_or_spec_is_measured_again(
    study: Study, timed: list[str], change: dict[str, Any]
):
    _run(study, "map", "reinforce")
    first, second = read_speeds(study.folder)
    speeds.write_speeds(study.files, [replace(first, **change), second])
    timed.clear()
    _run(study, "reinforce")
    assert timed == []
    _run(study, "map")
    assert timed[:2] == ["map", "reinforce"]


def test_a_report_alone_times_nothing(study: Study, timed: list[str]):
    _run(study, report_only=True)
    assert timed == []
    assert not (study.folder / SPEEDS).exists()


def test_a_baseline_that_is_not_installed_is_not_timed(
    study: Study, timed: list[str], monkeypatch: pytest.MonkeyPatch
):
    _finished(study, "sb3-a2c")
    monkeypatch.setattr(speeds, "installed", lambda: False)
    _run(study, "sb3-a2c")
    assert timed == []
    _run(study, "sb3-a2c", "map")
    assert set(timed) == {"map", "reinforce"}


def test_a_baseline_is_really_timed(study: Study):
    (speed,) = speeds.measure(study, ["sb3-a2c"])
    assert len(speed.rates) == ROUNDS
    assert min(speed.rates) > 10.0


def test_a_method_whose_training_fails_has_no_speed_and_the_others_have(tmp_path: Path):
    experiment = replace(PAPER, methods={"map": PAPER.methods["map"], "bad": Diverging("bad", "bad")})
    study = Study(tmp_path, experiment, {"cartpole": 20})
    found = {speed.method: speed for speed in speeds.measure(study, ["map", "bad"])}
    assert (len(found["map"].rates), found["bad"].rates, found["bad"].median) == (ROUNDS, [], None)


@pytest.mark.parametrize(
    "line", [{"method": "map"}, {**LINE, "rates": [0.0]}, {**LINE, "rates": ["1"]}, {**LINE, "rates": 1}, {"name": 1}]
)
def test_a_damaged_file_is_refused(study: Study, line: dict[str, object]):
    (study.folder / SPEEDS).write_text(json.dumps(line) + "\n")
    with pytest.raises(CheckpointError) as caught:
        read_speeds(study.folder)
    assert caught.value.where == str(study.folder / SPEEDS)
