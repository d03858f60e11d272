"""The study of ways to talk less: what each way is, and what the report holds of its runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from teamnet.spec.check import check_run
from teamnet.spec.presets import preset
from teamnet.spec.run import RunSpec
from teamnet.study.ablation.methods import ABLATION, LENGTHS, VARIANTS
from teamnet.study.experiment.recorded import Recorded, read_recorded
from teamnet.study.experiment.report import write_report
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.traffic import ledger_of
from tests.commands import run_command
from tests.study.studies import made_up_run, table_row


def _spec(task: str, way: str) -> RunSpec:
    spec = VARIANTS[way].spec(task, 3)
    assert isinstance(spec, RunSpec)
    return spec


@pytest.mark.parametrize("task", LENGTHS)
def test_each_way_is_a_run_that_is_accepted_and_says_no_more_than_the_paper(task: str):
    paper = ledger_of(preset(task))
    for name in VARIANTS:
        spec = _spec(task, name)
        check_run(spec)
        assert spec.seed == 3
        ledger = ledger_of(spec)
        if name not in ("map", "settled"):  # what is settled cannot be foretold
            assert ledger.total.bytes < paper.total.bytes
            assert (ledger.exchanges or 0) < (paper.exchanges or 0)
    assert _spec(task, "frugal") == RunSpec(**vars(preset(task, "frugal")) | {"seed": 3})


def test_the_ways_differ_from_frugal_in_what_they_are_named_after():
    frugal = ledger_of(_spec("cartpole", "frugal"))
    sizes = {name: ledger_of(_spec("cartpole", name)).total.bytes for name in ("float32", "bfloat16", "int8")}
    assert frugal.total.bytes > sizes["float32"] > sizes["bfloat16"] > sizes["int8"]
    assert ledger_of(_spec("cartpole", "int8-feedback")).total.bytes == sizes["int8"]
    assert ledger_of(_spec("cartpole", "random")).total == frugal.total
    shipped = ledger_of(_spec("cartpole", "backprojected"))
    assert shipped.total.messages == frugal.total.messages
    assert shipped.total.bytes - frugal.total.bytes == 8 * 2 * ((64 - 32) + (32 - 2) + (64 - 32) + (32 - 1))
    assert (shipped.exchanges or 0) == (frugal.exchanges or 0) + 1, "errors have to wait for what is learned"
    assert ledger_of(_spec("cartpole", "every-5")).total.messages < ledger_of(_spec("cartpole", "map")).total.messages


def test_the_report_sets_what_is_learned_beside_what_is_said(tmp_path: Path):
    study = Study(tmp_path, ABLATION, {"cartpole": 3, "multiplexer": 25_600})
    for seed in (0, 1):
        made_up_run(study, "cartpole", "map", seed, [100.0, 200.0 + seed, 300.0])
        made_up_run(study, "cartpole", "int8", seed, [10.0, 20.0 + seed, 30.0])
        made_up_run(study, "multiplexer", "map", seed, [0.5, 0.7])
    path, results = write_report(study, Recorded())
    report = path.read_text()
    assert len(results) == 6
    row = table_row(report, "Compared with the published schedule", "CartPole-v1, `int8`")
    assert row[1:4] == ["2", "20.17 (0.24)", "200.17 (0.24)"]
    assert row[-1] == "lower"
    said = ledger_of(_spec("cartpole", "int8"))
    rows = [line for line in report.splitlines() if line.startswith("| `int8` |")]
    assert any(f"{said.total.bytes:,} (" in line and f"| {said.exchanges:,} (" in line for line in rows)
    for name in ("front", "cartpole", "multiplexer"):
        assert f"(figures/{name}.png)" in report
        assert (tmp_path / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("shared_ray")
def test_the_command_runs_what_is_asked_for_and_does_it_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(LENGTHS, "cartpole", 2)
    common = ("ablation", "--tasks", "cartpole", "--methods", "map", "frugal", "--seeds", "1", "--out", tmp_path)
    out, _ = run_command(capsys, *common)
    assert out.startswith("2 runs done, 2 finished in all")
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [(its["method"], its["episodes"]) for its in lines] == [("map", 2), ("frugal", 2)]
    out, _ = run_command(capsys, *common, "--docs", tmp_path / "docs")
    assert out.startswith("0 runs done, 2 finished in all")
    assert (tmp_path / "docs/results.md").read_text() == (tmp_path / "results.md").read_text()


def test_an_unknown_way_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    _, err = run_command(capsys, "ablation", "--methods", "inte8", "--out", tmp_path, code=2)
    assert "methods: expected one of map, every-5" in err
    assert "Did you mean 'int8'?" in err


def test_what_settled_units_said_is_measured(tmp_path: Path):
    study = Study(tmp_path, ABLATION, {"cartpole": 3})
    for seed, share in ((0, 0.25), (1, 0.75)):
        said = {
            kind: {"messages_per_step": share * its.messages, "bytes_per_step": share * its.bytes}
            for kind, its in ledger_of(_spec("cartpole", "settled")).edges.items()
        }
        made_up_run(study, "cartpole", "map", seed, [10.0, 20.0, 30.0])
        made_up_run(study, "cartpole", "settled", seed, [10.0, 20.0, 30.0], communication={"edges": said})
    path, _ = write_report(study, Recorded())
    (tmp_path / "again").mkdir()
    again = Study(tmp_path / "again", ABLATION, {"cartpole": 3})
    for text in (path.read_text(), write_report(again, read_recorded(again, tmp_path))[0].read_text()):
        rows = [line for line in text.splitlines() if line.startswith("| `settled` | 45 (100.0 %)")]
        assert len(rows) == 1
        assert "90 (50.0 %)" in rows[0]
        assert "22,217 (50.8 %)" in rows[0], "with a bit for each number that says whether it is there"
