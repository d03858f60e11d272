"""Environments are made for the run and for nothing else; checkpoints are tried on a copy in another process."""

from __future__ import annotations

import gc
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest

from teamnet import TeamAgent
from teamnet.errors import EnvironmentRefused
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.evaluate import EvaluationSettings, evaluate
from teamnet.training import replay_check
from teamnet.training.replay_check import ReplayCheck
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train

TASK = "teamnet/Users-v0"
LOCAL = LaunchSpec("local")


class Users(gymnasium.Env):
    """What simulators do: exists once, keeps a log, seeds the process's own generator, and talks to a server."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    made: ClassVar[list[Users]] = []
    log: Path | None = None
    behaviour = ""

    def __init__(self, **options: Any) -> None:
        if self.behaviour == "once" and Users.made:
            raise RuntimeError("the global client is connected already")
        Users.made.append(self)
        self._log = self.log.open("w") if self.log else None
        self._server, self._client = socket.socketpair()
        self._count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if self.behaviour == "seeds":
            random.seed(random.random())
        if self.behaviour == "slow in a copy" and os.getpid() != _HERE:
            time.sleep(100)
        if self.behaviour == "exit in a copy" and os.getpid() != _HERE:
            os._exit(3)
        self._count = 0
        return self._observe("reset"), {}

    def _observe(self, word: str) -> np.ndarray:
        if self._log:
            self._log.write(f"{word}\n")
            self._log.flush()
        if self.behaviour == "server":
            self._client.sendall(b"?")
            assert self._server.recv(1) == b"?"
        drawn = random.random() if self.behaviour == "seeds" else 0.0
        return np.array([self.np_random.uniform(), drawn])

    def step(self, action: Any) -> Any:
        self._count += 1
        return self._observe("step"), 1.0, self._count == 9, False, {}

    def close(self) -> None:
        Users.made.remove(self)
        self._server.close()
        self._client.close()
        if self._log:
            self._log.close()


_HERE = os.getpid()


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gymnasium.register(TASK, Users)
    yield
    gymnasium.registry.pop(TASK)
    assert not Users.made, "all are closed"


def _spec(**changes: Any) -> Any:
    return changed(preset(TASK), **{"hidden": (3,), "env_steps": 300, "episodes": None, "settle_steps": 2, **changes})


def test_an_agent_makes_one_environment_for_each_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    count: list[int] = []
    init = Users.__init__
    monkeypatch.setattr(Users, "__init__", lambda self, **options: (count.append(1), init(self, **options))[1])
    with TeamAgent(TASK, backend="local", hidden=(3,), num_envs=2) as agent:
        agent.learn(env_steps=50)
        agent.predict([0.0, 0.0])
        agent.save(tmp_path)
    assert len(count) == 2
    evaluate(tmp_path, EvaluationSettings(2))
    assert len(count) == 3
    train(_spec(), LOCAL, tmp_path / "run", saving=Saving(50))
    assert len(count) == 4


def test_an_environment_that_exists_once_in_a_process_is_trained_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Users, "behaviour", "once")
    messages: list[str] = []
    summary, _ = train(_spec(), LOCAL, tmp_path, saving=Saving(50), say=messages.append)
    assert summary["resumable"]
    assert not messages
    assert resume(tmp_path, env_steps=400)[0]["env_steps"] == 400


def test_a_log_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Users, "log", tmp_path / "log")
    summary, _ = train(_spec(), LOCAL, tmp_path / "run", saving=Saving(20))
    words = (tmp_path / "log").read_text().split()
    assert words.count("step") == 300
    assert words.count("reset") == 2 + summary["episodes"], "the seeding, and one for each episode"


@pytest.mark.parametrize("behaviour", ["seeds", "server", "once", ""])
def test_saving_changes_no_bit(behaviour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Users, "behaviour", behaviour)
    digests = set()
    for name, saving in (("none", None), ("a", Saving(100)), ("b", Saving(23)), ("c", Saving(23, replay_check=False))):
        random.seed(5)
        out = tmp_path / name if saving else None
        digests.add(train(_spec(), LOCAL, out, saving=saving)[0]["digest"])
    assert len(digests) == 1


def test_what_a_copy_cannot_do_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The copy's connections lead nowhere: the check then tells nothing, and says nothing wrong."""
    monkeypatch.setattr(Users, "behaviour", "server")
    messages: list[str] = []
    assert train(_spec(), LOCAL, tmp_path, saving=Saving(50), say=messages.append)[0]["resumable"]
    assert not messages


@pytest.mark.parametrize(("behaviour", "expected"), [
    ("", True), ("seeds", False), ("server", None), ("slow in a copy", None), ("exit in a copy", None),
])
def test_a_check_ends_and_leaves_no_process(behaviour: str, expected: bool | None, monkeypatch: pytest.MonkeyPatch):
    run = Run(_spec(), LOCAL)
    monkeypatch.setattr(Users, "behaviour", behaviour)
    run.advance(lambda: run.task.env_steps >= 4)
    check = ReplayCheck(run.task, run.task.state(), run.task.outcome.observation, seconds=2.0)
    process = check._process
    begun = time.monotonic()
    assert check.result(wait=True) is expected
    assert time.monotonic() - begun < 10.0
    assert check.ended
    assert not Path(f"/proc/{process}").exists()
    run.close()


def test_a_check_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse() -> int:
        raise AssertionError("no process is to be made")

    monkeypatch.setattr(replay_check.os, "fork", refuse)
    assert train(_spec(), LOCAL, tmp_path, saving=Saving(50, replay_check=False))[0]["resumable"]


def test_a_machine_without_room_for_a_process_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(replay_check.os, "fork", full)
    gc.collect()  # what other tests have left is not to be closed meanwhile
    before = len(os.listdir("/proc/self/fd"))
    assert train(_spec(), LOCAL, tmp_path, saving=Saving(50))[0]["resumable"]
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_copy_ends_though_nobody_looks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Users, "behaviour", "slow in a copy")
    run = Run(_spec(), LOCAL)
    run.advance(lambda: run.task.env_steps >= 4)
    check = ReplayCheck(run.task, run.task.state(), run.task.outcome.observation, seconds=0.3)
    stat = Path(f"/proc/{check._process}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.02)
    check.close()
    run.close()


def test_environments_of_a_refused_run_are_closed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Users, "behaviour", "once")
    with pytest.raises(EnvironmentRefused) as refused:
        Run(_spec(num_envs=2), LOCAL)
    assert "global client" in refused.value.found


def test_a_check_under_ray_ends_too(tmp_path: Path, shared_ray: None):
    expected = train(_spec(), LOCAL, None)[0]["digest"]
    summary, _ = train(_spec(), LaunchSpec(), tmp_path, saving=Saving(50))
    assert (summary["digest"], summary["resumable"]) == (expected, True)
