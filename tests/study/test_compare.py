"""Two sides compared: returns beside SciPy's tests, differences of specs, and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from teamnet.errors import SpecError
from teamnet.spec.files import to_plain
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.communication.grid import Grid
from teamnet.study.communication.session import run_grid
from teamnet.study.compare.quantities import returns_of
from teamnet.study.compare.session import compare_sides
from teamnet.study.compare.sides import read_side, spec_of
from teamnet.study.experiment.statistics import holm
from teamnet.study.kept_run import content_of_run, keep_run
from teamnet.study.rates import Precision
from teamnet.training.saving import Saving
from teamnet.training.session import train
from tests.commands import run_command


def _keep(folder: Path, spec: RunSpec, returns: np.ndarray, rate: float = 1000.0, size: float = 500.0) -> None:
    """A finished run that was never trained."""
    lines = [{"env_steps": 10 * n, "episode": n, "return": float(x), "length": 10} for n, x in enumerate(returns, 1)]
    traffic = {"messages_per_step": 20.0, "bytes_per_step": size}
    units = [{"name": "actor/1", "computed": 2e-6, "published": None, "waited": None}]
    ledger = {
        "exchanges_per_step": 5, "total": traffic, "edges": {"activation": traffic}, "units": units, "straggler": None
    }
    summary = {
        "task": spec.task, "rule": "map", "mean_return": float(np.mean(returns)), "env_steps_per_second": rate,
        "communication": ledger,
    }
    keep_run(folder / f"seed-{spec.seed}", content_of_run(to_plain(spec), lines, summary))


@pytest.fixture
def sides(tmp_path: Path, generator: np.random.Generator) -> tuple[Path, Path, dict[str, np.ndarray]]:
    """Four runs on each side; those of B are better only in the last quarter, slower and send more."""
    returns = {"A": generator.normal(100.0, 5.0, (4, 40)), "B": generator.normal(100.0, 5.0, (4, 40))}
    returns["B"][:, 30:] += 40.0
    for name, base, rate, size in (("A", "map", 1000.0, 500.0), ("B", "tuned", 800.0, 600.0)):
        for seed, row in enumerate(returns[name]):
            _keep(tmp_path / name, replace(preset("cartpole", base), seed=seed), row, rate, size)
    return tmp_path / "A", tmp_path / "B", returns


def test_returns_are_tested_as_by_scipy(sides: tuple[Path, Path, dict[str, np.ndarray]]):
    before, after, returns = sides
    found = returns_of(read_side(before, "before").runs["cartpole"], read_side(after, "after").runs["cartpole"])
    parts = [slice(None), *(slice(10 * n, 10 * n + 10) for n in range(4))]
    expected = [
        stats.ttest_ind(*(returns[name][:, part].mean(axis=1) for name in "AB"), equal_var=False).pvalue
        for part in parts
    ]
    assert [each.p for each in found] == pytest.approx(holm(expected), rel=1e-9)
    last = found[-1]
    assert last.before
    assert last.after
    assert last.after.mean - last.before.mean == pytest.approx(
        returns["B"][:, 30:].mean() - returns["A"][:, 30:].mean()
    )


def test_what_differs_in_the_specs_is_shown_and_nothing_else(
    sides: tuple[Path, Path, dict[str, np.ndarray]], capsys: pytest.CaptureFixture[str]
):
    out, _ = run_command(capsys, "compare", *sides[:2])
    specs = out.split("return ")[0]
    assert "rule.settings.schedule" in specs
    assert "actor.rates" in specs
    assert "discount" not in specs
    assert "seed" not in specs
    same, _ = run_command(capsys, "compare", sides[0], sides[0])
    assert "the same spec" in same


@pytest.mark.parametrize(("threshold", "worse"), [
    (0.1, {"steps/s", "bytes a step"}), (0.199, {"steps/s", "bytes a step"}), (0.3, set()),
])
def test_what_is_worse_by_more_than_the_threshold_makes_the_exit_code_1(
    sides: tuple[Path, Path, dict[str, np.ndarray]], capsys: pytest.CaptureFixture[str], threshold: float,
    worse: set[str],
):
    _, err = run_command(capsys, "compare", *sides[:2], "--threshold", threshold, code=int(bool(worse)))
    assert {line.split("cartpole, ")[1].split(":")[0] for line in err.splitlines() if "worse" in line} == worse
    _, err = run_command(capsys, "compare", *sides[1::-1], "--threshold", threshold, code=1)
    assert "last quarter" in err, "backwards the returns of the last quarter are lower beyond chance"


def test_returns_of_single_runs_are_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, value in (("A", 100.0), ("B", 1.0)):
        _keep(tmp_path / name, preset("cartpole"), np.full(8, value))
    out, _ = run_command(capsys, "compare", tmp_path / "A", tmp_path / "B", "--threshold", 0.1)
    assert "-99.00" in out


def test_runs_without_an_episode_have_no_return(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = replace(preset("cartpole"), hidden=(3,), env_steps=3, episodes=None)
    train(spec, LaunchSpec("local"), tmp_path / "A", saving=Saving(10**9))
    out, _ = run_command(capsys, "compare", tmp_path / "A", tmp_path / "A")
    assert "bytes a step" in out
    run_command(capsys, "report", tmp_path, "--out", tmp_path / "page.html")


def test_runs_of_several_specs_on_a_side_are_refused(sides: tuple[Path, Path, dict[str, np.ndarray]]):
    with pytest.raises(SpecError) as refusal:
        spec_of(read_side(sides[0].parent, "before"), "cartpole")
    assert refusal.value.where == "before"


def test_grids_are_compared_by_configuration(tmp_path: Path):
    for name in "AB":
        run_grid(
            "cartpole", Grid(("map", "tuned"), hidden=("5-4",)), LaunchSpec("local"), Precision(0.01, 1), cross=False,
            out=tmp_path / name, trace=False, say=lambda message: None,
        )
    path = tmp_path / "B/comm.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["ledger"]["total"]["bytes_per_step"] *= 2
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare_sides(read_side(tmp_path / "A", "before"), read_side(tmp_path / "B", "after"), 0.5)
    assert [line.split(":")[0] for line in found.worse if "bytes" in line] == [
        "cartpole, tuned, layer, board, pack, 1, 5-4, backend local, nodes 1, bytes a step"
    ]
    path.write_text("".join(json.dumps({**row, "link_latency": 0.01}) + "\n" for row in rows))
    with pytest.raises(SpecError) as refusal:
        compare_sides(read_side(tmp_path / "A", "before"), read_side(tmp_path / "B", "after"), 0.5)
    assert refusal.value.where == "after", "runs over other links are other configurations"
    run_grid(
        "cartpole", Grid(("map",), hidden=("5-4",)), LaunchSpec("local"), Precision(0.01, 1), cross=False,
        out=tmp_path / "A/again", trace=False, say=lambda message: None,
    )
    with pytest.raises(SpecError) as refusal:
        read_side(tmp_path / "A", "before")
    assert refusal.value.where == "before", "one configuration twice"


def test_benchmarks_are_compared_by_their_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [{"name": "local", "ratio": 10.0, "rate": 1.0}, {"name": "ray-layer", "ratio": 5.0, "rate": 1.0}]
    (tmp_path / "a").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"name": "ledger", "cost": 0.1}\n')
    (tmp_path / "b").write_text(json.dumps({**rows[0], "ratio": 8.5, "rate": 0.1}) + "\n")
    _, err = run_command(capsys, "compare", tmp_path / "a", tmp_path / "b", "--threshold", 0.1, code=1)
    assert "worse: local, ratio to the reference: 10.00 before, 8.50 now" in err
    run_command(capsys, "compare", tmp_path / "a", tmp_path / "b", "--threshold", 0.2)


@pytest.mark.parametrize("content", [None, "", "no json", "[1]", '{"ratio": 1.0}', '{"name": "ledger", "cost": 1}'])
def test_what_holds_nothing_to_compare_is_refused(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "good").write_text('{"name": "local", "ratio": 1.0}\n')
    if content is not None:
        (tmp_path / "bad").write_text(content)
    run_command(capsys, "compare", tmp_path / "good", tmp_path / "bad", code=2)
    run_command(capsys, "compare", tmp_path / "good", tmp_path / "good", "--threshold", -1, code=2)
