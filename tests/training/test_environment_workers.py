"""Environments in processes of their own: the same bits, at the same time; errors, kills and interrupts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.wrappers import NormalizeObservation, TimeLimit

from teamnet import TeamAgent
from teamnet.errors import ActorLost, EnvironmentRefused, SpecError, TeamnetError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.callback import Callback, Callbacks
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train

SMALL: dict[str, Any] = {"backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3, "num_envs": 5}


class Slow(CartPoleEnv):
    """CartPole whose step sleeps, and that says in which process it is."""

    seconds = 0.0

    def step(self, action: Any) -> Any:
        time.sleep(self.seconds)
        return super().step(action)


def _digest(task: Any, workers: int, **options: Any) -> tuple[str, list[float]]:
    with TeamAgent(task, env_workers=workers, **{**SMALL, **options}) as agent:
        agent.learn(env_steps=600)
        return agent.summary()["digest"], list(agent.returns)


@pytest.mark.parametrize("task", [
    "CartPole-v1", "MountainCarContinuous-v0", "FrozenLake-v1",
    lambda: TimeLimit(NormalizeObservation(CartPoleEnv()), 50),
], ids=["cartpole", "continuous", "discrete", "statistics"])
def test_the_result_is_that_of_one_process(task: Any):
    expected = _digest(task, 0)
    for workers in (1, 2, 9):
        assert _digest(task, workers) == expected


def test_workers_outlive_the_thread_that_made_the_agent():
    threads = threading.active_count()
    with ThreadPoolExecutor(1) as thread:
        agent = thread.submit(TeamAgent, "CartPole-v1", env_workers=2, **SMALL).result()
    with agent:
        agent.learn(env_steps=600)
        assert (agent.summary()["digest"], list(agent.returns)) == _digest("CartPole-v1", 0)
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_a_resumed_run_may_have_other_workers(tmp_path: Path):
    with TeamAgent("CartPole-v1", env_workers=2, **SMALL) as agent:
        agent.learn(env_steps=300)
        agent.save(tmp_path)
        digest = agent.learn(env_steps=300).summary()["digest"]
    for workers in (0, 2):
        with TeamAgent.load(tmp_path, env_workers=workers) as agent:
            assert agent.learn(env_steps=300).summary()["digest"] == digest


def test_workers_step_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Slow, "seconds", 0.02)
    seconds = []
    for workers in (0, 5):
        with TeamAgent(Slow, env_workers=workers, **SMALL) as agent:
            agent.learn(env_steps=5)
            begun = time.monotonic()
            agent.learn(env_steps=100)  # twenty steps of the batch, of 5 x 20 ms or of 20 ms
            seconds.append(time.monotonic() - begun)
    assert seconds[0] > 1.9
    assert seconds[1] < seconds[0] / 2, "sleeping needs no core"


class Failing(CartPoleEnv):
    def step(self, action: Any) -> Any:
        if self.steps_beyond_terminated is None and abs(self.state[0]) > 0.06:
            raise LookupError("of the environment")
        return super().step(action)


def test_errors_of_an_environment_arrive(monkeypatch: pytest.MonkeyPatch):
    with TeamAgent(Failing, env_workers=2, **SMALL) as agent, pytest.raises(EnvironmentRefused, match="LookupError"):
        agent.learn(env_steps=2000)
    with pytest.raises(TeamnetError):
        TeamAgent(lambda: 3, env_workers=2, **SMALL)
    with pytest.raises(TeamnetError):
        TeamAgent("no_such_module:Class", env_workers=2, **SMALL)


def _children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_killed_worker_is_named_and_none_is_left():
    before = _children()
    with TeamAgent("CartPole-v1", env_workers=2, **SMALL) as agent:
        agent.learn(env_steps=50)
        workers = agent._run.task._workers._processes
        assert {process.pid for process in workers} <= _children() - before
        os.kill(workers[1].pid, signal.SIGKILL)
        with pytest.raises(ActorLost) as lost:
            agent.learn(env_steps=500)
        assert "worker" in lost.value.where
    assert _children() <= before


def test_a_run_with_a_folder_recovers_from_a_killed_worker(tmp_path: Path):
    class Kill(Callback):
        every = 500
        killed = False

        def on_step(self, run: Run) -> None:
            if not self.killed:
                self.killed = True
                os.kill(run.task._workers._processes[0].pid, signal.SIGKILL)

    spec = changed(preset("cartpole"), hidden=(4,), settle_steps=2, num_envs=3, env_steps=900, episodes=None)
    launch, saving = LaunchSpec("local", env_workers=2), Saving(every=200)
    summary, _ = train(spec, launch, tmp_path / "run", saving=saving, callbacks=Callbacks([Kill()]))
    [recovery] = summary["recoveries"]
    assert (recovery["how"], 0 < recovery["replayed_env_steps"] < 300) == ("a new team", True)
    assert summary["digest"] == train(spec, LaunchSpec("local"), None)[0]["digest"]


def test_workers_in_a_daemonic_process_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(SpecError) as refused:
        TeamAgent("CartPole-v1", env_workers=2, **SMALL)
    assert refused.value.where == "env_workers"


def test_checkpoints_are_tried_with_workers_too(tmp_path: Path):
    said: list[str] = []
    spec = changed(preset("cartpole"), hidden=(4,), settle_steps=2, num_envs=3, env_steps=600, episodes=None)
    launch = LaunchSpec("local", env_workers=2)
    summary, _ = train(spec, launch, tmp_path / "run", saving=Saving(every=100), say=said.append)
    assert summary["resumable"] is True
    more, _ = resume(tmp_path / "run", env_steps=900)
    assert more["digest"] == train(changed(spec, env_steps=900), LaunchSpec("local"), None)[0]["digest"]
    assert not [text for text in said if "depends on more" in text]


def test_an_interrupt_ends_the_run_after_its_step(tmp_path: Path):
    command = [
        sys.executable, "-m", "teamnet", "train", "cartpole", "--backend", "local", "--num-envs", "4", "--env-workers",
        "2", "--env-steps", "100000000", "--save-every", "500", "--out", str(tmp_path / "run"),
    ]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stderr=pipe, stdout=pipe, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "run").glob("checkpoint-*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C, which goes to the workers too
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "continue with" in error
    assert not Path(f"/proc/{process.pid}").exists()


class SlowToMake(CartPoleEnv):
    """Takes long to be made."""

    def __init__(self) -> None:
        time.sleep(30)
        super().__init__()


def test_the_making_of_an_environment_in_a_worker_has_a_patience():
    before, begun = _children(), time.monotonic()
    with pytest.raises(EnvironmentRefused):
        TeamAgent(SlowToMake, env_workers=2, env_patience=0.5, **SMALL)
    assert time.monotonic() - begun < 25
    assert _children() <= before


def test_other_numbers_of_workers_are_refused():
    for wrong in (-1, 2.5, True):
        with pytest.raises(TeamnetError) as refusal:
            TeamAgent("cartpole", env_workers=wrong, **SMALL)
        assert refusal.value.where == "env_workers"
    assert isinstance(gymnasium.make("CartPole-v1"), gymnasium.Env)
    assert np.isfinite(_digest("CartPole-v1", 3, num_envs=1)[1]).all(), "more workers than rows"
