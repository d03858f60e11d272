"""The memory of a board: a shared segment that processes of one machine map, or private memory of one process."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from teamnet.errors import ResourceError

FOLDER = Path("/dev/shm")


def create_segment(size: int) -> int:
    """Make a segment of ``size`` zero bytes; returns this process's file descriptor of it.

    It never has a name: the memory exists exactly as long as the processes that use it, and a run that is killed at
    any moment leaves nothing behind.

    Raises:
        ResourceError: shared memory has too little free space, or this process may not use it.
    """
    try:
        system = os.statvfs(FOLDER)
        free = system.f_bavail * system.f_frsize
        if free < size:
            raise _no_room(size, f"{free}")
        handle = os.open(FOLDER, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        raise _no_room(size, str(error)) from None
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        os.close(handle)
        raise _no_room(size, str(error)) from None
    return handle


def _no_room(size: int, found: str) -> ResourceError:
    return ResourceError(
        str(FOLDER), expected=f"{size} free bytes for the board", found=found,
        remedy="Free shared memory, enlarge it (containers: --shm-size), or use --transport ray or --backend local.",
    )


def path_of(handle: int) -> Path:
    """The path by which other processes of this user on this machine map a segment, while this process holds it."""
    return Path(f"/proc/{os.getpid()}/fd/{handle}")


def map_segment(path: Path) -> np.ndarray:
    """The bytes of a segment, uint8, shared with every process that maps it."""
    handle = os.open(path, os.O_RDWR)
    try:
        return np.frombuffer(mmap.mmap(handle, 0), np.uint8)
    finally:
        os.close(handle)


def private_memory(size: int) -> np.ndarray:
    """``size`` zero bytes, uint8, aligned as a segment is.

    Raises:
        ResourceError: the process may not allocate as much, as under ``ulimit -v``.
    """
    try:
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)
    except OSError as error:
        raise ResourceError(
            "memory", expected=f"{size} bytes for the board", found=str(error),
            remedy="Use smaller layers or fewer environments, or raise the memory limit.",
        ) from None
