"""The grid of configurations, and what it reports."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from teamnet.errors import ResourceError
from teamnet.spec.distinct import distinct_presets
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Configuration, Grid
from teamnet.study.communication.measure import waiting_share
from teamnet.study.communication.table import draw_comm
from tests.commands import run_command
from tests.study.folders import contents

SMALL = ("--backend", "local", "--hidden", "6-4", "--seconds", "0.01", "--repeats", "1")


def test_a_cluster_of_the_environment_is_another_grid(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    launches: list[LaunchSpec] = []

    def refuse(task: str, grid: Grid, launch: LaunchSpec, *rest: object, **more: object) -> None:
        launches.append(launch)
        raise ResourceError("stop", expected="nothing", found="a grid", remedy="Stop here.")

    monkeypatch.setattr("teamnet.study.communication.session.run_grid", refuse)
    monkeypatch.setenv("RAY_ADDRESS", "host:6379")
    for backend in ("ray", "local"):
        run_command(capsys, "comm", "--backend", backend, "--out", tmp_path, code=2)
    assert [launch.address for launch in launches] == ["host:6379", ""]


@pytest.mark.parametrize(("waiting", "panels"), [(None, 2), (0.5, 3)])
def test_the_figure_shows_waiting_where_units_wait(
    waiting: float | None, panels: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("teamnet.study.communication.table.as_png", lambda figure: figure)
    ledger = {"total": {"bytes_per_step": 10.0}}
    row = {**asdict(Configuration()), "env_steps_per_second": 1.0, "ledger": ledger, "waiting": waiting}
    assert len(draw_comm([row], "title").axes) == panels


def test_a_grid_varies_one_factor_at_a_time_or_crosses_them():
    grid = Grid(("map", "tuned"), ("layer", "block:2", "neuron"), batches=(1, 4))
    star = grid.configurations(cross=False)
    assert [(each.methods, each.grains, each.batches) for each in star] == [
        ("map", "layer", 1), ("tuned", "layer", 1), ("map", "block:2", 1), ("map", "neuron", 1), ("map", "layer", 4),
    ]
    crossed = grid.configurations(cross=True)
    assert len(crossed) == len(set(crossed)) == 2 * 3 * 2


def test_the_report_says_what_was_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    arguments = (*SMALL, "--methods", "map", "frugal", "--batches", "1", "3", "--trace", "--out", tmp_path)
    out, err = run_command(capsys, "comm", "cartpole", *arguments)
    rows = [json.loads(line) for line in (tmp_path / "comm.jsonl").read_text().splitlines()]
    assert [(row["methods"], row["batches"]) for row in rows] == [("map", 1), ("frugal", 1), ("map", 3)]
    assert out.startswith((tmp_path / "comm.md").read_text().split("\n\n")[1].rstrip())
    first, second = ([line for line in part.splitlines() if line.startswith("|")] for part in out.split("\n\n")[:2])
    table, times = (
        [[cell.strip() for cell in line.strip("|").split("|")] for line in part] for part in (first, second)
    )
    assert [line[0] for line in table[2:]] == ["map, batch x1", "frugal, batch x1", "map, batch x3"]
    for line, row, exchanges, messages in zip(table[2:], rows, (45, 10, 45), (180, 28, 180), strict=True):
        assert line[3:5] == [str(exchanges), str(messages)]
        assert line[2] == f"{row['env_steps_per_second']:,.0f}"
        assert row["ledger"]["steps"] >= 2, "a warm-up and a timing"
    assert int(table[4][5].replace(",", "")) == 3 * int(table[2][5].replace(",", ""))
    for line, row in zip(times[2:], rows, strict=True):
        assert line[0] == table[2 + rows.index(row)][0]
        assert sum(loss["share"] for loss in row["losses"]["critical_path"]) == pytest.approx(1.0)
        assert line[1] == f"{1e6 * row['ledger']['step_times']['median']:,.0f}"
    assert (tmp_path / "comm.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.glob("trace-*.json"))) == 3
    assert "3 of 3: map, batch x3" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "map", "tund"), "methods: expected one of map, .*Did you mean 'tuned'?"),
        (("--grains", "block:0"), "grain: expected "),
        (("--placements", "nowhere"), "placement: expected "),
        (("--hidden", "6x4"), "hidden: expected whole numbers from 1, in digits; found '6x4'"),
        (("--transports", "pigeon"), "transport: expected one of "),
        (("--seconds", "0"), "seconds: expected a number above 0; found 0.0"),
        (("--repeats", "0"), "repeats: expected a whole number from 1 to"),
        (("--batches",), "batches: expected 1 value or more; found none"),
        (("--out", "/proc/nowhere"), "out: expected a folder that can be "),
        (("--out", ""), "out: expected a name"),
    ],
)
def test_refusals_come_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], message: str
):
    _, err = run_command(capsys, "comm", *SMALL, "--out", tmp_path, *arguments, code=2)
    for part in message.split(".*"):
        assert part in err.splitlines()[-1]
    assert not (tmp_path / "comm.jsonl").exists()


def test_what_was_measured_before_an_interrupt_is_kept_and_the_same_command_does_the_rest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from teamnet.study.communication import session

    measure = session.measure

    def failing(task: str, configuration: Configuration, *rest: object, **named: object) -> dict:
        if configuration.methods == "tuned":
            raise KeyboardInterrupt
        return measure(task, configuration, *rest, **named)

    monkeypatch.setattr(session, "measure", failing)
    common = ("comm", *SMALL, "--methods", "map", "tuned", "--out", tmp_path)
    run_command(capsys, *common, code=130)
    (first,) = (tmp_path / "comm.jsonl").read_text().splitlines()
    monkeypatch.setattr(session, "measure", measure)
    _, err = run_command(capsys, *common)
    assert err.splitlines() == ["2 of 2: tuned"], "the first is not measured again"
    lines = (tmp_path / "comm.jsonl").read_text().splitlines()
    assert (lines[0], json.loads(lines[1])["methods"]) == (first, "tuned")
    before = contents(tmp_path)
    run_command(capsys, *common)
    assert contents(tmp_path) == before


def test_a_configuration_that_cannot_run_is_left_out_and_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from teamnet.training import launch

    def full(teams: list, *rest: object) -> None:
        if teams[0][0].size == 7:
            raise ResourceError("memory", expected="20 GB", found="7 GB", remedy="Take fewer.")

    monkeypatch.setattr(launch, "check_memory", full)
    common = (*SMALL[:2], *SMALL[4:], "--methods", "map", "--out", tmp_path)
    out, err = run_command(capsys, "comm", *common, "--hidden", "6-4", "7-4", code=1)
    written = contents(tmp_path)
    assert "7-4 is left out: memory: expected 20 GB" in err
    assert "| map | 0 |" in out
    assert (tmp_path / "comm.png").exists()
    _, err = run_command(capsys, "comm", *common, "--hidden", "7-4", "--overwrite", code=2)
    assert "teamnet: memory: expected 20 GB; found 7 GB. Take fewer." in err
    assert contents(tmp_path) == written, "results stay until there are new ones"


def test_results_are_replaced_only_if_that_is_asked_for_and_nothing_else_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "trace-2.json").write_text("mine")
    common = ("comm", *SMALL, "--out", tmp_path)
    run_command(capsys, *common, "--methods", "map", "--trace")
    first = contents(tmp_path)
    for more in ((), ("--overwrite", "--methods", "mop"), ("--overwrite", "--methods", "map", "tuned", "--trace")):
        run_command(capsys, *common, *more, code=2)
        assert contents(tmp_path) == first
    run_command(capsys, *common, "--methods", "tuned", "--overwrite")
    second = contents(tmp_path)
    assert set(first) - set(second) == {"trace-1.json"}
    assert json.loads(second["comm.jsonl"])["methods"] == "tuned"
    assert second["trace-2.json"] == b"mine"
    (tmp_path / "comm.md").write_text("my notes")
    third = contents(tmp_path)
    run_command(capsys, *common, "--methods", "tuned", "--overwrite", code=2)
    assert contents(tmp_path) == third


def test_tasks_of_one_step_have_the_methods_that_fit_them():
    assert "map-async" in distinct_presets("acrobot")
    assert distinct_presets("multiplexer") == ("map", "tuned", "frugal", "backprop", "reinforce", "weight-max")


def test_the_share_of_waiting_is_of_all_units_time():
    units = [{"computed": 1.0, "published": 1.0, "waited": 2.0}, {"computed": 1.0, "published": 1.0, "waited": 6.0}]
    assert waiting_share(units) == pytest.approx(8 / 12)
    assert waiting_share([{"computed": 1.0, "published": None, "waited": None}]) is None
