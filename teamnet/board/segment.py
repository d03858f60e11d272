"""The memory of a board: a shared segment that processes of one machine map, or private memory of one process."""

from __future__ import annotations

import mmap
import os
import secrets
from pathlib import Path

import numpy as np

from teamnet.errors import ResourceError

FOLDER = Path("/dev/shm")
PREFIX = "teamnet-"


def create_segment(size: int) -> Path:
    """Make a segment of ``size`` zero bytes that only this user can open.

    The creator removes the file as soon as every actor has mapped it: the memory then lives exactly as long as the
    processes that use it, and a killed run leaves nothing behind.

    Raises:
        ResourceError: shared memory has too little room.
    """
    free = os.statvfs(FOLDER).f_bavail * os.statvfs(FOLDER).f_frsize
    if free < size:
        raise ResourceError(
            str(FOLDER), expected=f"{size} free bytes for the board", found=f"{free}",
            mend="Free shared memory, enlarge it (containers: --shm-size), or use --transport ray or --backend local.",
        )
    path = FOLDER / f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        path.unlink()
        raise ResourceError(
            str(path), expected=f"room for {size} bytes", found=str(error), mend="Free or enlarge shared memory."
        ) from error
    finally:
        os.close(handle)
    return path


def map_segment(path: Path) -> np.ndarray:
    """The bytes of a segment, uint8, shared with every process that maps it."""
    handle = os.open(path, os.O_RDWR)
    try:
        return np.frombuffer(mmap.mmap(handle, 0), np.uint8)
    finally:
        os.close(handle)


def private_memory(size: int) -> np.ndarray:
    """``size`` zero bytes, uint8, aligned as a segment is."""
    return np.frombuffer(mmap.mmap(-1, size), np.uint8)
