"""What figures draw: lines and bands of the runs whose curves are there, within what the tasks allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from teamnet.spec.presets import ENVIRONMENTS
from teamnet.study.experiment.curves import average_curves, describe_figure, draw_curves
from teamnet.study.experiment.figure import as_png
from teamnet.study.experiment.recorded import Recorded
from teamnet.study.experiment.report import write_report
from teamnet.study.experiment.results import Curve, Result
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.tasks import TASKS
from teamnet.study.paper.methods import METHODS, PAPER


def _longest(task: str) -> int:
    longest = gymnasium.spec(ENVIRONMENTS[task]).max_episode_steps
    assert longest is not None
    return longest


BOUNDS = {
    "cartpole": (0.0, _longest("cartpole")), "acrobot": (-_longest("acrobot"), 0.0), "multiplexer": (-1.0, 1.0),
    "regression": (-1e6, 0.0),
}
"""Returns, or rewards, that each task can give."""


def _curves(task: str) -> st.SearchStrategy[list[Curve]]:
    values = st.floats(*BOUNDS[task]) | st.sampled_from(BOUNDS[task])
    curve = st.lists(values, min_size=2, max_size=20).map(
        lambda returns: Curve(np.arange(1, 1 + len(returns)), np.array(returns, float)).smoothed(TASKS[task])
    )
    return st.lists(curve, min_size=1, max_size=6)


def _result(task: str, method: str, seed: int, curve: Curve | None) -> Result:
    return Result(
        task, method, seed, average_return=0.0, episodes=9, env_steps=90, episodes_to_perfect=None,
        episodes_to_solved=None, final_return=0.0, early_return=None, seconds=1.0, env_steps_per_second=90.0,
        digest="0" * 64, version="0.1.0", curve=curve,
    )


@pytest.mark.parametrize("task", BOUNDS)
def test_no_line_and_no_band_leaves_what_the_task_allows(task: str):
    low, high = (0.0, 1e6 + 1e-3) if TASKS[task].negative_error else BOUNDS[task]

    @settings(max_examples=60)
    @given(_curves(task))
    def check(curves: list[Curve]):
        position, mean, below, above = average_curves(curves, TASKS[task])
        assert len(position) == len(mean) == len(below) == len(above) == min(len(its.value) for its in curves)
        assert (low <= below).all()
        assert (above <= high).all()
        assert (low <= mean).all()
        assert (mean <= high).all()
        if len(curves) == 1:
            np.testing.assert_array_equal(below, above)

    check()


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if not task.negative_error])
def test_a_band_stays_within_its_runs_and_the_more_runs_the_narrower(task: str, generator: np.random.Generator):
    values = generator.normal(0, 100, (40, 30))
    every = [Curve(np.arange(30), row) for row in values]
    _, mean, low, high = average_curves(every, TASKS[task])
    np.testing.assert_allclose(mean, values.mean(axis=0))
    assert (values.min(axis=0) < low).all()
    assert (low < mean).all()
    assert (mean < high).all()
    assert (high < values.max(axis=0)).all()
    few = average_curves(every[:4], TASKS[task])
    assert (few[3] - few[2]).mean() > 2 * (high - low).mean()  # about the root of ten


def _drawn(monkeypatch: pytest.MonkeyPatch, task: str, results: dict[str, list[Result]]) -> Any:
    kept: list[Any] = []
    monkeypatch.setattr(
        "teamnet.study.experiment.curves.as_png", lambda figure, dpi: (kept.append(figure), as_png(figure))[1]
    )
    assert draw_curves(TASKS[task], results, METHODS)
    return kept[0]


def test_a_line_is_of_the_runs_whose_curves_are_there_and_says_how_many(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    curves = [Curve(np.array([1, 2]), np.array(its)) for its in ([500.0, 300.0], [100.0, 500.0])]
    results = {
        "map": [_result("cartpole", "map", seed, (*curves, None)[seed]) for seed in range(3)],
        "backprop": [_result("cartpole", "backprop", seed, (curves[0], None)[seed]) for seed in range(2)],
        "tuned": [_result("cartpole", "tuned", 0, None)],
    }
    figure = _drawn(monkeypatch, "cartpole", results)
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert list(lines) == ["MAP propagation (n = 2)", "backpropagation (n = 1)", "solved at 500"]
    np.testing.assert_array_equal(lines["MAP propagation (n = 2)"], [300, 400])
    (band,) = [its for its in axes.collections if isinstance(its, PolyCollection)]  # a single run has none
    edges = np.concatenate([path.vertices for path in band.get_paths()])[:, 1]
    assert (edges.min(), edges.max()) == (100, 500)
    caption = " ".join(describe_figure(TASKS["cartpole"], results).split())
    for missing in ("1 of 3 of `map`", "1 of 2 of `backprop`", "1 of 1 of `tuned`"):
        assert missing in caption
    complete = {"map": results["map"][:2]}
    assert "`map`" not in describe_figure(TASKS["cartpole"], complete)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_curves("cartpole"))
def test_what_is_drawn_stays_within_what_the_task_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, curves: list[Curve]
):
    monkeypatch.chdir(tmp_path)
    results = {"map": [_result("cartpole", "map", seed, curve) for seed, curve in enumerate(curves)]}
    (axes,) = _drawn(monkeypatch, "cartpole", results).axes
    bands = [its for its in axes.collections if isinstance(its, PolyCollection)]
    assert len(bands) == (len(curves) > 1)
    for band in bands:
        edges = np.concatenate([path.vertices for path in band.get_paths()])[:, 1]
        assert 0 <= edges.min() <= edges.max() <= 500


def test_a_task_without_curves_has_no_picture(tmp_path: Path):
    without = [_result("cartpole", "map", seed, None) for seed in range(2)]
    text = write_report(Study(tmp_path, PAPER), Recorded(without))[0].read_text()
    assert "cartpole.png" not in text
    assert not (tmp_path / "figures/cartpole.png").exists()


def test_bars_of_returns_against_bytes_stay_within_what_the_task_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    kept: list[Any] = []
    monkeypatch.setattr(
        "teamnet.study.experiment.traffic.as_png", lambda figure, dpi: (kept.append(figure), as_png(figure))[1]
    )
    averages = [500.0] * 9 + [100.0]  # mean and standard deviation add up to 586
    results = [
        replace(_result("cartpole", method, seed, None), average_return=average)
        for method in ("map", "tuned") for seed, average in enumerate(averages)
    ]
    write_report(Study(tmp_path, PAPER), Recorded([*results, replace(results[0], method="frugal")]))
    (axes,) = [axes for axes in kept[0].axes if axes.get_visible()]
    bars = {its.get_label(): its.lines[2] for its in axes.containers}
    assert bars["MAP propagation, tuned, frugal"] == (), "a single run has no interval"
    ends = np.concatenate([segment[:, 1] for its in bars.values() for bar in its for segment in bar.get_segments()])
    assert len(ends) == 4
    assert (ends.min() > 100, ends.max()) == (True, 500)
