"""Arguments of any kind: each command ends with one of its exit codes and a message, and never with a traceback."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.cli.main import COMMANDS
from tests.conftest import GOLDEN
from tests.hostile.command_line import (
    EVAL,
    PLAN,
    RESUME,
    TRAIN,
    VALUES,
    Arguments,
    Shell,
    save_some_machine,
    some_flags,
)
from tests.hostile.law import cases
from tests.hostile.names import near


def test_train_refuses_or_trains(capsys: pytest.CaptureFixture[str], run: Path):
    shell = Shell(capsys)
    small = ("--hidden", "3", "2", "--settle-steps", "2")
    end = ("--env-steps", "3", "--backend", "local")
    tasks = st.sampled_from(["cartpole", "CartPole-v1", "multiplexer", "regression"])

    @cases(100)
    @given(st.integers(0, 4).flatmap(lambda kind: tasks if kind else near(["cartpole"])), some_flags(TRAIN))
    def check(task: str, flags: Arguments):
        code, out = shell("train", task, *small, *flags, *end)
        if code == 0 and "--help" not in out and "usage" not in out:
            assert "digest" in out

    check()
    assert min(shell.codes[0], shell.codes[2]) > 10, shell.codes


def test_resume_refuses_or_goes_on(capsys: pytest.CaptureFixture[str], run: Path):
    shell, copy = Shell(capsys), run.with_name("copy")

    @cases(60)
    @given(st.sampled_from(["copy", "copy", "copy", "", "x" * 300, "/dev/null", "é"]), some_flags(RESUME))
    def check(folder: str, flags: Arguments):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        code, out = shell("resume", *([folder] if folder else []), *flags, "--env-steps", "23", "--backend", "local")
        assert code or "digest" in out or "usage" in out

    check()
    assert min(shell.codes[0], shell.codes[2]) > 4, shell.codes


def test_eval_refuses_or_acts(capsys: pytest.CaptureFixture[str], run: Path):
    shell = Shell(capsys)

    @cases(60)
    @given(st.sampled_from(["run", "run", "run", "", "x" * 300, "/dev/null", "."]), some_flags(EVAL))
    def check(folder: str, flags: Arguments):
        code, out = shell("eval", *([folder] if folder else []), *flags, "--episodes", "1")
        assert code or "mean" in out or "usage" in out

    check()
    assert min(shell.codes[0], shell.codes[2]) > 4, shell.codes


def test_verify_refuses_or_compares(capsys: pytest.CaptureFixture[str], run: Path):
    shell = Shell(capsys)
    files = st.sampled_from([str(GOLDEN[2]), str(GOLDEN[2]), "", "x" * 300, "/dev/null", "run", __file__])

    @cases(60)
    @given(files, some_flags({"grain": "block:2", "address": "a", "transport": "ray"}))
    def check(file: str, flags: Arguments):
        code, out = shell("verify", *([file] if file else []), *flags, "--backend", "local")
        assert code or "trace_w" in out or "usage" in out

    check()
    assert min(shell.codes[0], shell.codes[2]) > 3, shell.codes


def test_plan_refuses_or_predicts(capsys: pytest.CaptureFixture[str], run: Path):
    shell = Shell(capsys)
    save_some_machine(Path("machine.json"))

    @cases(20)
    @given(some_flags(PLAN))
    def check(flags: Arguments):
        code, out = shell("plan", "cartpole", "--hidden", "3", *flags, "--machine", "machine.json")
        assert code or "env_steps_per_second" in out or "usage" in out

    check()
    assert min(shell.codes[0], shell.codes[2]) > 3, shell.codes


def test_commands_that_there_are_not_and_machines_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], run: Path
):
    shell = Shell(capsys)

    @cases(150)
    @given(near(tuple(COMMANDS)) | VALUES)
    def check(command: str):
        if command not in COMMANDS and command not in ("-h", "--help"):
            assert shell(command)[0] == 2

    check()
    assert shell.codes[2] > 100
    for text in ("", "[]", "{}", "null", json.dumps({"cpus": None})):
        Path("machine.json").write_text(text)
        assert shell("plan", "cartpole", "--machine", "machine.json")[0] == 2
    assert os.getcwd() == str(run.parent)
