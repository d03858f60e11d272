"""Sweeps: ranges, varied specs, trials on Ray Tune, and what is told of them."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from teamnet.cli.main import main
from teamnet.errors import ActorLost, ResourceError, SpecError
from teamnet.rules.map_propagation import MapPropagation
from teamnet.spec.change import changed
from teamnet.spec.files import from_plain
from teamnet.spec.presets import PRESETS, preset
from teamnet.spec.resolve import Interface
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.experiment.records import read_records
from teamnet.study.sweep.ranges import Choice, Interval, parse_range, show, types_of
from teamnet.study.sweep.sensitivity import common_scores, find_sensitivity, rank_correlation
from teamnet.study.sweep.session import SweepSpec, run_sweep
from teamnet.study.sweep.summary import best_first, result_lines
from teamnet.study.sweep.trials import REPORTS, draw_trials, train_trial
from teamnet.study.sweep.variation import find_place, known_fields, parse_variations, vary_spec
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run import Run
from tests.commands import run_command
from tests.study.folders import contents

CARTPOLE = Interface(4, 2, "categorical")
numbers = st.floats(1e-6, 1e6)


def _vary(text: str, value: object, spec: RunSpec | None = None) -> RunSpec:
    variations = parse_variations([text], MapPropagation)
    return vary_spec(spec or preset("cartpole"), variations, {variations[0].label: value}, CARTPOLE)


@given(numbers, numbers, st.booleans(), st.lists(st.floats(0, 1), min_size=2))
def test_an_interval_keeps_its_bounds_and_rises(low: float, high: float, log: bool, shares: list[float]):
    if low >= high:
        low, high = high, low + 1
    its = parse_range("x", f"{'log:' if log else ''}{low!r}..{high!r}", float | None)
    assert its == Interval(low, high, log=log)
    values = [its.at(share) for share in sorted(shares)]
    assert values == sorted(values)
    assert all(low <= value <= high for value in values)


@given(st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_a_whole_interval_has_all_its_numbers_and_no_others(low: int, more: int, log: bool):
    its = parse_range("x", f"{'log:' if log else ''}{low}..{low + more}", int)
    values = {its.at(share) for share in np.linspace(0, 1, 5000)}
    assert all(type(value) is int for value in values)
    assert values == set(range(low, low + more + 1))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5, unique=True))
def test_choices_come_back_and_are_equally_likely(values: list[float]):
    its = parse_range("x", ",".join(map(repr, values)), float)
    assert its == Choice(tuple(values))
    shares = (np.arange(10 * len(values)) + 0.5) / (10 * len(values))
    assert sorted(map(its.at, shares)) == sorted(values * 10)


def test_a_logarithmic_interval_has_its_geometric_mean_in_the_middle():
    assert parse_range("x", "log:0.01..100", float).at(0.5) == pytest.approx(1)
    assert parse_range("x", "0..10", float).at(0.5) == 5


@pytest.mark.parametrize(
    ("text", "hint", "values"),
    [
        ("softplus, relu", str, ("softplus", "relu")), ("64/32,16", tuple[int, ...], ((64, 32), (16,))),
        ("none,5", float | None, (None, 5.0)), ("true,false", bool, (True, False)), ("7", int, (7,)),
    ],
)
def test_choices_have_the_fields_type(text: str, hint: object, values: tuple):
    assert parse_range("x", text, hint) == Choice(values)
    assert [show(value) for value in values] == [item.strip() for item in text.split(",")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sttle_steps=1..2", "expected a field of the spec; found 'sttle_steps'. Did you mean 'settle_steps'?"),
        ("actor.varances*=1..2", "Did you mean 'actor.variances'?"),
        ("actor=1..2", "vary actor: expected a field of the spec"),
        ("seed=1..2", "vary seed: expected another field; found 'seed'. Use --seeds"),
        ("episodes=1..2", "trials are compared over the same length"),
        ("step_size", "vary step_size: expected FIELD=RANGE"),
        ("step_size=", "expected a value of type float; found ''. Write for instance 0.1..2, log:1e-4..1e-1"),
        ("step_size=much", "vary step_size: expected a value of type float; found 'much'. Write for instance"),
        ("step_size=2..1", "expected a lower bound that is less than the upper one; found '2..1'. Write for instance"),
        ("step_size=1..inf", "expected a value of type float; found 'inf'"),
        ("step_size=0.5,0.5", "expected values that differ"),
        ("step_size=log:0..1", "expected bounds above 0 for log:"),
        ("step_size=log:1,2", "expected log: before two bounds"),
        ("settle_steps=1.5..3", "expected a value of type int; found '1.5'"),
        ("hidden=8..64", "expected values to choose from, because this is not a number"),
        ("step_size[0]=1..2", "expected a field that is a tuple"),
        ("step_size+hidden=1", "expected fields of one type"),
    ],
)
def test_a_field_or_range_that_makes_no_sense_is_refused(text: str, message: str):
    with pytest.raises(SpecError) as refusal:
        parse_variations([text], MapPropagation)
    assert message in str(refusal.value)


def test_nothing_and_the_same_field_twice_are_refused():
    with pytest.raises(SpecError) as nothing:
        parse_variations([], MapPropagation)
    assert nothing.value.where == "vary"
    assert "--vary step_size=0.1..1" in nothing.value.remedy
    with pytest.raises(SpecError) as twice:
        parse_variations(["discount=0.9,0.99", "step_size+discount*=0.5..1"], MapPropagation)
    assert "discount" in twice.value.where + twice.value.found


@pytest.mark.parametrize(
    ("text", "value", "where", "expected", "found"),
    [
        ("actor.variances[2]=0.1..1", 0.5, "actor.variances", "2", "2"),
        ("reward_limit*=1..2", 1.5, "reward_limit", "number", "None"),
        ("rule*=1..2", 1.5, "rule", "number", "'map'"),
        ("step_size=1..3", 2.5, "step_size", "2", "2.5"),
        ("actor.variances=0.1/0.2,1", (1.0,), "actor.variances", "2", "1"),
    ],
)
def test_a_value_that_the_spec_cannot_have_is_refused(
    text: str, value: object, where: str, expected: str, found: str
):
    with pytest.raises(SpecError) as refusal:
        _vary(text, value)
    assert where in refusal.value.where
    assert expected in refusal.value.expected
    assert refusal.value.found == found


def test_a_task_without_the_team_is_refused():
    with pytest.raises(SpecError) as refusal:
        _vary("actor.temperature=1..2", 1.5, preset("regression"))
    assert "actor" in refusal.value.expected
    assert "regression" in refusal.value.found


def _set(spec: RunSpec, path: str, value: object) -> RunSpec:
    first, _, rest = path.partition(".")
    return changed(spec, **{first: {rest: value} if rest else value})


OTHER = {
    "rule": "reinforce", "function": "tanh", "schedule": "sweeps", "signal": "reward", "hidden": (8, 4),
    "layers": ("1:function=tanh",),
    "free_running": True, "feedback": "random", "message_dtype": "int8", "error_feedback": True,
    "td_error": "passed-down", "early_reward": True, "normalise_observations": True, "normalise_rewards": True,
    "mask_actions": True, "observation_scale": (1.0, 2.0, 0.5, 3.0),
    "env_kwargs": ("sutton_barto_reward=True",), "wrappers": ("gymnasium.wrappers:RecordEpisodeStatistics",),
}
"""Another value for fields that are not plain numbers."""


SET_OTHERWISE = {
    "task", "seed", "episodes", "env_steps", "actor.free_running", "critic.free_running", "critic.early_reward",
}
"""What the sweep sets itself, what all teams have in common, and what no critic has."""


@pytest.mark.parametrize("path", sorted(set(known_fields(MapPropagation)) - SET_OTHERWISE))
def test_every_field_can_be_varied_and_nothing_else_changes(path: str):
    place = find_place(path, MapPropagation)
    name = place.names[-1]
    spec, interface = preset("cartpole"), CARTPOLE
    if name == "entropy":
        spec = changed(spec, rule="backprop")
    elif name == "error_feedback":
        spec = changed(spec, message_dtype="bfloat16")
    elif name in ("free_running", "acting_steps"):
        spec = changed(spec, rule="map-async")
    elif name == "early_reward":
        spec = preset("cartpole", "weight-max")
    elif name == "td_error":
        spec = changed(spec, schedule="sweeps")
    elif name == "signal":
        spec, interface = preset("regression"), Interface(8, 1, "gaussian", single_step=True)
    kinds = types_of(place.hint)
    new = OTHER.get(name, 3 if int in kinds else 0.7 if float in kinds else None)
    if name in ("variances", "rates", "final_rates"):
        team = getattr(spec, place.names[0])
        new = tuple(item * 0.5 for item in getattr(team, name))
    expected = _set(spec, path, new)
    assert expected != spec
    (variation,) = parse_variations([f"{path}={show(new)}"], MapPropagation)
    assert vary_spec(spec, (variation,), {variation.label: new}, interface) == expected


def test_elements_and_factors_are_applied_to_their_places_alone():
    spec = preset("cartpole")
    assert _vary("critic.rates[2]=0.1..1", 0.25) == _set(spec, "critic.rates", (2e-2, 2e-5, 0.25))
    assert _vary("actor.variances*=0.1..10", 2.0) == _set(spec, "actor.variances", (0.06, 0.2))
    assert _vary("actor.variances[1]*=0.1..10", 2.0) == _set(spec, "actor.variances", (0.03, 0.2))
    both = _vary("actor.variances+critic.variances*=0.1..10", 2.0)
    assert both == _set(_set(spec, "actor.variances", (0.06, 0.2)), "critic.variances", (0.06, 0.2, 0.2))
    assert _vary("settle_steps*=0.1..1", 0.52).rule == MapPropagation(settle_steps=10)


def test_presets_values_are_spread_over_another_depth_before_they_are_scaled():
    variations = parse_variations(["actor.variances*=1..4", "hidden=8/8/8,8"], MapPropagation)
    values = {"actor.variances*": 2.0, "hidden": (8, 8, 8)}
    spec = vary_spec(preset("cartpole"), variations, values, CARTPOLE)
    assert spec.actor is not None
    assert spec.actor.variances == (0.06, 0.2, 0.2)


def test_any_preset_names_its_fields():
    for task in PRESETS:
        assert find_place("actor.rates[1]", MapPropagation).names == ("actor", "rates"), task
    assert "critic.trace_lambda" in known_fields(MapPropagation)


@pytest.mark.parametrize("trials", [1, 7, 30])
def test_drawn_trials_leave_no_gap_and_share_no_seed(trials: int):
    texts = ["step_size=0..1", "actor.variances*=log:0.1..10", "function=softplus,relu"]
    variations = parse_variations(texts, MapPropagation)

    def draw(seed: int) -> list[dict]:
        return draw_trials(preset("cartpole"), variations, CARTPOLE, trials=trials, seeds=2, seed=seed)

    drawn = draw(5)
    assert sorted(int(trials * its["values"]["step_size"]) for its in drawn) == list(range(trials))
    parts = sorted(int(trials * (math.log10(its["values"]["actor.variances*"]) + 1) / 2) for its in drawn)
    assert parts == list(range(trials))
    assert sorted(seed for its in drawn for seed in its["seeds"]) == list(range(5, 5 + 2 * trials))
    assert drawn == draw(5) != draw(6)
    assert json.loads(json.dumps(drawn))[0]["spec"] == drawn[0]["spec"]
    assert from_plain(RunSpec, drawn[0]["spec"]).rule.step_size == drawn[0]["values"]["step_size"]


@given(st.lists(st.tuples(st.integers(-3, 3), st.floats(-5, 5).map(lambda number: round(number, 1))), min_size=2))
def test_rank_correlation_is_scipys(pairs: list[tuple[int, float]]):
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = rank_correlation(first, second)
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(scipy.stats.spearmanr(first, second).statistic)


def _row(trial: int, values: dict, curve: list, *, stopped: bool = False, error: str | None = None) -> dict:
    return {
        "trial": trial, "values": values, "curve": curve, "mean_return": curve[-1] if curve else None,
        "stopped_early": stopped or error is not None, "error": error, "episodes": 1, "seconds": 1.0,
    }


def test_trials_are_compared_at_the_age_that_all_reached():
    rows = [
        _row(0, {"discount": 0.1, "rule": "map"}, [5.0, 6.0, 90.0]),
        _row(1, {"discount": 0.5, "rule": "reinforce"}, [7.0, 4.0], stopped=True),
        _row(2, {"discount": 0.9, "rule": "map"}, [], error="it failed"),
        _row(3, {"discount": 0.95, "rule": "map"}, [1.0, 10.0, 95.0]),
    ]
    assert common_scores(rows) == ([6.0, 4.0, 4.0, 10.0], 2)
    assert [row["trial"] for row in best_first(rows)] == [3, 0, 1, 2]
    variations = parse_variations(["discount=0..1", "rule=map,reinforce"], MapPropagation)
    discount, rule = find_sensitivity(rows, variations)
    assert [(group.trials, group.score) for group in discount.groups] == [(1, 6.0), (1, 4.0), (2, 7.0)]
    assert discount.spread == 3
    assert discount.correlation == rank_correlation([0.1, 0.5, 0.9, 0.95], [6, 4, 4, 10])
    assert (rule.correlation, rule.spread) == (None, pytest.approx(20 / 3 - 4))
    lines = result_lines(rows, variations)
    assert lines[3].endswith("reinforce  stopped early")
    assert lines[4].endswith("map  failed")


def _sweep_without_ray(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, errors: list[str], *options: str,
    code: int,
) -> tuple[str, str]:
    """The output of a sweep of three trials, of which those that have an error end."""
    def run_trials(train: object, trials: list[dict], *, ended: Callable[[dict], None], **more: object) -> None:
        for trial, error in zip(trials, errors, strict=False):
            ended({"row": _row(trial["trial"], trial["values"], [], error=error)})

    monkeypatch.setattr("teamnet.team.ray_sweep.import_tune", lambda: None)
    monkeypatch.setattr("teamnet.team.ray_sweep.run_trials", run_trials)
    asked = ("sweep", "cartpole", "--vary", "discount=0.1..0.9", "--runs", "3", "--episodes", "2", "--out", folder)
    return run_command(capsys, *asked, *options, code=code)


def test_a_sweep_whose_trials_all_fail_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    out, err = _sweep_without_ray(monkeypatch, capsys, tmp_path, ["too large"] * 3, "--json", code=1)
    found = json.loads(out.splitlines()[-1], parse_constant=lambda name: pytest.fail(name))
    assert (found["failed"], found["sensitivity"]) == (3, [])
    assert err.count("too large") == 1
    out, _ = _sweep_without_ray(monkeypatch, capsys, tmp_path, [], code=1)
    assert "nan" not in out
    assert not (tmp_path / "sweep.png").exists()


def test_of_a_sweep_without_a_trial_nothing_is_said_to_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    out, err = _sweep_without_ray(monkeypatch, capsys, tmp_path / "new", [], code=130)
    assert out == ""
    assert "interrupted after 0 of 3" in err


def test_few_whole_numbers_are_groups_of_their_own():
    rows = [_row(number, {"settle_steps": value}, [float(value)]) for number, value in enumerate((2, 3, 3, 5))]
    (found,) = find_sensitivity(rows, parse_variations(["settle_steps=2..5"], MapPropagation))
    assert [(group.name, group.trials, group.score) for group in found.groups] == [
        ("2", 1, 2.0), ("3", 2, 3.0), ("4", 0, None), ("5", 1, 5.0),
    ]


def test_a_trial_that_fails_says_why_and_reports_to_the_end():
    variations = parse_variations(["critic.rates*=1e300"], MapPropagation)
    trial = draw_trials(
        replace(preset("cartpole"), hidden=(6, 4), episodes=40), variations, CARTPOLE, trials=1, seeds=1, seed=0
    )[0]
    last = list(train_trial(trial))[-1]
    assert last["done"]
    assert "expected finite activations" in last["row"]["error"]
    assert last["row"]["digests"] == []


@pytest.mark.usefixtures("shared_ray")
def test_laggards_are_stopped_and_a_trial_that_breaks_is_told_of(tmp_path: Path):
    from teamnet.team.ray_sweep import run_trials

    def steps(trial: dict) -> Iterator[dict]:
        for number in range(1, 6):
            if trial["breaks"]:
                raise ValueError("this trial breaks")
            yield {"score": trial["score"], "done": number == 5, "number": number, "name": trial["name"]}

    def ended(report: dict) -> None:
        with (tmp_path / "ended").open("a") as file:
            file.write(f"{report['name']} {report['number']}\n")

    scores = {"best": 9.0, "worst": 1.0, "good": 8.0}
    trials = [{"name": name, "score": score, "breaks": False} for name, score in scores.items()]
    run_trials(steps, trials, reports=5, asha=True, folder=tmp_path / "asha", at_once=1, ended=ended)
    assert (tmp_path / "ended").read_text().splitlines() == ["best 5", "worst 1", "good 3"]
    broken = [trials[0], {"name": "broken", "score": 0.0, "breaks": True}]
    with pytest.raises(ActorLost) as loss:
        run_trials(steps, broken, reports=5, asha=False, folder=tmp_path / "all", at_once=1, ended=ended)
    assert "ValueError: this trial breaks" in loss.value.found  # the trial's own words
    assert (tmp_path / "ended").read_text().splitlines()[3:] == ["best 5"]


def test_without_ray_tune_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "ray.tune", None)
    monkeypatch.delattr("ray.tune", raising=False)
    with pytest.raises(ResourceError) as refusal:
        run_sweep(SWEEP, tmp_path)
    assert "teamnet[sweep]" in refusal.value.remedy


SWEEP = SweepSpec("cartpole", ("step_size=0.2..1", "actor.temperature=1,2", "hidden=6/4"), runs=3, episodes=4, seed=11)


@pytest.mark.usefixtures("shared_ray")
def test_a_sweeps_rows_are_what_the_same_runs_done_by_hand_give(tmp_path: Path):
    at_home = set(Path.home().glob("ray_results/*"))
    rows = run_sweep(replace(SWEEP, seeds=2), tmp_path / "sweep", cpus=1, say=functools.partial(_keep, tmp_path))
    assert rows == read_records(tmp_path / "sweep/trials.jsonl")
    assert sorted(row["trial"] for row in rows) == [0, 1, 2]
    for row in rows:
        means, digests = [], []
        for seed in row["seeds"]:
            spec = _set(preset("cartpole"), "actor.temperature", row["values"]["actor.temperature"])
            spec = changed(spec, step_size=row["values"]["step_size"], hidden=(6, 4), episodes=4, seed=seed)
            run = Run(spec, LaunchSpec(backend="local"))
            while not run.done:
                run.advance()
            summary = run.summary()
            run.close()
            means.append(summary["mean_return"])
            digests.append(summary["digest"])
        assert row["mean_return"] == row["curve"][-1] == sum(means) / 2
        assert row["digests"] == digests
        assert (row["episodes"], len(row["curve"]), row["stopped_early"]) == (8, REPORTS, False)
    assert set(Path.home().glob("ray_results/*")) == at_home
    names = [".teamnet-sweep.json", "sweep.json", "sweep.png", "trials.jsonl"]
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == names
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0] == "3 of 3 trials to do"
    assert [line.split(":")[0] for line in said[1:]] == [f"trial {row['trial']}" for row in rows]


def _keep(folder: Path, text: str) -> None:
    with (folder / "said").open("a") as file:
        file.write(text + "\n")


def _main(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return exit_.value.code, captured.out, captured.err


@pytest.mark.usefixtures("shared_ray")
def test_the_command_prints_what_its_folder_holds_and_goes_on(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    asked = (
        "sweep", "cartpole", "--vary", "step_size=0.2..1", "hidden=6/4", "--vary", "actor.variances*=log:0.5..2",
        "--runs", 4, "--episodes", 20, "--scheduler", "asha", "--cpus", 1, "--out", tmp_path,
    )
    code, out, err = _main(capsys, *asked)
    assert code == 0, err
    rows = read_records(tmp_path / "trials.jsonl")
    assert len(rows) == 4
    table = out.splitlines()
    assert table[0].split() == ["trial", "mean", "return", "episodes", "seconds", "step_size", "hidden",
                                "actor.variances*"]
    for line, row in zip(table[1:5], best_first(rows), strict=True):
        cells = line.split()
        assert int(cells[0]) == row["trial"]
        assert float(cells[1]) == pytest.approx(row["mean_return"], abs=0.005)
        assert cells[4:7] == [show(value) for value in row["values"].values()]
        assert ("stopped early" in line) == row["stopped_early"] == (len(row["curve"]) < REPORTS)
    assert (tmp_path / "sweep.png").read_bytes()[:4] == b"\x89PNG"

    lines = (tmp_path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    OwnedFiles(tmp_path, "sweep").write("trials.jsonl", b"".join(lines[:3]))  # as after an interrupt
    code, out, err = _main(capsys, *asked, "--json")
    assert code == 0, err
    assert "1 of 4 trials to do" in err
    summary = json.loads(out.splitlines()[-1])
    again = read_records(tmp_path / "trials.jsonl")
    assert again[:3] == rows[:3]
    assert again[3]["values"] == rows[3]["values"]
    assert (summary["trials"], summary["best"]) == (4, best_first(again)[0])
    assert {its["field"] for its in summary["sensitivity"]} == set(again[0]["values"])

    (tmp_path / "tune").mkdir()
    (tmp_path / "tune/notes.txt").write_text("mine")
    before = contents(tmp_path)
    other = (*asked[:-3], 2, "--out", tmp_path, "--seed", 1)
    for arguments in (other, (*other, "--overwrite", "--runs", 0), (*other, "--overwrite")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("teamnet.team.ray_sweep.run_trials", _no_cluster)
            code, _, err = _main(capsys, *arguments)
        assert code == 2, err
        assert contents(tmp_path) == before, "results stay until there are new ones"
    code, _, err = _main(capsys, *other, "--overwrite", "--runs", 2)
    assert code == 0, err
    assert {row["seeds"][0] for row in read_records(tmp_path / "trials.jsonl")} == {1, 2}
    assert (tmp_path / "tune/notes.txt").read_text() == "mine"
    for damaged in (
        (tmp_path / "trials.jsonl").read_bytes().replace(b"\n", b"\r\n"), (tmp_path / "trials.jsonl").read_bytes()[:-9]
    ):
        (tmp_path / "trials.jsonl").write_bytes(damaged)
        before = contents(tmp_path)
        for more in ((), ("--overwrite",)):
            assert _main(capsys, *other, "--runs", 2, *more)[0] == 2
            assert contents(tmp_path) == before


def _no_cluster(*given: object, **named: object) -> None:
    raise ResourceError("address", expected="a cluster", found="none", remedy="Start one.")


@pytest.mark.parametrize("name", ["sweep.json", "trials.jsonl", "sweep.png"])
def test_a_file_that_no_sweep_wrote_refuses_the_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str):
    (tmp_path / name).write_text("mine")
    for more in ((), ("--overwrite",)):
        code, _, err = _main(capsys, "sweep", "cartpole", "--vary", "step_size=0.2..1", "--out", tmp_path, *more)
        assert (code, contents(tmp_path)) == (2, {name: b"mine"})
        assert err.startswith("teamnet: out: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cartpole",), "teamnet: vary: expected --vary FIELD=RANGE; found none"),
        (("cartpol", "--vary", "step_size=0.1..1"), "teamnet: task: expected a preset"),
        (("cartpole", "--vary", "stepsize=0.1..1"), "Did you mean 'step_size'?"),
        (("cartpole", "--vary", "step_size=0.1..1", "--runs", "0"), "teamnet: runs: expected a whole number from 1 to"),
        (("cartpole", "--vary", "step_size=0.1..1", "--out", ""), "teamnet: out: expected a name"),
        (("cartpole", "--vary", "step_size=0.1..3"), "teamnet: step_size: expected 0 < step_size < 2"),
    ],
)
def test_nonsense_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], message: str
):
    code, _, err = _main(capsys, "sweep", "--out", tmp_path / "new", *arguments)
    assert code == 2
    assert message in err
    assert not (tmp_path / "new").exists()
