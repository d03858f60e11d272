"""Watch the cores of pinned units: whether another process takes them, and whether they are free again.

While units are pinned, the kernel's account of each thread says how long it ran, and how long it was ready to run but
did not (``/proc/THREAD/schedstat``). What a thread waited beyond the time in which other units of the core ran, another
process had the core. While they are not, the account of each processor says how busy it is with others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

_LOOK_EVERY = 0.02
"""Seconds between two looks at pinned units; longer where a look takes longer than a hundredth of that."""
_TAKEN = 0.3
"""The share of a core that another process has before it counts as taken, in two looks one after the other."""
_FREE_AGAIN, _LONGEST = 1.0, 30.0
"""Seconds for which the cores have to be free before units are pinned again: at first, and at most."""
_LONG = 60.0
"""Seconds after which units that were pinned all the time are pinned again as soon as at first."""


class Movable(Protocol):
    """What is watched."""

    def pin(self) -> None:
        """Move all units to their cores."""
        ...

    def unpin(self) -> set[int]:
        """Let all units run elsewhere; returns the processors that they may use."""
        ...


class Account(NamedTuple):
    """Nanoseconds for which a thread ran, and for which it was ready to run but did not."""

    ran: int
    delayed: int


def account(thread: int, root: Path = Path("/proc")) -> Account | None:
    """The account of a thread; ``None`` if it has ended, or the kernel keeps none."""
    with suppress(OSError, ValueError):
        ran, delayed, _ = (root / str(thread) / "schedstat").read_text().split()
        return Account(int(ran), int(delayed))
    return None


def taken(before: Mapping[int, Account], after: Mapping[int, Account], cores: Mapping[int, int]) -> dict[int, int]:
    """Nanoseconds for which each core ran others than its units while a unit was ready to run, at least.

    Args:
        before, after: accounts by thread.
        cores: of the threads.
    """
    found: dict[int, int] = {}
    ran = {thread: after[thread].ran - before[thread].ran for thread in after if thread in before}
    for core in set(cores.values()):
        threads = [thread for thread in ran if cores.get(thread) == core]
        total = sum(ran[thread] for thread in threads)
        waits = [after[thread].delayed - before[thread].delayed - (total - ran[thread]) for thread in threads]
        found[core] = max([0, *waits])
    return found


def busy_seconds(cores: Sequence[int], root: Path = Path("/proc")) -> float:
    """Seconds for which some processors have run anything since the start of the machine, added up."""
    names, total = {f"cpu{core}" for core in cores}, 0
    for line in (root / "stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in names:
            user, nice, system, _, _, hard, soft = (int(tick) for tick in ticks[:7])
            total += user + nice + system + hard + soft
    return total / os.sysconf("SC_CLK_TCK")


class CoreWatch:
    """A thread that unpins units when another process takes a core, and pins them again.

    Args:
        cores: of the threads of the units.
        units: what is pinned and unpinned.

    Attributes:
        times: how often units were unpinned.
    """

    def __init__(self, cores: Mapping[int, int], units: Movable) -> None:
        self.times = 0
        self._cores, self._units = cores, units
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="core watch")
        self._thread.start()

    @staticmethod
    def possible(threads: Sequence[int]) -> bool:
        """Whether the kernel keeps accounts of threads: without them a taken core would not be noticed."""
        return all(account(thread) for thread in threads)

    def _run(self) -> None:
        patience, pinned = _FREE_AGAIN, time.monotonic()
        while self._stay_pinned():
            patience = _FREE_AGAIN if time.monotonic() - pinned > _LONG else min(2 * patience, _LONGEST)
            elsewhere = self._units.unpin()
            self.times += 1
            if not self._wait_until_free(elsewhere, patience):
                return
            self._units.pin()
            pinned = time.monotonic()

    def _accounts(self) -> dict[int, Account]:
        return {thread: found for thread in self._cores if (found := account(thread))}

    def _stay_pinned(self) -> bool:
        """Return once a core has been taken, with true, or once the watch has ended, with false."""
        before, own, at, times, pause = self._accounts(), time.process_time(), time.monotonic(), 0, _LOOK_EVERY
        while not self._ended.wait(pause):
            begun = time.monotonic()
            after, own_after = self._accounts(), time.process_time()
            here = 1e9 * (own_after - own)  # of the coordinator, which runs on any core
            most = max(taken(before, after, self._cores).values(), default=0) - here
            times = times + 1 if most > _TAKEN * 1e9 * (begun - at) else 0
            if times == 2:
                return True
            idle = all(after[thread].ran == before[thread].ran for thread in after if thread in before)
            pause = max(_LOOK_EVERY * (10 if idle else 1), 100 * (time.monotonic() - begun))
            before, own, at = after, own_after, begun
        return False

    def _wait_until_free(self, elsewhere: set[int], seconds: float) -> bool:
        """Return once the cores have run little else for some seconds, with true, or once the watch has ended.

        Where the units run ``elsewhere``, all that runs on the cores is others'.
        """
        cores = set(self._cores.values())
        shared = bool(cores & elsewhere)

        def others() -> float:
            ran = sum(found.ran for found in self._accounts().values()) / 1e9 + time.process_time() if shared else 0.0
            return busy_seconds(sorted(elsewhere if shared else cores)) - ran

        while True:
            before = others()
            if self._ended.wait(seconds):
                return False
            if others() - before < _TAKEN * seconds:
                return True

    def close(self) -> None:
        """End the watch."""
        self._ended.set()
        self._thread.join()
