"""Who owns the connection to Ray: several agents in one process, and ``ray.shutdown()`` from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from ray._private.state import actors

from teamnet import TeamAgent
from teamnet.errors import ActorLost, ResourceError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team import ray_private
from teamnet.team.ray_session import acquire
from teamnet.team.ray_tasks import Job, run_jobs
from teamnet.training.run import Run
from teamnet.training.session import train

SPEC = replace(preset("cartpole"), hidden=(4, 3), env_steps=300, episodes=None)


def _agent(backend: str = "ray") -> TeamAgent:
    return TeamAgent("cartpole", backend=backend, hidden=(4, 3), seed=1)


def _alive() -> int:
    return sum(its["State"] == "ALIVE" for its in actors().values())


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder, short enough for Ray's sockets, in which no private Ray may leave anything."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    (folder / "ray-another").mkdir()
    (folder / "session_latest").symlink_to(folder / "ray-another")
    yield folder
    assert {path.name for path in folder.iterdir()} <= {"ray-another", "session_latest", "ray"}
    assert (folder / "session_latest").is_dir()
    shutil.rmtree(folder)


def test_what_cells_of_a_notebook_do_to_each_other(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One after the other, as each part needs a Ray: a private one, the user's, a private one."""
    monkeypatch.setattr(ray_private, "processors", lambda: 3)
    team = _agents_share_a_private_ray(temporary)
    assert ray.cluster_resources()["CPU"] == 3, "as many as limits leave"
    ray.shutdown()
    _no_call_starts_a_second_ray(team)
    with ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", num_cpus=1):
        _a_ray_of_the_user_stays(team)
        _jobs_end_with_it()
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", num_cpus=1)
    _a_run_with_a_folder_goes_on(tmp_path, monkeypatch)
    assert not ray.is_initialized()


def _agents_share_a_private_ray(temporary: Path) -> TeamAgent:
    with _agent("local") as agent:
        digest = agent.learn(env_steps=60).summary()["digest"]
    with ThreadPoolExecutor(1) as thread:  # which ends, and with it processes that it has started itself
        first = thread.submit(_agent).result()
    second = _agent()
    [own] = set(temporary.glob("ray-*")) - {temporary / "ray-another"}
    assert own.stat().st_mode & 0o777 == 0o700, "Ray gives every user access to what is below"
    first.learn(env_steps=20)
    lease = first._run._executor._pool._lease
    with pytest.MonkeyPatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        assert not lease.valid, "a forked process would end the actors of its parent"
    assert lease.valid
    first.close()
    first.close()
    assert second.learn(env_steps=60).summary()["digest"] == digest
    third = _agent()
    second.close()
    assert third.learn(env_steps=60).summary()["digest"] == digest
    return third


def _no_call_starts_a_second_ray(team: TeamAgent) -> None:
    for call in (lambda: team.learn(env_steps=10), team.state, team.summary, team._run._executor.replace_failed):
        with pytest.raises(ActorLost) as caught:
            call()
        assert caught.value.where == "Ray"
        assert not ray.is_initialized()


def _a_ray_of_the_user_stays(early: TeamAgent) -> None:
    for call in (lambda: early.learn(env_steps=10), early.state, early._run._executor.replace_failed):
        with pytest.raises(ActorLost) as caught:
            call()
        assert caught.value.where == "Ray"
    closing = threading.Thread(target=early._run._executor.close)  # as a finaliser does, in whatever thread it is
    closing.start()
    closing.join()
    early.close()
    for _ in range(3):  # a cell that is run again
        later = _agent()
        later.learn(env_steps=10)
    assert _alive() == later.summary()["actors"]
    later.close()
    assert _alive() == 0
    assert ray.is_initialized()


def _jobs_end_with_it() -> None:
    running = run_jobs([Job(abs, (-number,)) for number in range(8)])
    assert next(running).error == ""
    ray.shutdown()
    with pytest.raises(ActorLost):
        list(running)
    assert not ray.is_initialized()


def _a_run_with_a_folder_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance, shut = Run.advance, []

    def shut_down_once(run: Run, until: Callable[[], bool]) -> object:
        if not shut and run.task.env_steps >= 50:
            shut.append(run.task.env_steps)
            ray.shutdown()
        return advance(run, until)

    monkeypatch.setattr(Run, "advance", shut_down_once)
    summary, _ = train(SPEC, LaunchSpec(), folder / "run")
    assert [its["how"] for its in summary["recoveries"]] == ["a new team"]
    assert summary["digest"] == train(SPEC, LaunchSpec("local"), None)[0]["digest"]


def test_a_process_that_ends_without_closing_leaves_nothing(temporary: Path):
    code = (
        "import atexit, ray\n"
        "late = []; atexit.register(lambda: late[0].close())\n"  # registered first, so that it is called last
        "from teamnet import TeamAgent\n"
        "late += [TeamAgent('cartpole', backend='ray', hidden=(4, 3))]\n"
        "early = TeamAgent('cartpole', backend='ray', hidden=(4, 3)); atexit.register(early.close)\n"
        "late[0].learn(env_steps=10); early.learn(env_steps=10)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_start_that_fails_leaves_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch):
    before = os.environ.get("RAY_AUTH_MODE")
    monkeypatch.setattr(ray._private.node.Node, "start_raylet", _fail)
    with pytest.raises(ResourceError) as caught:
        acquire("")
    assert caught.value.where == "Ray"
    assert "no raylet" in caught.value.found
    assert not ray.is_initialized()
    assert os.environ.get("RAY_AUTH_MODE") == before
    assert not [line for line in _command_lines() if os.fsencode(temporary) in line]


def _command_lines() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (process / "cmdline").read_bytes()


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("no raylet")
