"""The processors of this machine: which of them a run may use, and which no other run has taken."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_SHARED = 0o777 | 0o1000  # anyone makes files in the folder, and removes only their own


def usable_cores(root: Path = Path("/"), allowed: set[int] | None = None) -> list[int]:
    """One processor of each core that this process may use, by NUMA node.

    Of processors that share a core (hyperthreads) the first allowed one counts.

    Args:
        root: of the file system, with ``sys`` below it.
        allowed: processors of the affinity mask; this process's if left out.
    """
    allowed = os.sched_getaffinity(0) if allowed is None else allowed
    found: dict[tuple[int, ...], int] = {}
    for number in sorted(allowed):
        found.setdefault(_siblings(root, number), number)
    return sorted(found.values(), key=lambda number: (_numa_node(root, number), number))


def pairs_of_cores(root: Path = Path("/"), allowed: set[int] | None = None) -> dict[str, tuple[int, int]]:
    """A pair of processors that this process may use, for each way in which two processes can be near each other.

    Args:
        root, allowed: see :func:`usable_cores`.

    Returns:
        The pairs for ``one core`` and, where there are such processors, ``two threads of a core``, ``two cores`` (of a
        socket) and ``two sockets``.
    """
    allowed = os.sched_getaffinity(0) if allowed is None else allowed
    cores = usable_cores(root, allowed)
    first = cores[0]
    pairs = {"one core": (first, first)}
    threads = [number for number in _siblings(root, first) if number != first and number in allowed]
    near = [number for number in cores[1:] if _socket(root, number) == _socket(root, first)]
    far = [number for number in cores[1:] if number not in near]
    for place, others in (("two threads of a core", threads), ("two cores", near), ("two sockets", far)):
        if others:
            pairs[place] = first, others[0]
    return pairs


@contextmanager
def only_cores(count: int) -> Iterator[None]:
    """Let this thread, and the processes that it starts, use only the first ``count`` cores, all if it is 0."""
    allowed = os.sched_getaffinity(0)
    if count:
        os.sched_setaffinity(0, usable_cores()[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _siblings(root: Path, number: int) -> tuple[int, ...]:
    """The processors that share a core with one, itself included."""
    path = root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
    try:
        return tuple(_listed(path.read_text())) or (number,)
    except (OSError, ValueError):
        return (number,)


def _socket(root: Path, number: int) -> int:
    """The socket of a processor; 0 where the system does not report it."""
    path = root / f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id"
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


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
        wanted: processors in the order of preference; those that other runs have are left out.
        most: how many at most.
        folder: with a file for each processor; one for all users of this machine if left out.
    """

    def __init__(self, wanted: Sequence[int], most: int, folder: Path | None = None) -> None:
        folder = folder or Path(tempfile.gettempdir()) / "teamnet-cores"
        self._files: dict[int, int] = {}
        if not wanted or most < 1:
            return
        with suppress(OSError):  # it exists, or it cannot be made
            folder.mkdir()
            folder.chmod(_SHARED)
        with suppress(OSError):  # there is no folder, so that no core is claimed
            place = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._take(place, wanted, most)
            finally:
                os.close(place)

    def _take(self, folder: int, wanted: Sequence[int], most: int) -> None:
        for number in wanted:
            if len(self._files) == most:
                return
            with suppress(OSError):
                handle = _opened(str(number), folder)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:  # another run has it
                    os.close(handle)
                else:
                    self._files[number] = handle

    @property
    def cores(self) -> list[int]:
        """The processors that it has."""
        return list(self._files)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()

    def release(self, but: Collection[int] = ()) -> None:
        """Let other runs have them, all ``but`` some."""
        for number in set(self._files) - set(but):
            os.close(self._files.pop(number))


def _opened(name: str, folder: int) -> int:
    """A file that each user of this machine can open; a new one is made only where there is none.

    Where other users' files in a folder for all are protected, opening one with ``O_CREAT`` fails.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        handle = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
        os.fchmod(handle, 0o666)  # whatever the mask of this process is
        return handle
