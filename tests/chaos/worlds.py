"""Where a campaign's runs are: on this machine with a Ray of their own, or on several hosts that share one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.processes import command_lines, descendants
from tests.cluster.hosts import Hosts

TEAMNET = Path(sys.executable).parent / "teamnet"
_SHARED_MEMORY, _DISK = "256m", "16m"
_WITH_OWN_MEMORY = f'mount -t tmpfs -o size={_SHARED_MEMORY} tmpfs /dev/shm && exec "$@"'


class World(Protocol):
    """What campaigns ask of a place for runs."""

    preset: str
    """Of every run here: one that is neither over before it can be hurt nor too slow to end."""
    options: tuple[str, ...]
    """Where it is."""

    def start(self, arguments: list[str], **options: Any) -> subprocess.Popen[str]:
        """Start ``teamnet``."""
        ...

    def processes(self, driver: int) -> dict[int, str]:
        """All that belong to a driver, or may: their numbers and command lines."""
        ...

    def disk(self, folder: Path) -> Any:
        """A context in which a folder has little room."""
        ...

    def end(self, processes: dict[int, str]) -> None:
        """End what a run has left, after it was looked at."""
        ...


class OneMachine:
    """A private Ray for each run; as root, also little shared memory and a small disk, so that both can be filled."""

    preset = "map"
    options: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.small = os.geteuid() == 0

    def start(self, arguments: list[str], **options: Any) -> subprocess.Popen[str]:
        """Start ``teamnet``, with its own ``/dev/shm`` if that can be."""
        own = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _WITH_OWN_MEMORY, "sh"]
        return subprocess.Popen([*(own if self.small else []), str(TEAMNET), *arguments], text=True, **options)

    def processes(self, driver: int) -> dict[int, str]:
        """All below the driver."""
        return descendants(driver)

    @contextmanager
    def disk(self, folder: Path) -> Iterator[None]:
        """A folder with 16 MB of room, as root."""
        folder.mkdir()
        if not self.small:
            yield
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def end(self, processes: dict[int, str]) -> None:
        """End Ray's own processes."""
        for number in processes:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


class SeveralHosts:
    """Hosts of one Ray cluster, with a layer of each team on each in turn, so that every exchange crosses a link."""

    preset = "frugal"

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.options = ("--address", hosts.address, "--placement", "by-layer", "--wait", "60")

    def start(self, arguments: list[str], **options: Any) -> subprocess.Popen[str]:
        """Start ``teamnet`` on the head."""
        return self.hosts.start_inside(0, [str(TEAMNET), *arguments], text=True, **options)

    def processes(self, driver: int) -> dict[int, str]:
        """All on all hosts."""
        return command_lines([pid for number in range(self.hosts.count) for pid in self.hosts.processes(number)])

    @contextmanager
    def disk(self, folder: Path) -> Iterator[None]:
        """A folder as any other."""
        folder.mkdir()
        yield

    def end(self, processes: dict[int, str]) -> None:
        """The cluster stays for the next run; a host that was lost comes back."""
        self.hosts.replace_lost()
