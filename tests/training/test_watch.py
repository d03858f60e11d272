"""Environments that never answer end the run with a message, whatever they are doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from teamnet.errors import EnvironmentRefused
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train
from teamnet.training.watch import Watch


class Hanging(gymnasium.Env):
    """Never answers step ``at``, or a reset after it."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    hang: Callable[[], None]
    at, in_reset = 250, False

    def __init__(self):
        self.count = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if Hanging.in_reset and self.count > Hanging.at:
            Hanging.hang()
        return np.zeros(2), {}

    def step(self, action):
        self.count += 1
        if not Hanging.in_reset and self.count == Hanging.at:
            Hanging.hang()
        return np.zeros(2), 1.0, self.count % 20 == 0, False, {}


def sleep() -> None:
    time.sleep(1e6)


def wait_for_a_lock() -> None:
    lock = threading.Lock()
    with lock:
        lock.acquire()


def work() -> None:
    while True:
        pass


@pytest.fixture(autouse=True)
def _registered():
    gymnasium.register("teamnet/Hanging-v0", Hanging)
    yield
    gymnasium.registry.pop("teamnet/Hanging-v0")


@pytest.mark.parametrize("hang", [sleep, wait_for_a_lock, work])
@pytest.mark.parametrize("in_reset", [False, True])
def test_a_hanging_environment_ends_the_run_which_can_be_resumed(
    hang: Callable[[], None], in_reset: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Hanging, "hang", staticmethod(hang), raising=False)
    monkeypatch.setattr(Hanging, "in_reset", in_reset)
    before, threads = signal.getsignal(signal.SIGUSR2), threading.active_count()
    spec = replace(preset("teamnet/Hanging-v0"), hidden=(5,), env_steps=400, episodes=None)
    launch = LaunchSpec("local", env_patience=0.4)
    begun = time.monotonic()
    with pytest.raises(
        EnvironmentRefused, match=r"Hanging-v0: expected an answer within 0.4 s; found none. .*--env-patience"
    ):
        train(spec, launch, tmp_path / "hangs", saving=Saving(100))
    assert time.monotonic() - begun < 10.0
    assert (signal.getsignal(signal.SIGUSR2), threading.active_count()) == (before, threads)
    monkeypatch.setattr(Hanging, "at", 10**9)
    expected = train(spec, launch, tmp_path / "well", saving=Saving(100))[0]
    assert resume(tmp_path / "hangs", saving=Saving(100))[0]["digest"] == expected["digest"]


def test_who_is_slow_but_not_late_is_left_alone():
    spec = replace(preset("cartpole"), hidden=(5,), env_steps=60, episodes=None)
    run = Run(spec, LaunchSpec("local", env_patience=0.2))
    step = run.task._rows[0].place.environment.step
    run.task._rows[0].place.environment.step = lambda action: (time.sleep(0.01), step(action))[1]
    while not run.done:
        run.advance()
    run.close()
    assert run.task.env_steps == 60


def test_a_call_that_hears_nothing_takes_the_process_with_it():
    code = """
import time
from teamnet.training import watch
watch.GRACE = 0.5
def deaf():
    while True:
        try:
            time.sleep(1e6)
        except Exception:
            pass
print("asked", flush=True)
watch.Watch("Deaf-v0", 0.3).ask(deaf)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "asked\n")
    assert done.stderr.startswith("teamnet: Deaf-v0: expected an answer within 0.3 s; found none. Fix the environment")


def test_watches_may_end_in_any_order_and_a_stray_signal_goes_to_who_was_there_before():
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        one, other = Watch("one", 9.0), Watch("other", 9.0)
        one.close()
        signal.raise_signal(signal.SIGUSR2)
        other.close()
        signal.raise_signal(signal.SIGUSR2)
        assert heard == [signal.SIGUSR2] * 2
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("patience", [0.0, 9.0])
def test_without_patience_or_in_another_thread_nobody_watches(patience: float):
    made: list[Watch] = []
    thread = threading.Thread(target=lambda: made.append(Watch("x", patience)))
    thread.start()
    thread.join()
    assert made[0]._thread is None
    assert Watch("x", 0.0)._thread is None
    assert made[0].ask(lambda: 3) == 3


def test_a_watch_is_closed_by_another_thread():
    """The last reference to an agent may end anywhere."""
    before = signal.getsignal(signal.SIGUSR2)
    count = threading.active_count()
    watch = Watch("somewhere", 5.0)
    errors: list[BaseException] = []

    def close() -> None:
        try:
            watch.close()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert not errors
    assert threading.active_count() == count
    assert watch.ask(lambda: 3) == 3
    signal.signal(signal.SIGUSR2, before)
