"""The processors of this machine: which of them a run may use, and which no other run has taken."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from teamnet.team.limits import processors

_SHARED = 0o777 | 0o1000  # anyone makes files in the folder, and removes only their own


def usable_cores(root: Path = Path("/"), allowed: set[int] | None = None, quota: int | None = None) -> list[int]:
    """One processor of each core that this process may use, by NUMA node.

    Of processors that share a core (hyperthreads) the first allowed one counts.

    Args:
        root: of the file system, with ``sys`` below it.
        allowed: processors of the affinity mask; this process's if left out.
        quota: the number of processors that control groups and Slurm allow; found if left out.

    Returns:
        Their numbers, no more than the quota.
    """
    allowed = os.sched_getaffinity(0) if allowed is None else allowed
    quota = processors(root) if quota is None else quota
    found: dict[tuple[int, ...], int] = {}
    for number in sorted(allowed):
        found.setdefault(_siblings(root, number), number)
    return sorted(found.values(), key=lambda number: (_numa_node(root, number), number))[:quota]


def _siblings(root: Path, number: int) -> tuple[int, ...]:
    """The processors that share a core with one, itself included."""
    path = root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
    try:
        return tuple(_listed(path.read_text())) or (number,)
    except (OSError, ValueError):
        return (number,)


def _numa_node(root: Path, number: int) -> int:
    folder = root / f"sys/devices/system/cpu/cpu{number}"
    with suppress(OSError, ValueError):
        return min(int(path.name.removeprefix("node")) for path in folder.glob("node[0-9]*"))
    return 0


def _listed(text: str) -> list[int]:
    """The numbers of a list such as ``0,4-6``."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


class Claim:
    """Processors that no other run on this machine has, until it is released or this process ends.

    A run that shares no folder for temporary files with another one, as in another container, does not see its claim.

    Args:
        wanted: processors; those that are taken are left out.
        folder: with a file for each processor; one for all users of this machine if left out.
    """

    def __init__(self, wanted: Sequence[int], folder: Path | None = None) -> None:
        folder = folder or Path(tempfile.gettempdir()) / "teamnet-cores"
        self._files: dict[int, int] = {}
        with suppress(OSError):
            folder.mkdir()
            folder.chmod(_SHARED)
        for number in wanted:
            with suppress(OSError):  # another run has it
                self._take(folder / str(number), number)

    def _take(self, path: Path, number: int) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        self._files[number] = handle
        with suppress(OSError):
            os.fchmod(handle, 0o666)  # whatever the mask of this process is

    @property
    def cores(self) -> list[int]:
        """The processors that it has."""
        return list(self._files)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()

    def release(self) -> None:
        """Let other runs have them."""
        files, self._files = self._files, {}
        for handle in files.values():
            os.close(handle)
