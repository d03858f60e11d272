"""No command deletes, truncates or replaces a file that it did not write, whatever lies in its folder."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet import TeamAgent
from teamnet.errors import TeamnetError
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.workflow import Choice, run_study
from teamnet.study.paper.methods import PAPER
from teamnet.study.plan.machine import load_machine
from teamnet.team.ray_tasks import Ended
from tests.commands import run_command
from tests.conftest import GOLDEN
from tests.hostile.command_line import save_some_machine
from tests.hostile.law import cases

_SMALL = ("--backend", "local", "--hidden", "3", "2", "--settle-steps", "2", "--env-steps", "20")
_FAST = ("--seconds", "1e-4", "--repeats", "1", "--backend", "local")
_RUN = ("spec.json", "metrics.jsonl", "summary.json", "error.txt")
_NAMES = (
    *_RUN, "checkpoint-best.pt", "checkpoint-config.json", "checkpoint-000000000100.json",
    "checkpoint-000000000020-0123456789ab.json", "checkpoint-000000000020-0123456789ab.safetensors", "checkpoint-500",
    "checkpoint-500/weights", "learning_curve.png", ".x.json.bak", ".writable", ".spec.json.1234",
    ".metrics.jsonl.1234.draft", ".summary.json.0123456789ab.12345678.draft", "tensorboard", "tensorboard/run-1",
    "tensorboard/events.out.tfevents.1.host", "videos", "videos/rl-video-episode-0.mp4", "comm.json", "comm.jsonl",
    "comm.md", "comm.png", "trace-1.json", "scale.json", "scale.jsonl", "scale.md", "scale.png", "sweep.json",
    "trials.jsonl", "sweep.png", "tune", "tune/x", "results.md", "results.jsonl", "goes.jsonl", "figures",
    "figures/cartpole.png", "figures/communication.png", "figures/front.png", "report.html", "machine.json", "runs",
    "cartpole",
    *(f"runs/cartpole/map/seed-0/{name}" for name in _RUN), *(f"cartpole/map/seed-0/{name}" for name in _RUN),
    *(f".teamnet-{kind}.json" for kind in ("comm", "scale", "sweep", "study", "report", "machine", "run")),
)
"""Names that teamnet writes or once deleted by a pattern, and those of the folders that they are in."""


class World:
    """What commands need beside their folder."""

    def __init__(self, folder: Path, shell: Callable[..., int]) -> None:
        self.shell = shell
        self.machine, self.runs = folder / "machine.json", folder / "runs"
        save_some_machine(self.machine)

    def paper(self, folder: Path, docs: Path | None) -> int:
        """A study of one short run."""
        study = Study(folder, PAPER, lengths={"cartpole": 2})
        try:
            run_study(study, Choice(("cartpole",), ("map",), 1), docs=docs)
        except TeamnetError:
            return 2
        return 0

    def save(self, folder: Path) -> int:
        """An agent's checkpoint."""
        try:
            with TeamAgent("cartpole", backend="local", hidden=(3, 2), settle_steps=2) as agent:
                agent.learn(env_steps=5)
                agent.save(folder)
        except TeamnetError:
            return 2
        return 0


def _overwrite(overwrite: bool) -> tuple[str, ...]:
    return ("--overwrite",) if overwrite else ()


_COMMANDS: dict[str, Callable[[World, Path, bool], int]] = {
    "train": lambda world, out, anew: world.shell(
        "train", "cartpole", *_SMALL, "--no-replay-check", "--out", out, *_overwrite(anew)
    ),
    "train again": lambda world, out, anew: world.shell(
        "train", "cartpole", *_SMALL, "--no-replay-check", "--out", out, "--resume-if-present"
    ),
    "resume": lambda world, out, anew: world.shell("resume", out, "--env-steps", 30, "--no-replay-check"),
    "eval": lambda world, out, anew: world.shell("eval", out, "--episodes", 1, *(("--render",) if anew else ())),
    "agent": lambda world, out, anew: world.save(out),
    "comm": lambda world, out, anew: world.shell(
        "comm", "cartpole", "--methods", "map", "--hidden", "3", "--trace", *_FAST, "--out", out, *_overwrite(anew)
    ),
    "scale": lambda world, out, anew: world.shell(
        "scale", "width", "--hidden", "3", "--values", 1, "--no-measure", *_FAST, "--machine", world.machine,
        "--out", out, *_overwrite(anew),
    ),
    "sweep": lambda world, out, anew: world.shell(
        "sweep", "cartpole", "--vary", "step_size=0.2..1", "hidden=3/2", "--runs", 2, "--episodes", 1, "--out", out,
        *_overwrite(anew),
    ),
    "plan": lambda world, out, anew: world.shell(
        "plan", "cartpole", "--machine", out / "machine.json", *(("--calibrate",) if anew else ())
    ),
    "report": lambda world, out, anew: world.shell("report", world.runs, "--out", out / "report.html"),
    "paper": lambda world, out, anew: world.paper(out, None),
    "paper docs": lambda world, out, anew: world.paper(world.runs / "study", out),
    "paper report": lambda world, out, anew: world.shell("paper", "--report-only", "--out", out),
    "ablation": lambda world, out, anew: world.shell("ablation", "--report-only", "--out", out),
    "baselines": lambda world, out, anew: world.shell(
        "baselines", "--algorithms", "map", "--episodes", 1, "--out", out, *_overwrite(anew)
    ),
    "bench": lambda world, out, anew: world.shell("bench", "--only", "ledger", "--repeats", 1, "--steps", 20),
    "verify": lambda world, out, anew: world.shell("verify", GOLDEN[0]),
}
_FLAGS = {
    "train": ("train", "cartpole", *_SMALL), "comm": ("comm",), "scale": ("scale", "width"),
    "sweep": ("sweep", "cartpole", "--vary", "step_size=0.2..1"), "report": ("report", "."), "paper": ("paper",),
    "ablation": ("ablation",), "baselines": ("baselines",),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Commands in this process; what takes minutes or needs a cluster is done at once and here."""
    from teamnet.cli.main import main

    def shell(*arguments: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    def run_jobs(jobs: Any, **named: Any) -> Iterator[Ended]:
        for number, job in enumerate(jobs):
            yield Ended(number, job.function(*job.arguments))

    def run_trials(steps: Any, trials: Any, *, folder: Path, ended: Any, **named: Any) -> None:
        (folder / "trial").mkdir(parents=True)
        (folder / "trial" / "result.json").write_text("{}")
        for trial in trials:
            ended(list(steps(trial))[-1])

    folder = tmp_path_factory.mktemp("world")
    world = World(folder, shell)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("teamnet.team.ray_tasks.run_jobs", run_jobs)
        patch.setattr("teamnet.team.ray_sweep.run_trials", run_trials)
        patch.setattr("teamnet.study.plan.calibrate.calibrate", lambda *given: load_machine(world.machine))
        patch.setattr("teamnet.study.plan.calibrate.with_needed", lambda *given: load_machine(world.machine))
        patch.delenv("RAY_ADDRESS", raising=False)
        assert _COMMANDS["train"](world, world.runs / "trained", False) == 0
        assert world.paper(world.runs / "study", None) == 0
        yield world


@pytest.fixture(scope="module")
def results(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder in which each command has been once, or in which there is what it works on."""
    made = {}
    for name, command in _COMMANDS.items():
        made[name] = tmp_path_factory.mktemp("results") / "out"
        if name in ("resume", "eval", "agent", "train again"):
            assert _COMMANDS["train"](world, made[name], False) == 0
        assert command(world, made[name], False) == 0, name
        made[name].mkdir(exist_ok=True)
    return made


@dataclass(frozen=True)
class Thing:
    """Something that a user has put somewhere: a file, a folder with a file, or a link to a file or to nowhere."""

    kind: str
    content: bytes


_CONTENTS = st.binary(max_size=30) | st.sampled_from([b"", b"{}", b"[]", b"{}\n{}\n", b"\x89PNG\r\n\x1a\n", b"{"])
_THINGS = st.builds(Thing, st.sampled_from(["file", "file", "file", "file", "folder", "link", "nowhere"]), _CONTENTS)
_RANDOM = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
_IDENTITY = re.compile("[0-9a-f]{12}")


def _trees(own: Path) -> st.SearchStrategy[dict[str, Thing]]:
    """Things under names of any kind, many of them those that a command has written to a folder.

    Names that carry a run's identity are left out: they prove that the run wrote the file.
    """
    written = [str(path.relative_to(own)) for path in own.rglob("*") if path.is_file()]
    known = sorted(name for name in written if not _IDENTITY.search(name)) or list(_NAMES)
    names = st.sampled_from(known) | st.sampled_from(known) | st.sampled_from(_NAMES) | _RANDOM
    return st.dictionaries(names, _THINGS, min_size=1, max_size=3)


def _put(folder: Path, tree: dict[str, Thing], outside: Path, mark: bytes) -> set[Path]:
    """Put things into a folder, in place of what is there; returns where they are."""
    put: set[Path] = set()
    for number, (name, thing) in enumerate(tree.items()):
        path, target = folder / name, outside / str(number)
        if any(parent.is_file() or parent.is_symlink() for parent in path.parents) or path in put or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if thing.kind == "file":
            path.write_bytes(mark + thing.content)
        elif thing.kind == "folder":
            path.mkdir()
            (path / "inside").write_bytes(thing.content)
            put.add(path / "inside")
        else:
            if thing.kind == "link":
                target.write_bytes(thing.content)
                put.add(target)
            path.symlink_to(target)
        put.add(path)
    return put


def _seen(path: Path) -> object:
    if path.is_symlink():
        return "link", os.readlink(path)
    return "folder" if path.is_dir() else path.read_bytes() if path.exists() else None


def _all(folder: Path) -> dict[Path, object]:
    return {path: _seen(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", _COMMANDS)
def test_whatever_lies_in_the_folder_of_a_command_stays(
    name: str, world: World, results: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    codes: Counter[int] = Counter()
    number = 0

    @cases(20)
    @given(_trees(results[name]), st.booleans(), st.sampled_from([True, True, False]))
    def check(tree: dict[str, Thing], used: bool, overwrite: bool):
        nonlocal number
        number += 1
        case = tmp_path / str(number)
        folder, outside = case / "out", case / "outside"
        outside.mkdir(parents=True)
        if used:
            shutil.copytree(results[name], folder, symlinks=True)
        folder.mkdir(exist_ok=True)
        put = _put(folder, tree, outside, b"mine " if used else b"")
        monkeypatch.chdir(folder)
        before = _all(case)
        code = _COMMANDS[name](world, folder, overwrite)
        codes[code] += 1
        assert {path: _seen(path) for path in put} == {path: before[path] for path in put}
        if code == 2:
            assert _all(case) == before, "a refusal changes nothing"
        if not used:
            assert before.items() <= _all(case).items(), "all that was there is the user's"

    check()
    assert codes[0] + codes[1], codes


@pytest.mark.parametrize("name", _FLAGS)
def test_an_empty_name_of_a_folder_is_refused(
    name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    for file in _NAMES:
        if file.endswith((".json", ".jsonl", ".png", ".bak", ".pt")) and "/" not in file:
            (tmp_path / file).write_text("mine")
    before = _all(tmp_path)
    for words in (("--out", ""), ("--out=",)):
        _, err = run_command(capsys, *_FLAGS[name], *words, code=2)
        assert err.startswith("teamnet: out: ")
    assert _all(tmp_path) == before


@pytest.mark.parametrize("words", [
    ("train", "cartpol"), ("train", "cartpole", "--step-size", "5"), ("comm", "cartpol"), ("comm", "--repeats", "0"),
    ("scale", "widht"), ("scale", "width", "--hidden", "x"), ("sweep", "cartpol", "--vary", "step_size=0.1..1"),
    ("sweep", "cartpole", "--vary", "stepsize=0.1..1"), ("paper", "--tasks", "cartpol"), ("paper", "--seeds", "0"),
    ("ablation", "--methods", "mop"), ("baselines", "--algorithms", "mop"), ("baselines", "--episodes", "0"),
    ("report", "nowhere"),
])
def test_what_is_refused_makes_no_folder(
    words: tuple[str, ...], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    run_command(capsys, *words, "--out", tmp_path / "new" / "out", code=2)
    assert list(tmp_path.iterdir()) == []
