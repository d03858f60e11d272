"""Checkpoints: any damage is found, the one before takes over, and what could not be written harms nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.errors import CheckpointError, ResourceError, SpecError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.evaluate import EvaluationSettings, evaluate
from teamnet.training.checkpoint import checkpoint_path, load_checkpoint, newest_checkpoint, save_checkpoint
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train

RUN = "0123456789ab"
ABOUT = {
    "spec": {"task": "cartpole", "seed": 3}, "launch": {}, "seconds": 0.25, "actions": None, "statistics": {},
    "task": {"env_steps": 1, "episodes": 0, "return_sum": 1.5},
    "interface": {"observation_size": 4, "action_size": 2, "action_family": "categorical", "single_step": True},
}
STATE = {"actor.1.incoming.value": np.arange(6.0).reshape(2, 3), "actor.1.noise": np.array([2**63], np.uint64)}
SPEC = replace(preset("cartpole"), hidden=(6,), env_steps=300, episodes=None)


def _same(path: Path) -> bool:
    """Whether a checkpoint says what was written; refusing it is as right."""
    try:
        state, about = load_checkpoint(path)
    except CheckpointError:
        return True
    expected = {**ABOUT, "format": 3, "run": RUN, "number": 1, "step": 7}
    return (
        {name: value for name, value in about.items() if name != "sha256"} == expected
        and state.keys() == STATE.keys()
        and all(np.array_equal(state[name], STATE[name]) and state[name].dtype == STATE[name].dtype for name in STATE)
    )


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_every_byte_flipped_and_every_truncation_is_refused_or_right(suffix: str, tmp_path: Path):
    path = save_checkpoint(checkpoint_path(tmp_path, RUN, 7), RUN, 7, STATE, ABOUT)
    file = path.with_suffix(suffix)
    content = file.read_bytes()
    refused = 0
    for place in range(len(content)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            file.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
            assert _same(path), f"byte {place} flipped by {flip:#x}"
        file.write_bytes(content[:place])
        assert _same(path), f"cut at {place}"
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
        refused += 1
    file.write_bytes(content)
    assert load_checkpoint(path)[1]["step"] == 7
    assert refused == len(content) > 200


def test_a_damaged_newest_one_falls_back_to_the_one_before_and_says_so(tmp_path: Path):
    said: list[str] = []
    whole = train(SPEC, LaunchSpec("local"), tmp_path / "whole")[0]
    train(replace(SPEC, env_steps=200), LaunchSpec("local"), tmp_path / "run", saving=Saving(90, keep=3))
    newest, *older = sorted((tmp_path / "run").glob("checkpoint-*.json"), reverse=True)
    assert len(older) == 2
    newest.with_suffix(".safetensors").write_bytes(b"")
    summary, _ = resume(tmp_path / "run", env_steps=300, say=said.append)
    assert summary["digest"] == whole["digest"]
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert [line for line in said if "0 other bytes" in line and newest.with_suffix(".safetensors").name in line]


def test_if_all_are_damaged_the_last_one_is_named(tmp_path: Path):
    path = save_checkpoint(checkpoint_path(tmp_path, RUN, 7), RUN, 7, STATE, ABOUT)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 1.0}))
    with pytest.raises(CheckpointError, match="expected a whole checkpoint; found other content than was written"):
        newest_checkpoint(tmp_path)


def test_what_cannot_be_written_is_said_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = save_checkpoint(checkpoint_path(tmp_path, RUN, 7), RUN, 7, STATE, ABOUT)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match="expected room for it; found .*No space left.*teamnet resume"):
        save_checkpoint(checkpoint_path(tmp_path, RUN, 8), RUN, 8, STATE, ABOUT)
    assert newest_checkpoint(tmp_path) == path
    assert _same(path)
    assert sorted(its.name for its in tmp_path.iterdir()) == [path.name, path.with_suffix(".safetensors").name]


@pytest.mark.parametrize(("saving", "message"), [({"every": 0}, "save_every"), ({"keep": 0}, "keep"), (
    {"recoveries": -1}, "recoveries: expected 0 or more; found -1"
)])
def test_saving_that_makes_no_sense_is_refused(saving: dict[str, int], message: str):
    with pytest.raises(SpecError, match=message):
        Saving(**saving)


def test_a_checkpoint_that_says_another_task_is_not_evaluated(tmp_path: Path):
    train(SPEC, LaunchSpec("local"), tmp_path)
    state, about = load_checkpoint(newest_checkpoint(tmp_path))
    about = {name: value for name, value in about.items() if name not in ("format", "run", "number", "sha256")}
    path = checkpoint_path(tmp_path, RUN, 10**6)
    save_checkpoint(path, RUN, 10**6, state, about | {"spec": about["spec"] | {"task": "acrobot"}})
    with pytest.raises(CheckpointError) as refused:
        evaluate(tmp_path, EvaluationSettings(1, greedy=True))
    assert refused.value.where == str(newest_checkpoint(tmp_path))
    assert "4" in refused.value.found


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_an_earlier_checkpoint_is_evaluated_by_its_path(suffix: str, tmp_path: Path):
    train(SPEC, LaunchSpec("local"), tmp_path, saving=Saving(every=100, keep=9))
    first = sorted(tmp_path.glob(f"checkpoint-*{suffix}"))[0]
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in tmp_path.glob(f"{first.stem}.*"):
        (alone / file.name).write_bytes(file.read_bytes())
    settings = EvaluationSettings(3)
    found = evaluate(first, settings)
    assert found.returns == evaluate(alone, settings).returns != evaluate(tmp_path, settings).returns


@pytest.mark.parametrize("rows", [1, 3])
def test_names_tell_the_environment_steps_and_no_two_states_share_one(rows: int, tmp_path: Path):
    run = Run(replace(SPEC, num_envs=rows, env_steps=300), LaunchSpec("local"))
    names = {}
    while run.task.env_steps < 250:
        run.advance(lambda done=run.step + 1: run.step >= done)
        path = run.save(tmp_path, keep=1000)
        assert path not in names
        names[path] = run.step
        env_steps = load_checkpoint(path)[1]["task"]["env_steps"]
        assert path.name.startswith(f"checkpoint-{env_steps:012d}-")
    begun = [path for path in names if "-begun-" in path.name]
    assert len(begun) == (run.task.episodes if rows == 1 else 0)
    run.close()
    again = Run(replace(SPEC, num_envs=rows, env_steps=300), LaunchSpec("local"))
    for path in begun[:1]:
        again.load(path)
        assert again.step == names[path]
    again.close()
