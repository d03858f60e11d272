"""The faults: each does its harm to a run and says what it did."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.chaos.processes import actors, raylets


class Target(NamedTuple):
    """A run that goes on: its driver, and the folder where it leaves things."""

    driver: int
    folder: Path


def _kill(numbers: list[int], choice: random.Random) -> int:
    if not numbers:
        return 0
    with suppress(ProcessLookupError):
        os.kill(choice.choice(numbers), signal.SIGKILL)
        return 1
    return 0


def kill_actor(target: Target, choice: random.Random) -> int:
    """SIGKILL of a unit's actor at any moment: most of them are within a settle step."""
    return _kill(actors(target.driver), choice)


def kill_actor_during_snapshot(target: Target, choice: random.Random) -> int:
    """The same while a checkpoint is being written."""
    before, deadline = set(target.folder.glob("checkpoint-*")), time.monotonic() + 5
    while time.monotonic() < deadline:
        if any(target.folder.glob(".checkpoint-*")) or set(target.folder.glob("checkpoint-*")) != before:
            return _kill(actors(target.driver), choice)
    return 0


def kill_actor_while_recovering(target: Target, choice: random.Random) -> int:
    """Of one, and soon of another one, while the first is being replaced."""
    first = _kill(actors(target.driver), choice)
    time.sleep(choice.uniform(0.0, 1.5))
    return first + _kill(actors(target.driver), choice)


def stop_actor(target: Target, choice: random.Random) -> int:
    """SIGSTOP for a while: slow, not dead."""
    numbers = actors(target.driver)
    if not numbers:
        return 0
    with suppress(ProcessLookupError):
        number = choice.choice(numbers)
        os.kill(number, signal.SIGSTOP)
        time.sleep(choice.uniform(0.1, 1.0))
        os.kill(number, signal.SIGCONT)
        return 1
    return 0


def kill_raylet(target: Target, choice: random.Random) -> int:
    """SIGKILL of the node itself."""
    return _kill(raylets(target.driver), choice)


def kill_driver(target: Target, choice: random.Random) -> int:
    """SIGKILL of the process that coordinates; the campaign then resumes the run."""
    return _kill([target.driver], choice)


FAULTS: dict[str, tuple[Callable[[Target, random.Random], int], int]] = {
    "actor": (kill_actor, 45),
    "actor during a snapshot": (kill_actor_during_snapshot, 10),
    "two actors, the second while recovering": (kill_actor_while_recovering, 15),
    "actor stopped for a while": (stop_actor, 16),
    "driver": (kill_driver, 8),
    "raylet": (kill_raylet, 6),
}
"""By name: what it does, and how often among a hundred."""
