"""Arguments of any kind for commands that do many runs, and reports of files that are damaged anywhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.study.report.collect import collect
from teamnet.study.report.page import write_page
from tests.hostile.command_line import VALUES, Arguments, Shell, save_some_machine, some_flags
from tests.hostile.law import cases, obey
from tests.hostile.names import near
from tests.hostile.plain import damaged

_TASKS = ("cartpole", "multiplexer", "regression", "acrobot")
_LAUNCH = {"placements": "spread", "transports": "ray", "grains": "block:2", "link-latency": "0", "json": None}
_STUDY = {
    "tasks": "cartpole", "methods": "map", "seeds": "2", "first-seed": "3", "address": "a", "cpus": "1",
    "docs": "docs", "recorded": "study", "quick": None, "full": None,
}
_VARIED = (
    "step_size=0.1..1", "step_size*=log:1e-3..2", "hidden=64/32,3", "actor.variances[0]=0.1..1", "settle_steps=1..3",
    "function=relu,tanh", "actor.rates[0]+critic.rates[0]*=0.5,2", "seed=1,2",
)


@dataclass(frozen=True)
class _Command:
    """One command.

    Args:
        first: the words after its name, most of them right.
        flags: of it, with values that fit.
        usual: flags that others may replace.
        bounds: flags that nothing replaces, so that no case takes long.
        says: what it prints if all is well.
        number: cases.
    """

    first: st.SearchStrategy[Arguments]
    flags: dict[str, str | None]
    usual: tuple[str, ...]
    bounds: tuple[str, ...]
    says: tuple[str, ...]
    number: int


def _mostly(*right: str) -> st.SearchStrategy[Arguments]:
    rest = near(right) | VALUES
    return st.integers(0, 5).flatmap(lambda kind: st.sampled_from(right) if kind else rest).map(lambda its: [its])


_COMMANDS = {
    "comm": _Command(
        _mostly(*_TASKS), _LAUNCH | {"methods": "tuned", "batches": "2", "hidden": "3-2", "settle-steps": "1",
                                     "trace": None, "cross": None, "address": "a", "link-bandwidth": "0"},
        ("--methods", "map", "--hidden", "3"),
        ("--backend", "local", "--seconds", "1e-4", "--repeats", "1", "--out", "grid"), ("written to", "["), 60,
    ),
    "scale": _Command(
        _mostly("actors", "nodes", "width", "depth", "batch"),
        {"values": "2", "method": "tuned", "hidden": "3-2", "grain": "neuron", "transport": "ray",
         "placement": "by-team", "address": "a", "nodes": "2", "cpus": "1", "node-memory": "1000000000000",
         "shared-cpus": None, "reserved-cpus": "1", "link-latency": "0", "json": None, "seconds": "1"},
        ("--hidden", "3", "--values", "1"), ("--no-measure", "--machine", "machine.json", "--out", "points"),
        ("written to", "["), 60,
    ),
    "paper": _Command(st.just([]), _STUDY, (), ("--report-only", "--out", "study"), ("report:",), 15),
    "ablation": _Command(st.just([]), _STUDY, (), ("--report-only", "--out", "study"), ("report:",), 15),
    "baselines": _Command(
        st.just([]), {"tasks": "acrobot", "algorithms": "tuned", "first-seed": "1", "until": "9", "json": None,
                      "out": "race"},
        ("--algorithms", "map"), ("--episodes", "1", "--seeds", "1"), ("algorithm", "["), 30,
    ),
    "report": _Command(_mostly("run", "."), {"out": "page.html"}, (), (), ("page:",), 60),
    "bench": _Command(
        _mostly("ledger").map(lambda its: ["--only", *its]), {"json": None, "neuron": None, "steps": "1"}, (),
        ("--repeats", "1", "--steps", "20"), ("ledger",), 60,
    ),
}


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_study_refuses_or_answers(name: str, capsys: pytest.CaptureFixture[str], run: Path):
    shell, command = Shell(capsys), _COMMANDS[name]
    save_some_machine(Path("machine.json"))

    @cases(command.number)
    @given(command.first, some_flags(command.flags))
    def check(first: Arguments, flags: Arguments):
        for folder in ("grid", "points", "race"):  # else the second one to write there is refused
            shutil.rmtree(folder, ignore_errors=True)
        code, out = shell(name, *first, *command.usual, *flags, *command.bounds)
        assert code or "usage" in out or any(words in out for words in command.says)

    check()
    assert min(shell.codes[0], shell.codes[2]) > command.number // 15, shell.codes


def test_a_sweep_refuses_or_comes_to_where_its_cluster_is_asked_for(capsys: pytest.CaptureFixture[str], run: Path):
    shell = Shell(capsys)
    varied = st.lists(st.sampled_from(_VARIED) | near(_VARIED) | VALUES, min_size=1, max_size=2)
    flags = {"runs": "2", "scheduler": "asha", "seeds": "2", "episodes": "5", "seed": "3", "preset": "tuned",
             "cpus": "1", "json": None}
    reached = 0

    @cases(60)
    @given(_mostly("cartpole", "CartPole-v1", "acrobot"), varied, some_flags(flags))
    def check(task: Arguments, vary: list[str], words: Arguments):
        nonlocal reached
        shutil.rmtree("sweep", ignore_errors=True)
        varying = [word for text in vary for word in ("--vary", text)]
        shell("sweep", *task, *varying, *words, "--out", "sweep", "--address", "a")
        reached += Path("sweep").is_dir()

    check()
    assert reached > 5
    assert shell.codes[1] == 0


@pytest.fixture
def results(capsys: pytest.CaptureFixture[str], run: Path) -> Path:
    """A folder with a run, a grid and a scaling experiment."""
    save_some_machine(Path("machine.json"))
    shell = Shell(capsys)
    small = ("--seconds", "1e-4", "--repeats", "1", "--backend", "local")
    assert shell("comm", "--methods", "map", "tuned", "--hidden", "3", *small, "--out", "run/grid")[0] == 0
    scale = ("scale", "width", "--hidden", "3", "--values", "1", "2", "--machine", "machine.json", *small)
    assert shell(*scale, "--out", "run/points")[0] == 0
    return run


def test_a_report_shows_what_is_left_of_damaged_files(results: Path):
    page = results.with_name("page.html")
    names = ("summary.json", "spec.json", "metrics.jsonl", "grid/comm.jsonl", "points/scale.jsonl")
    whole = {name: (results / name).read_text() for name in names}
    ends = {"unreadable": 0, "read": 0}

    @cases(150)
    @given(st.data())
    def check(data: st.DataObject):
        name = data.draw(st.sampled_from(names))
        first, *rest = [whole[name]] if name.endswith(".json") else whole[name].splitlines()
        broken = json.dumps(data.draw(damaged(json.loads(first))))
        try:
            (results / name).write_text("\n".join([broken, *rest]))
            found = collect([results])
            _, error = obey(lambda: write_page(found, page))
            assert error is None
        finally:
            (results / name).write_text(whole[name])
        ends["unreadable" if found.unreadable else "read"] += 1

    check()
    assert min(ends.values()) > 10, ends
