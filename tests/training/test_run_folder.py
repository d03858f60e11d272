"""Folders of runs: nothing is lost, nothing of others is touched, and files are believed only together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from teamnet import TeamAgent
from teamnet.cli.main import main
from teamnet.errors import CheckpointError, ResourceError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.checkpoint import load_checkpoint, newest_checkpoint
from teamnet.training.run_files import read_run_files
from teamnet.training.run_folder import FolderLock
from teamnet.training.saving import IfPresent, Saving
from teamnet.training.session import resume, train

SPEC = changed(preset("cartpole"), hidden=(4,), env_steps=300, episodes=None, settle_steps=3, seed=5)
LOCAL = LaunchSpec("local")
OPTIONS = ["--backend", "local", "--hidden", "4", "--settle-steps", "3", "--seed", "5", "--episodes", "None"]
FOREIGN = {
    "checkpoint-best.pt": b"weights", "checkpoint-config.json": b'{"step": 9}', ".x.json.bak": b"mine",
    ".writable": b"mine", ".spec.json.1234": b"mine", "notes.txt": b"mine",
    "tensorboard/events.out.tfevents.1.host": b"e",
    "checkpoint-500/data": b"mine", "videos/rl-video-episode-0.mp4": b"mine", "checkpoint-000000000100.json": b"{}",
}


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def run(tmp_path: Path) -> Path:
    train(SPEC, LOCAL, tmp_path / "run", saving=Saving(100))
    return tmp_path / "run"


@pytest.mark.parametrize("arguments", [
    ("cartpole", "--env-steps", "300"), ("cartpole", "--step-size", "5"), ("cartpol",), ("cartpole", "--grain", "x"),
    ("cartpole", "--overwrite", "--step-size", "5"), ("cartpole", "--overwrite", "--resume-if-present"),
    ("cartpole", "--overwrite", "--env-steps", "0"), ("cartpole", "--resume-if-present", "--discount", ".5"),
    ("NoSuch-v0", "--overwrite"), ("cartpole", "--overwrite", "--keep", "0"),
    ("cartpole", "--overwrite", "--divergence-retries", "x"),
])
def test_what_is_refused_touches_nothing(arguments: tuple[str, ...], run: Path, capsys: pytest.CaptureFixture[str]):
    before = _tree(run)
    assert _command("train", *arguments, *OPTIONS, "--out", run) == 2
    assert _tree(run) == before
    assert _command("train", *arguments[:1], "--step-size", "5", *OPTIONS, "--out", run.parent / "new") == 2
    assert not (run.parent / "new").exists()
    capsys.readouterr()


def test_overwrite_replaces_the_run_and_nothing_else(run: Path):
    _put(run, FOREIGN)
    old = read_run_files(run).run
    train(replace(SPEC, env_steps=100), LOCAL, run, if_present=IfPresent.OVERWRITE)
    files = read_run_files(run)
    assert files.run != old
    assert files.summary
    assert files.summary["env_steps"] == 100
    after = _tree(run)
    assert {name: after[name] for name in FOREIGN} == FOREIGN
    assert not [name for name in after if old in name]


@pytest.mark.parametrize("name", ["spec.json", "summary.json", "metrics.jsonl", "learning_curve.png", "tensorboard"])
@pytest.mark.parametrize("content", [b"", b"{}", b'{"step": 1, "loss": 0.5}\n'])
@pytest.mark.parametrize("if_present", IfPresent)
def test_a_name_that_is_taken_by_another_program_is_refused(
    name: str, content: bytes, if_present: IfPresent, tmp_path: Path
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError) as refused:
        train(SPEC, LOCAL, tmp_path, if_present=if_present)
    assert refused.value.where == "out"
    assert name in refused.value.found
    assert _tree(tmp_path) == {name: content}


@pytest.mark.parametrize("name", ["spec.json", "summary.json", "metrics.jsonl", "learning_curve.png"])
def test_a_link_is_not_followed(name: str, tmp_path: Path):
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpecError):
        train(SPEC, LOCAL, tmp_path / "out", if_present=IfPresent.OVERWRITE)
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize("name", ["", "."])
def test_an_empty_name_is_not_the_current_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert _command("train", "cartpole", *OPTIONS, "--env-steps", "20", "--out", name) == 2
    assert not list(tmp_path.iterdir())


def test_one_command_starts_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    expected, _ = train(SPEC, LOCAL, None)
    again = ["train", "cartpole", *OPTIONS, "--out", tmp_path / "run", "--save-every", "50", "--resume-if-present"]
    for steps in (100, 200, 300, 300):
        assert _command(*again, "--env-steps", steps) == 0
        assert read_run_files(tmp_path / "run").about["spec"]["env_steps"] == steps
    summary = read_run_files(tmp_path / "run").summary
    assert summary
    assert summary["digest"] == expected["digest"]
    assert summary["communication"]["total"]["messages"] > 0, "not replaced where nothing was left to do"
    capsys.readouterr()


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path: Path):
    train(SPEC, LOCAL, tmp_path)
    for path in tmp_path.iterdir():
        if path.name.startswith(("checkpoint", "summary")):
            path.unlink()
    with pytest.raises(SpecError) as refused:
        train(replace(SPEC, discount=0.5), LOCAL, tmp_path, if_present=IfPresent.RESUME)
    assert refused.value.where == "discount"
    summary, _ = train(SPEC, LOCAL, tmp_path, if_present=IfPresent.RESUME)
    assert summary["digest"] == train(SPEC, LOCAL, None)[0]["digest"]


def test_a_run_that_was_halved_is_continued_by_its_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from teamnet.kernels.constants import BROKEN
    from teamnet.team.executor import failed
    from teamnet.training.run import Run

    advance, left = Run.advance, [150]

    def diverging(run: Run, *arguments):
        if left and run.task.env_steps >= left[0]:
            left.pop()
            mean = load_checkpoint(newest_checkpoint(tmp_path))[0]["actor.1.mean"]
            raise failed(BROKEN, run.units[0], run.step, mean)
        return advance(run, *arguments)

    spec = replace(SPEC, divergence_retries=2)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "advance", diverging)
        train(replace(spec, env_steps=200), LOCAL, tmp_path, saving=Saving(50))
    summary, _ = train(spec, LOCAL, tmp_path, if_present=IfPresent.RESUME)
    assert summary["env_steps"] == 300
    assert read_run_files(tmp_path).about["spec"]["divergence_retries"] == 1


def test_two_agents_in_one_folder_keep_their_own_checkpoints(tmp_path: Path):
    with TeamAgent("cartpole", backend="local", hidden=(4,), seed=1) as first:
        paths = [first.learn(env_steps=steps).save(tmp_path) for steps in (1027, 1011, 400)]
        assert [path.exists() for path in paths] == [False, True, True], "the two newest stay"
        with TeamAgent("cartpole", backend="local", hidden=(4,), seed=2) as second:
            own = second.learn(env_steps=512).save(tmp_path)
            (tmp_path / "checkpoint-config.json").write_text('{"step": 1}')
            assert own.exists()
            assert [path.exists() for path in paths] == [False, True, True]
            with TeamAgent.load(tmp_path) as loaded:
                assert loaded.summary()["digest"] == second.summary()["digest"]
        older = first.save(tmp_path)
        assert own.exists()
        assert newest_checkpoint(tmp_path) == older, "by when it was written, not by its step"


def test_what_an_agent_saves_into_the_folder_of_a_run_is_not_that_runs(run: Path):
    expected = train(replace(SPEC, env_steps=400), LOCAL, run.parent / "whole")[0]
    with TeamAgent.load(run) as agent:
        agent.learn(env_steps=7)
        agent.save(run)
    summary, _ = resume(run, env_steps=400)
    assert summary["digest"] == expected["digest"]
    assert (run / "metrics.jsonl").read_bytes() == (run.parent / "whole" / "metrics.jsonl").read_bytes()


def test_an_agent_is_loaded_or_new(tmp_path: Path):
    options = {"backend": "local", "hidden": (4,), "seed": 3}
    with TeamAgent("cartpole", **options) as whole:
        whole.learn(env_steps=200)
        for steps in (80, 120):
            with TeamAgent.load_or_new(tmp_path, "cartpole", **options) as agent:
                agent.learn(env_steps=steps)
                agent.save(tmp_path)
                digest = agent.summary()["digest"]
        assert digest == whole.summary()["digest"]
    with pytest.raises(CheckpointError):
        TeamAgent.load_or_new(tmp_path, "cartpole", **{**options, "discount": 0.5})


def test_a_killed_second_run_is_not_taken_for_the_first_ones_end(run: Path, capsys: pytest.CaptureFixture[str]):
    first = read_run_files(run).run
    code = (
        "import os, signal, sys; from teamnet.cli.main import main; from teamnet.training.run import Run\n"
        "advance = Run.advance\n"
        "def dying(run, *its):\n"
        "    if run.task.env_steps >= 150: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return advance(run, *its)\n"
        "Run.advance = dying; main(sys.argv[1:])"
    )
    options = ["--discount", ".9", "--out", str(run), "--overwrite", "--save-every", "50"]
    killed = subprocess.run([sys.executable, "-c", code, "train", "cartpole", *OPTIONS, *options], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    files = read_run_files(run)
    assert files.run != first
    assert files.summary is None
    assert files.about["spec"]["discount"] == 0.9
    shutil.copy(run / "spec.json", run.parent)
    train(SPEC, LOCAL, run, if_present=IfPresent.OVERWRITE)
    shutil.move(run.parent / "spec.json", run / "spec.json")
    with pytest.raises(CheckpointError) as mixed:
        read_run_files(run)
    assert mixed.value.where == str(run / "summary.json")
    assert _command("report", run, "--out", run.parent / "report.html") == 1
    capsys.readouterr()


def _windows(metrics: Path) -> None:
    metrics.write_bytes(metrics.read_bytes().replace(b"\n", b"\r\n"))


def _one_number(metrics: Path) -> None:
    metrics.write_bytes(metrics.read_bytes().replace(b'"return": 1', b'"return": 2', 1))


def _a_line_of_others(metrics: Path) -> None:
    metrics.write_bytes(metrics.read_bytes() + b'{"step": 1, "loss": 0.5}\n')


@pytest.mark.parametrize("change", [_windows, _one_number, _a_line_of_others])
def test_metrics_that_were_altered_are_refused_before_anything_is_touched(change: Callable[[Path], None], run: Path):
    before = _tree(run)
    change(run / "metrics.jsonl")
    assert _tree(run) != before
    before = _tree(run)
    with pytest.raises(CheckpointError) as refused:
        resume(run, env_steps=600)
    assert refused.value.where == str(run / "metrics.jsonl")
    assert _tree(run) == before
    (run / "metrics.jsonl").unlink()
    messages: list[str] = []
    summary, _ = resume(run, env_steps=600, say=messages.append)
    assert summary["env_steps"] == 600
    assert [line for line in messages if line.startswith("metrics.jsonl is missing")]
    resume(run, env_steps=700)
    assert read_run_files(run).summary


def test_a_folder_with_only_a_checkpoint_is_resumed(run: Path):
    expected = train(replace(SPEC, env_steps=500), LOCAL, None)[0]["digest"]
    alone = run.parent / "alone"
    alone.mkdir()
    for path in (newest := newest_checkpoint(run)), newest.with_suffix(".safetensors"):
        shutil.copy(path, alone)
    assert resume(alone, env_steps=500)[0]["digest"] == expected
    assert read_run_files(alone).run == read_run_files(run).run


def test_a_spec_raised_by_hand_is_named_with_the_option_that_does_it(run: Path):
    content = json.loads((run / "spec.json").read_text())
    content["spec"]["env_steps"] = 900
    (run / "spec.json").write_text(json.dumps(content))
    before = _tree(run)
    with pytest.raises(SpecError) as refused:
        resume(run)
    assert refused.value.where == str(run / "spec.json")
    assert "env_steps = 900" in refused.value.found
    assert "--env-steps 900" in refused.value.remedy
    assert _tree(run) == before


def test_a_new_end_is_kept_by_a_run_that_is_killed_before_it_saves(run: Path):
    content = json.loads((run / "spec.json").read_text())
    content["spec"]["env_steps"] = 350
    from teamnet.training.checkpoint import checksum

    del content["checksum"]
    (run / "spec.json").write_text(json.dumps(content | {"checksum": checksum(content)}, indent=4))
    assert resume(run)[0]["env_steps"] == 350


def test_a_folder_is_trained_in_by_one_process_at_a_time(run: Path, monkeypatch: pytest.MonkeyPatch):
    draft = next(run.glob("checkpoint-*.json"))
    draft = run / f".{draft.name}.{read_run_files(run).run}.0a1b2c3d.draft"
    draft.touch()
    before = _tree(run)
    with FolderLock() as lock:
        lock.take(run)
        for again in (
            lambda: resume(run, env_steps=400), lambda: train(SPEC, LOCAL, run, if_present=IfPresent.OVERWRITE),
            lambda: train(replace(SPEC, env_steps=400), LOCAL, run, if_present=IfPresent.RESUME),
        ):
            with pytest.raises(SpecError) as refused:
                again()
            assert refused.value.where == "out"
            assert _tree(run) == before
    assert resume(run, env_steps=400)[0]["env_steps"] == 400
    assert not draft.exists()


def test_two_processes_that_begin_in_one_new_folder_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from teamnet.training import session

    begun, make = [], session.make_folder

    def make_after_another(folder: Path) -> None:
        make(folder)
        if not begun:
            begun.append(FolderLock())
            begun[0].take(folder)

    monkeypatch.setattr(session, "make_folder", make_after_another)
    with pytest.raises(SpecError) as refused:
        train(SPEC, LOCAL, tmp_path / "run")
    assert refused.value.where == "out"
    assert not list((tmp_path / "run").iterdir())
    begun[0].__exit__()


def test_the_run_of_another_is_not_replaced_by_a_job_that_starts_again(run: Path):
    with TeamAgent("cartpole", backend="local", hidden=(4,), seed=9) as agent:
        agent.learn(env_steps=20)
        agent.save(run)
    own = read_run_files(run).run
    for path in run.glob(f"checkpoint-*-{own}.*"):
        path.unlink()
    before = _tree(run)
    with pytest.raises(SpecError):
        train(SPEC, LOCAL, run, if_present=IfPresent.RESUME)
    assert _tree(run) == before


@pytest.mark.parametrize("kept", ["summary.json", "learning_curve.png"])
def test_what_is_left_of_a_run_without_its_spec_is_refused(kept: str, run: Path):
    for path in run.iterdir():
        if path.is_file() and path.name != kept:
            path.unlink()
    before = _tree(run)
    with pytest.raises(SpecError):
        train(SPEC, LOCAL, run, if_present=IfPresent.RESUME)
    assert _tree(run) == before


def test_copies_that_a_user_made_stay(run: Path):
    own = read_run_files(run).run
    copies = {
        f"checkpoint-best-{own}.safetensors": b"w", f"checkpoint-notes-{own}.json": b"my notes",
        f"videos/{own}-notes.txt": b"n", f".notes.{own}.draft": b"d", f"tensorboard/events.notes.{own}.1": b"e",
    }
    _put(run, copies)
    train(SPEC, LOCAL, run, if_present=IfPresent.OVERWRITE)
    after = _tree(run)
    assert {name: after.get(name) for name in copies} == copies


def test_a_picture_says_nothing_but_an_identity(tmp_path: Path):
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    chunk = PngInfo()
    chunk.add_text("teamnet run", "*")
    Image.new("RGB", (1, 1)).save(tmp_path / "learning_curve.png", pnginfo=chunk)
    (tmp_path / "checkpoint-best-model.json").write_bytes(b"{}")
    before = _tree(tmp_path)
    with pytest.raises(SpecError):
        train(SPEC, LOCAL, tmp_path, if_present=IfPresent.OVERWRITE)
    assert _tree(tmp_path) == before


def test_metrics_of_another_run_are_not_cut(run: Path):
    with TeamAgent("cartpole", backend="local", hidden=(4,), seed=9) as agent:
        agent.learn(env_steps=20)
        agent.save(run)
    (run / "spec.json").unlink()
    before = _tree(run)
    with pytest.raises(CheckpointError):
        resume(run, env_steps=500)
    assert _tree(run) == before


def test_agents_of_one_checkpoint_do_not_remove_each_others(tmp_path: Path):
    with TeamAgent("cartpole", backend="local", hidden=(4,), seed=1) as first:
        first.learn(env_steps=50).save(tmp_path)
        with TeamAgent.load(tmp_path) as second:
            newest = first.learn(env_steps=100).save(tmp_path)
            for steps in (7, 9, 11):
                second.learn(env_steps=steps).save(tmp_path)
            assert newest.exists()
            assert len(list(tmp_path.glob("*.json"))) == 3, "the first one's newest, and the second one's newest two"


def test_a_summary_of_an_earlier_end_is_not_believed(run: Path, monkeypatch: pytest.MonkeyPatch):
    from teamnet.training.run import Run

    def failing(run: Run, *arguments: object) -> None:
        raise ResourceError("disk", expected="room", found="none", remedy="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "advance", failing)
        with pytest.raises(ResourceError):
            resume(run, env_steps=10_000)
    assert read_run_files(run).summary is None
    assert resume(run, env_steps=310)[0]["env_steps"] == 310


def test_a_run_that_was_halved_before_its_first_checkpoint_begins_again(run: Path):
    from teamnet.spec.run import slowed
    from teamnet.training.run_files import write_spec

    files = read_run_files(run)
    spec = replace(SPEC, divergence_retries=2)
    write_spec(run, files.run, slowed(spec), LOCAL)
    for path in run.iterdir():
        if path.name.startswith(("checkpoint", "summary")):
            path.unlink()
    assert train(spec, LOCAL, run, if_present=IfPresent.RESUME)[0]["env_steps"] == 300


def test_a_folder_without_leave_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    with pytest.raises(SpecError) as refused:
        train(SPEC, LOCAL, tmp_path / "run")
    assert refused.value.where == "out"
    assert not (tmp_path / "run").exists()
