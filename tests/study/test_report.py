"""The report page: what is found in folders, and what the page holds of it. How it looks is tested in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Grid
from teamnet.study.communication.session import run_grid
from teamnet.study.experiment.results import Curve
from teamnet.study.kept_run import content_of_run, keep_run
from teamnet.study.rates import Precision
from teamnet.study.report.charts.learning import mean_curve
from teamnet.study.report.collect import collect
from teamnet.study.report.found import FoundRun
from teamnet.study.report.sections import by_task
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
        "cartpole", Grid(("map", "tuned"), hidden=("5-4",)), LaunchSpec("local"), Precision(0.01, 1), cross=False,
        out=its / "grid", trace=False, say=lambda message: None,
    )
    points = scaled_points()
    run_scaling(
        "cartpole", "batch", points, lambda: USUAL, Precision(0.01, 1), measured=True, out=its / "scale",
        say=lambda message: None,
    )
    return its


def _charts(page: str) -> dict[str, list[dict]]:
    """The specs of the charts of each section, by its title."""
    sections = re.findall(r"<section><h2>(.*?)</h2>(.*?)</section>", page, re.S)
    return {
        title: [json.loads(spec) for spec in re.findall(r'<script type="application/json"[^>]*>(.*?)</s', text, re.S)]
        for title, text in sections
    }


def _values(chart: dict) -> list[dict]:
    return chart["data"]["values"]


ROUNDED = 1e-4
"""The relative error of numbers with five digits."""


def test_the_page_holds_what_the_folders_hold(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path):
    out, _ = run_command(capsys, "report", folder, "--out", tmp_path / "page.html")
    assert out.startswith("2 runs, 1 grids, 1 scalings, 0 not finished, 0 unreadable; page: ")
    page = (tmp_path / "page.html").read_text()
    charts = _charts(page)
    assert list(charts)[:2] == ["Learning: cartpole", "Return against communication: cartpole"]
    names = "frugal <b>", "map <b>"
    summaries = {name: json.loads((folder / name / "summary.json").read_text()) for name in names}
    (learning,) = charts["Learning: cartpole"]
    for name in names:
        lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        points = [row for row in _values(learning) if row["run"] == name]
        assert [row["steps"] for row in points] == [line["env_steps"] for line in lines]
        assert points[-1]["value"] == pytest.approx(np.mean([line["return"] for line in lines][-100:]), rel=ROUNDED)
    by_bytes, by_exchanges = charts["Return against communication: cartpole"]
    ledgers = [summary["communication"] for summary in summaries.values()]
    sizes = [ledger["total"]["bytes_per_step"] for ledger in ledgers]
    assert [row["amount"] for row in _values(by_bytes)] == pytest.approx(sizes, rel=ROUNDED)
    assert [row["amount"] for row in _values(by_exchanges)] == [ledger["exchanges_per_step"] for ledger in ledgers]
    (edges,) = charts["Bytes of a step: cartpole"]
    assert sum(row["value"] for row in _values(edges)) == pytest.approx(sum(sizes), rel=ROUNDED)
    networks = charts["Networks"]
    assert len(networks) == 2
    for chart, ledger in zip(networks, ledgers, strict=True):
        assert sum(row["bytes"] for row in _values(chart)) == pytest.approx(ledger["total"]["bytes_per_step"], rel=1e-3)
        units = chart["layer"][2]["data"]["values"]
        assert len(units) == 6
    rows = [json.loads(line) for line in (folder / "grid/comm.jsonl").read_text().splitlines()]
    (rates, _), = (charts[title] for title in charts if title.startswith("Communication grid"))
    assert [row["value"] for row in _values(rates)] == pytest.approx(
        [row["env_steps_per_second"] for row in rows], rel=ROUNDED
    )
    points = [json.loads(line) for line in (folder / "scale/scale.jsonl").read_text().splitlines()]
    (speed, _), = (charts[title] for title in charts if title.startswith("Scaling"))
    gains = [row["gain"] for row in _values(speed) if row["kind"] == "measured"]
    assert gains == pytest.approx([row["measured"] / points[0]["measured"] for row in points], rel=ROUNDED)
    (plan,) = charts["Plan against measurement"]
    for kind in ("measured", "predicted"):
        assert [row[kind] for row in _values(plan)] == pytest.approx([row[kind] for row in points], rel=ROUNDED)
    for summary in summaries.values():
        assert summary["digest"][:8] in page
    without_data = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)
    assert len(without_data) < 1_500_000


def test_runs_of_other_values_are_no_seeds_of_the_same_method(folder: Path, tmp_path: Path):
    found = collect([folder])
    (run,) = [run for run in found.runs if run.label == "map"]
    others = [
        replace(run, spec={**run.spec, **change}, name=str(number))
        for number, change in enumerate(({"seed": 9}, {"discount": 0.5}, {"discount": 0.5, "seed": 9}))
    ]
    groups = by_task([run, *others])["cartpole"]
    discount = run.spec["discount"]
    assert {name: len(runs) for name, runs in groups.items()} == {
        f"map: discount {discount}": 2, "map: discount 0.5": 2
    }
    assert list(by_task([run, others[0]])["cartpole"]) == ["map"]
    many = dict.fromkeys(("discount", "num_envs", "step_size", "clip_reward"), 7)
    groups = by_task([run, replace(run, spec={**run.spec, **many}), replace(run, spec={**run.spec, **many, "lam": 1})])
    assert [len(runs) for runs in groups["cartpole"].values()] == [1, 1, 1]


def test_what_is_found_twice_counts_once(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path):
    copy = _copy(folder / "map <b>", tmp_path / "copy", *_FILES)
    (tmp_path / "link").symlink_to(folder)
    page = tmp_path / "page.html"
    out, err = run_command(capsys, "report", folder, folder, tmp_path / "link", copy, "--out", page)
    assert out.startswith("2 runs, 1 grids, 1 scalings, 0 not finished, 0 unreadable; page: ")
    assert f"counted once: {copy} is {folder / 'map <b>'}" in err
    assert str(copy) in page.read_text()
    (tmp_path / "two").mkdir()
    first, second = (_copy(folder / "map <b>", tmp_path / "two" / name, *_FILES) for name in "ab")
    _, err = run_command(capsys, "compare", tmp_path / "two", folder / "map <b>")
    assert f"counted once: {second} is {first}" in err


def test_runs_and_traces_of_folders_of_one_name_have_names_of_their_own(folder: Path, tmp_path: Path):
    for side, run in (("A", "map <b>"), ("B", "frugal <b>")):
        (tmp_path / side).mkdir()
        _copy(folder / run, tmp_path / side / "x", *_FILES)
        (tmp_path / side / "x/trace.json").write_text('{"traceEvents": []}')
    found = collect([tmp_path / "A/x", tmp_path / "B/x"])
    assert [run.name for run in found.runs] == ["A/x", "B/x"]
    assert list(found.traces) == ["A/x/trace.json", "B/x/trace.json"]


def test_values_that_differ_beyond_what_is_shown_of_them_are_groups_of_their_own(folder: Path):
    run = collect([folder]).runs[0]
    others = [replace(run, spec={**run.spec, "hidden": "x" * 1000 + end}) for end in "ab"]
    assert [len(runs) for runs in by_task(others)["cartpole"].values()] == [1, 1]


def test_a_mean_and_its_band_by_hand(generator: np.random.Generator):
    positions, values = np.arange(1.0, 11.0), generator.normal(size=(3, 10))
    runs = [
        FoundRun(f"seed-{n}", "map", {}, {}, row, Curve(positions[: 10 - n], row[: 10 - n]))
        for n, row in enumerate(values)
    ]
    found = list(mean_curve("map", runs))
    assert (found[0]["steps"], found[-1]["steps"]) == (1, 8), "to the end of the shortest run"
    assert found[-1]["mean"] == pytest.approx(values[:, 7].mean())
    for row in found:
        assert row["low"] <= row["mean"] <= row["high"]
    assert found[0]["low"] >= values[:, 0].min()


def test_a_trace_is_drawn_as_a_timeline(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    events = [
        {"name": "thread_name", "ph": "M", "pid": 0, "tid": 1, "args": {"name": "actor layer 1 neurons 0-4"}},
        {"name": "thread_sort_index", "ph": "M", "pid": 0, "tid": 1, "args": {"sort_index": 1}},
        {"name": "act", "cat": "compute", "ph": "X", "ts": 1.0, "dur": 2.5, "pid": 0, "tid": 1, "args": {"step": 0}},
        {"name": "act", "cat": "wait", "ph": "X", "ts": 9.0, "dur": 1.0, "pid": 0, "tid": 1, "args": {"step": 1}},
        {"name": "act", "cat": "compute", "ph": "X", "ts": 10.0, "dur": 2.5, "pid": 0, "tid": 1, "args": {"step": 1}},
        {"name": "activation", "cat": "message", "ph": "s", "ts": 3.0, "pid": 0, "tid": 1, "id": 1},
    ]
    (tmp_path / "trace-1.json").write_text(json.dumps({"traceEvents": events}))
    (tmp_path / "trace-2.json").write_text("{}")
    out, err = run_command(capsys, "report", tmp_path, "--out", tmp_path / "page.html")
    assert "1 unreadable" in out
    assert "trace-2.json" in err
    (chart,) = _charts((tmp_path / "page.html").read_text())["Timelines"]
    wait, bar = _values(chart)
    assert (wait["kind"], wait["begin"]) == ("wait", 0.0), "of the last step, since its first unit began"
    assert (bar["unit"], bar["begin"], bar["end"]) == ("actor layer 1 neurons 0-4 (node 0)", 1.0, 3.5)


def test_the_page_needs_no_network_and_names_do_not_become_markup(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
):
    run_command(capsys, "report", folder, "--out", tmp_path / "page.html")
    own = re.sub(r"<script>.*?</script>", "", (tmp_path / "page.html").read_text(), flags=re.S)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", own)
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
    for name in ("cut/summary.json", "list/summary.json", "poor/summary.json", "comm.jsonl"):
        assert str(tmp_path / name) in err
        assert str(tmp_path / name) in page
    assert "0 not finished, 4 unreadable" in out


def _copy(folder: Path, to: Path, *names: str) -> Path:
    to.mkdir(exist_ok=True)
    for name in names:
        (to / name).write_bytes((folder / name).read_bytes())
    return to


_FILES = ("spec.json", "metrics.jsonl", "summary.json")


def _windows(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def _cut(content: bytes) -> bytes:
    return content[:-10]


def _rounded(content: bytes) -> bytes:
    return content.replace(b".0", b"", 1)


@pytest.mark.parametrize("change", [_windows, _cut, _rounded])
def test_metrics_that_were_changed_are_not_shown(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, change: Callable[[bytes], bytes]
):
    run = _copy(folder / "map <b>", tmp_path / "run", *_FILES)
    (run / "metrics.jsonl").write_bytes(change((run / "metrics.jsonl").read_bytes()))
    out, err = run_command(capsys, "report", run, "--out", tmp_path / "page.html", code=1)
    assert out.startswith("0 runs, 0 grids, 0 scalings, 0 not finished, 1 unreadable; page: ")
    assert str(run / "metrics.jsonl") in err


@pytest.mark.parametrize("value", ["", float("nan")])
def test_a_return_that_is_no_finite_number_is_not_shown(
    value: object, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
):
    run = _copy(folder / "map <b>", tmp_path / "run", *_FILES)
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"mean_return": value}))
    out, _ = run_command(capsys, "report", run, "--out", tmp_path / "page.html", code=1)
    assert out.startswith("0 runs, 0 grids, 0 scalings, 0 not finished, 1 unreadable; page: ")


@pytest.mark.parametrize("others", [("summary.json",), ("spec.json",), ("metrics.jsonl",)])
def test_files_of_two_runs_are_no_run(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, others: tuple[str, ...]
):
    run = _copy(folder / "map <b>", tmp_path / "run", *_FILES)
    _copy(folder / "frugal <b>", run, *others)
    out, _ = run_command(capsys, "report", run, "--out", tmp_path / "page.html", code=1)
    assert out.startswith("0 runs, 0 grids, 0 scalings, 0 not finished, 1 unreadable; page: ")


def test_a_run_that_is_not_finished_is_listed(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path):
    run = _copy(folder / "map <b>", tmp_path / "run", "spec.json", "metrics.jsonl")
    out, err = run_command(capsys, "report", tmp_path, "--out", tmp_path / "page.html")
    assert out.startswith("0 runs, 0 grids, 0 scalings, 1 not finished, 0 unreadable; page: ")
    assert str(run) in err
    assert str(run) in (tmp_path / "page.html").read_text()


def test_a_page_is_replaced_and_nothing_else_is(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path):
    page = tmp_path / "new/page.html"
    run_command(capsys, "report", tmp_path / "nowhere", "--out", page, code=2)
    run_command(capsys, "report", folder, "--out", "", code=2)
    assert list(tmp_path.iterdir()) == []
    run_command(capsys, "report", folder, "--out", page)
    whole = page.read_bytes()
    run_command(capsys, "report", folder / "grid", "--out", page)
    assert page.read_bytes() != whole
    page.write_text("mine")
    run_command(capsys, "report", folder, "--out", page, code=2)
    assert page.read_text() == "mine"


def test_lines_of_a_task_of_one_step_are_means_already(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
):
    summary, about = (json.loads((folder / "map <b>" / name).read_text()) for name in ("summary.json", "spec.json"))
    lines = [{"env_steps": 12_800 * n, "episode": 12_800 * n, "return": n - 10.0, "length": 1} for n in range(1, 10)]
    regression = {"task": "regression"}
    keep_run(tmp_path / "regression", content_of_run(about["spec"] | regression, lines, summary | regression))
    run_command(capsys, "report", tmp_path, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    (learning,) = _charts(page)["Learning: regression"]
    assert [row["value"] for row in _values(learning)] == [n - 10.0 for n in range(1, 10)]
    assert "Reward, mean of 100 batches." in page


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "folder: expected a folder of runs; found"),
        ("", "folder: expected a spec.json, comm.jsonl or scale.jsonl"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, message: str):
    _, err = run_command(capsys, "report", tmp_path / name, "--out", tmp_path / "page.html", code=2)
    assert message in err
    assert not (tmp_path / "page.html").exists()


def test_without_the_scripts_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    _, err = run_command(capsys, "report", folder, "--out", tmp_path / "page.html", code=2)
    assert "report: expected vl-convert-python; found it is not installed" in err
