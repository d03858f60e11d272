"""The faults: each does its harm to a run and says what it did."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.chaos.processes import UNIT, actors, is_dead, raylets
from tests.chaos.worlds import World


class Target(NamedTuple):
    """A run in progress: its driver, the folder where it leaves things, and where it is."""

    driver: int
    folder: Path
    world: World

    def actors(self, kind: str = UNIT) -> list[int]:
        """The process numbers of its actors."""
        return actors(self.world.processes(self.driver), kind)


Fault = Callable[[Target, random.Random], int]
"""Returns how many faults have hit."""


def kill(numbers: list[int], choice: random.Random) -> int:
    """SIGKILL of one of some processes."""
    if not numbers:
        return 0
    with suppress(ProcessLookupError):
        os.kill(choice.choice(numbers), signal.SIGKILL)
        return 1
    return 0


def kill_actor(target: Target, choice: random.Random) -> int:
    """SIGKILL of a unit's actor at any moment: most of them are within a settle step."""
    return kill(target.actors(), choice)


def kill_actor_during_snapshot(target: Target, choice: random.Random) -> int:
    """The same while a checkpoint is being written."""
    before, deadline = set(target.folder.glob("checkpoint-*")), time.monotonic() + 5
    while time.monotonic() < deadline:
        if any(target.folder.glob(".checkpoint-*")) or set(target.folder.glob("checkpoint-*")) != before:
            return kill(target.actors(), choice)
    return 0


def kill_actor_while_recovering(target: Target, choice: random.Random) -> int:
    """Of one, and soon of another one, while the first is being replaced."""
    first = kill(target.actors(), choice)
    time.sleep(choice.uniform(0.0, 1.5))
    return first + kill(target.actors(), choice)


def stop_actor(target: Target, choice: random.Random) -> int:
    """SIGSTOP for a while: slow, not dead."""
    numbers = target.actors()
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
    return kill(raylets(target.world.processes(target.driver)), choice)


def kill_driver(target: Target, choice: random.Random) -> int:
    """SIGKILL of the process that coordinates; the campaign then resumes the run."""
    return kill([target.driver], choice)


def fill_disk(target: Target, choice: random.Random) -> int:
    """No room in the run's folder until the run has ended for that; the campaign then resumes it."""
    with _filled(target.folder):
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            time.sleep(0.2)
            if is_dead(target.driver):
                return 1
    return 0


def fill_shared_memory(target: Target, choice: random.Random) -> int:
    """No room in ``/dev/shm`` for a while, in which an actor dies."""
    with _filled(Path("/proc") / str(target.driver) / "root/dev/shm"):
        time.sleep(choice.uniform(0.0, 1.0))
        kill(target.actors(), choice)
        time.sleep(choice.uniform(0.0, 3.0))
    return 1


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """A folder whose file system has no byte left."""
    filler = folder / "filler"
    try:
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        yield
    finally:
        filler.unlink(missing_ok=True)


ONE_MACHINE: dict[str, tuple[Fault, int]] = {
    "actor": (kill_actor, 40),
    "actor during a snapshot": (kill_actor_during_snapshot, 10),
    "two actors, the second while recovering": (kill_actor_while_recovering, 14),
    "actor stopped for a while": (stop_actor, 14),
    "driver": (kill_driver, 7),
    "raylet": (kill_raylet, 5),
}
"""By name: what it does, and how often among a hundred."""
SMALL: dict[str, tuple[Fault, int]] = {
    "full disk": (fill_disk, 5),
    "full shared memory, and an actor": (fill_shared_memory, 5),
}
"""The same, where a run has a small disk and little shared memory of its own."""
