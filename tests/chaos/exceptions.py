"""``python -m tests.chaos.exceptions --count 500 --backend local``: exceptions at random points of ``learn``.

An agent trains on CartPole. Signals raise, other threads put exceptions into this one, the environment raises or
answers what is not finite, the disk is full. After each of them the agent continues, or, after a documented refusal, is
loaded from its last checkpoint; in the end it has the digest of an agent that nothing disturbed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv

from teamnet import TeamAgent
from teamnet.errors import EnvironmentRefused, NumericalError, ResourceError, StepInterrupted, TeamnetError

TASK = "teamnet/Fragile-v0"
REFUSALS = EnvironmentRefused, NumericalError, ResourceError, StepInterrupted
SAVE_EVERY = 5
"""Exceptions between two checkpoints."""
_LONGEST_WAIT_STEPS = 20
"""Environment steps that take as long as the longest wait for an exception, on the machine that runs this."""


class Interrupt(Exception):
    """What no code of teamnet knows."""


class Fragile(CartPoleEnv):
    """CartPole that does what it is told to, once, before or after the step or reset that it interrupts."""

    fault: Callable[[], Any] | None = None
    steps_left = 0

    def _strike(self) -> Any:
        kind = type(self)
        if kind.fault is None:
            return None
        if kind.steps_left > 0:
            kind.steps_left -= 1
            return None
        fault, kind.fault = kind.fault, None
        return fault()

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        answer = self._strike()
        return (observation if answer is None else answer, *rest)

    def reset(self, **options: Any) -> Any:
        observation, info = super().reset(**options)
        answer = self._strike()
        return (observation if answer is None else answer), info


def _raising(error: type[BaseException]) -> Callable[[], Any]:
    def strike() -> Any:
        raise error("struck")

    return strike


@contextmanager
def _environment(choice: random.Random, seconds: float) -> Iterator[None]:
    Fragile.steps_left = choice.randrange(60)
    Fragile.fault = choice.choice([
        _raising(Interrupt), _raising(KeyboardInterrupt), _raising(MemoryError), _raising(SystemExit),
        lambda: np.full(4, np.nan), lambda: np.zeros(7),
    ])
    yield
    Fragile.fault = None


@contextmanager
def _alarm(choice: random.Random, seconds: float) -> Iterator[None]:
    error = choice.choice([KeyboardInterrupt, Interrupt, TimeoutError])

    def ring(number: int, frame: Any) -> None:
        raise error("rung")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, choice.uniform(1e-4, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _other_thread(choice: random.Random, seconds: float) -> Iterator[None]:
    """An exception that another thread puts into this one, at whatever instruction: no handler can hold it back."""
    main, done = threading.main_thread().ident, threading.Event()

    def put() -> None:
        if not done.wait(choice.uniform(1e-4, seconds)):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main or 0), ctypes.py_object(Interrupt))

    thread = threading.Thread(target=put)
    thread.start()
    try:
        yield
    finally:
        while thread.is_alive():
            try:
                done.set()
                thread.join()
            except Interrupt:
                continue


@contextmanager
def _full_disk(choice: random.Random, seconds: float) -> Iterator[None]:
    fsync = os.fsync

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    os.fsync = full
    try:
        yield
    finally:
        os.fsync = fsync


KINDS = {"signal": _alarm, "environment": _environment, "full disk": _full_disk, "another thread": _other_thread}
UNDER_RAY = "signal", "environment", "full disk"
"""Not what another thread puts into Ray's own code, which is left with its locks held."""


def campaign(
    count: int, seed: int, folder: Path, kinds: tuple[str, ...] = tuple(KINDS), steps: int = 100,
    **options: Any,
) -> Counter[str]:
    """Do it; returns how often each kind of exception came, and what it ended in.

    Args:
        count: exceptions that come, at least.
        seed: of the agent, and of kinds and moments.
        folder: gets the checkpoints.
        kinds: of exceptions.
        steps: environment steps that are done meanwhile, at least.
        **options: of the agent.

    Raises:
        AssertionError: the digest is another than that of an undisturbed run.
    """
    choice, outcomes = random.Random(seed), Counter()
    gymnasium.register(TASK, Fragile, max_episode_steps=60)
    try:
        agent = TeamAgent(TASK, seed=seed, hidden=(5,), settle_steps=3, **options)
        agent.learn(env_steps=10)  # loads what the first steps need
        begun = time.perf_counter()
        agent.learn(env_steps=_LONGEST_WAIT_STEPS)
        seconds = time.perf_counter() - begun
        agent.save(folder)
        since = 0
        while (
            sum(outcomes[f"{kind}, {end}"] for kind in KINDS for end in _ENDS) < count
            or outcomes["environment steps"] < steps
        ):
            kind = choice.choice(kinds)
            before = agent._run.task.env_steps
            end = _one(agent, KINDS[kind](choice, seconds), choice, folder, saves=KINDS[kind] is _full_disk)
            outcomes[f"{kind}, {end}" if end in _ENDS else "nothing came"] += 1
            outcomes["environment steps"] += agent._run.task.env_steps - before
            Fragile.fault = None
            if _stands_inside_a_step(agent):
                agent.close()
                agent = TeamAgent.load(folder)
                outcomes["loaded"] += 1
            else:
                assert agent._run.task.env_steps >= before, "nothing that was learned is lost"
            since += 1
            if since % SAVE_EVERY == 0:
                agent.learn(env_steps=10)  # where each exception came inside a step, nothing else would be saved
                agent.save(folder)
        agent.learn(env_steps=10)  # a run that was stopped at a reset has as many environment steps as before it
        agent.save(folder)
        digest, done = agent.summary()["digest"], agent.summary()["env_steps"]
        agent.close()
        with TeamAgent(TASK, seed=seed, hidden=(5,), settle_steps=3, backend="local") as calm:
            calm.learn(env_steps=done)
            assert calm.summary()["digest"] == digest, f"another digest after {done} steps and {dict(outcomes)}"
        return outcomes
    finally:
        gymnasium.registry.pop(TASK)


_ENDS = "raised", "refused"


def _stands_inside_a_step(agent: TeamAgent) -> bool:
    try:
        agent.state()
    except StepInterrupted:
        return True
    return False


def _one(
    agent: TeamAgent, disturbance: AbstractContextManager[None], choice: random.Random, folder: Path, *, saves: bool
) -> str:
    """Train while something comes; returns how that ended."""
    try:
        with disturbance:
            agent.learn(env_steps=choice.randrange(20, 400))
            if saves:
                agent.save(folder)
    except REFUSALS:
        return "refused"
    except TeamnetError:
        raise
    except BaseException as error:
        if not isinstance(error, Interrupt | KeyboardInterrupt | TimeoutError | SystemExit):
            raise
        return "raised"
    return "finished"


@contextmanager
def _one_ray(backend: str) -> Iterator[None]:
    """One private Ray for all agents, which would each start their own."""
    if backend == "local":
        yield
        return
    from teamnet.team.ray_session import acquire

    lease = acquire("")
    try:
        yield
    finally:
        lease.release()


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="local")
    parser.add_argument("--transport", default="board")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="teamnet-exceptions-") as folder, _one_ray(asked.backend):
        outcomes = campaign(
            asked.count, asked.seed, Path(folder), UNDER_RAY if asked.backend == "ray" else tuple(KINDS),
            backend=asked.backend, transport=asked.transport,
        )
    for name, number in sorted(outcomes.items()):
        print(f"{name:24} {number:7}")
    print("the same digest as an undisturbed run")
    sys.exit(0)


if __name__ == "__main__":
    main()
