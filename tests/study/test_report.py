"""The report page: what is found in folders, and what the page holds of it. How it looks is tested in a browser."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Grid
from teamnet.study.communication.session import run_grid
from teamnet.study.scaling.session import run_scaling
from teamnet.training.saving import Saving
from teamnet.training.session import train
from tests.commands import run_command
from tests.study.test_plan import USUAL
from tests.study.test_scaling import scaled_points


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained runs, a grid and a scaling experiment."""
    its = tmp_path_factory.mktemp("runs")
    for seed, method in enumerate(("map", "frugal")):
        spec = replace(preset("cartpole", method), hidden=(5, 4), env_steps=300, episodes=None, seed=seed)
        train(spec, LaunchSpec("local"), its / f"{method} <b>", saving=Saving(10**9))
    run_grid(
        "cartpole", Grid(("map", "tuned"), hidden=("5-4",)), LaunchSpec("local"), cross=False, seconds=0.01, repeats=1,
        out=its / "grid", trace=False, say=lambda message: None,
    )
    points = scaled_points()
    run_scaling(
        "cartpole", "batch", points, lambda: USUAL, seconds=0.01, repeats=1, measured=True, out=its / "scale",
        say=lambda message: None,
    )
    return its


def _figures(page: str) -> list[dict]:
    return [json.loads(its) for its in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)]


def _numbers(values: dict) -> np.ndarray:
    """An array as Plotly writes it."""
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])


def test_the_page_holds_what_the_folders_hold(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path):
    out, _ = run_command(capsys, "report", folder, "--out", tmp_path / "page.html")
    assert out.startswith("2 runs, 1 grids, 1 scalings; page: ")
    page = (tmp_path / "page.html").read_text()
    titles = re.findall(r"<section><h2>(.*?)</h2>", page)
    assert titles[:2] == ["Learning: cartpole", "Return against communication: cartpole"]
    learning, front, edges, times, grid, scaling, plan = _figures(page)
    for line, name in zip(learning["data"], ("frugal <b>", "map <b>"), strict=True):
        lines = [json.loads(its) for its in (folder / name / "metrics.jsonl").read_text().splitlines()]
        assert line["text"] == name
        np.testing.assert_array_equal(_numbers(line["x"]), [its["env_steps"] for its in lines])
        np.testing.assert_allclose(_numbers(line["y"])[-1], np.mean([its["return"] for its in lines][-100:]))
    summaries = [json.loads((folder / name / "summary.json").read_text()) for name in ("frugal <b>", "map <b>")]
    totals = [its["communication"]["total"] for its in summaries]
    assert [its["x"] for its in front["data"]] == [[its["bytes_per_step"]] for its in totals]
    assert {its["name"] for its in edges["data"]} >= {"activation", "error", "td_error"}
    assert len(times["data"][0]["x"]) == 6
    rows = [json.loads(line) for line in (folder / "grid/comm.jsonl").read_text().splitlines()]
    assert grid["data"][0]["x"] == [row["env_steps_per_second"] for row in rows][::-1]
    points = [json.loads(line) for line in (folder / "scale/scale.jsonl").read_text().splitlines()]
    speed = [its["measured"] / points[0]["measured"] for its in points]
    assert scaling["data"][0]["y"] == pytest.approx(speed)
    assert plan["data"][0]["x"] == [its["measured"] for its in points]
    assert plan["data"][0]["y"] == [its["predicted"] for its in points]
    for summary in summaries:
        assert summary["digest"][:8] in page


def test_the_page_needs_no_network_and_names_do_not_become_markup(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
):
    run_command(capsys, "report", folder, "--out", tmp_path / "page.html")
    own = re.sub(r"<script>.*?</script>", "", (tmp_path / "page.html").read_text(), flags=re.S)
    assert not re.search(r"""(src|href)=["'](?!data:)""", own)
    assert "map &lt;b&gt;" in own
    assert "<b>" not in re.sub(r"<script type.*?</script>", "", own, flags=re.S)


def test_a_damaged_run_is_named_and_the_others_are_shown(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
):
    good = folder / "map <b>"
    contents = {
        "cut": "{", "list": "[]", "poor": '{"mean_return": 1.0, "communication": {"total": {}}}', 
    }
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        for file in ("spec.json", "metrics.jsonl"):
            (tmp_path / name / file).write_bytes((good / file).read_bytes())
        (tmp_path / name / "summary.json").write_text(content)
    (tmp_path / "comm.jsonl").write_text("{}\n")
    out, err = run_command(capsys, "report", folder, tmp_path, "--out", tmp_path / "page.html")
    assert out.startswith("2 runs, 1 grids, 1 scalings")
    page = (tmp_path / "page.html").read_text()
    reasons = {"cut/summary.json": "JSONDecodeError", "poor/summary.json": "KeyError", "comm.jsonl": "KeyError"}
    for name, reason in reasons.items():
        assert f"{name}: {reason}" in err
        assert f"{name}: {reason}" in page
    assert "list/summary.json" in err


def test_lines_of_a_task_of_one_step_are_means_already(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
):
    its = tmp_path / "regression"
    its.mkdir()
    for file in ("summary.json", "spec.json"):
        (its / file).write_text((folder / "map <b>" / file).read_text().replace('"cartpole"', '"regression"'))
    lines = [{"env_steps": 12_800 * n, "episode": 12_800 * n, "return": n - 10.0, "length": 1} for n in range(1, 10)]
    (its / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run_command(capsys, "report", tmp_path, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    np.testing.assert_array_equal(_numbers(_figures(page)[0]["data"][0]["y"]), [n - 10.0 for n in range(1, 10)])
    assert "Reward, mean of 100 batches." in page


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "folder: expected a folder of runs; found"),
        ("", "folder: expected a summary.json, comm.jsonl or scale.jsonl"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, message: str):
    _, err = run_command(capsys, "report", tmp_path / name, "--out", tmp_path / "page.html", code=2)
    assert message in err
    assert not (tmp_path / "page.html").exists()


def test_without_plotly_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    _, err = run_command(capsys, "report", folder, "--out", tmp_path / "page.html", code=2)
    assert "report: expected Plotly; found it is not installed. Run: pip install 'teamnet[report]'" in err
