"""A private Ray cluster: started on this machine for this process, in its own folder, which is removed with it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from teamnet.errors import ResourceError
from teamnet.team.lasting_thread import LastingThread
from teamnet.team.limits import processors
from teamnet.team.ray_init import initialise
from teamnet.team.token import ensure_token

_STORE_BYTES = 80 << 20
_SHARED = Path("/dev/shm")
"""Where Ray keeps its objects; if it is read-only, Ray's start fails after half a minute without naming the reason."""
_LONGEST_SOCKET = 107
"""The most bytes of a Unix socket's path on Linux."""
_BELOW = len("/ray-12345678/r/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
"""Bytes of the path that Ray and this module append to the temporary folder."""
_REMOVE_SECONDS = 5.0
"""Time for Ray's processes, which have been asked to end, to stop writing to their folder."""


def start_private() -> Callable[[], None]:
    """Start Ray for this process alone; returns a function that cleans up, to call after Ray has shut down.

    Raises:
        ResourceError: a Ray process does not start, or there is no place for its sockets or its token.
    """
    ensure_token(os.environ)
    folder, thread = _make_folder(), LastingThread()
    try:
        with _allocating_in_one_place():
            restore = thread.call(lambda: initialise(
                "local", "token", include_dashboard=False, object_store_memory=_STORE_BYTES, num_cpus=processors(),
                _temp_dir=str(folder / "r"), _plasma_directory=None if os.access(_SHARED, os.W_OK) else str(folder),
            ))
    except BaseException as error:
        _clear(folder)
        thread.end()
        if not isinstance(error, Exception):  # which Ray raises if one of its processes dies or is slow
            raise
        raise ResourceError(
            "Ray", expected="a private cluster on this machine", found=(str(error) or repr(error)).splitlines()[0],
            remedy="Check that processor, memory and disk have room, and try again, or use --backend local.",
        ) from error

    def end() -> None:
        restore()
        _remove(folder)
        thread.end()

    return end


def _make_folder() -> Path:
    """A folder for sockets, logs and spilled objects: at Ray's default location or, if that is unusable, elsewhere.

    Ray gives every user access to its own folder, which is therefore inside one that only this user can enter.
    """
    named = os.environ.get("RAY_TMPDIR")
    candidates = [named] if named else [os.environ.get("TMPDIR") or "/tmp", "/tmp", "/var/tmp"]
    longest = _LONGEST_SOCKET - _BELOW
    for base in candidates:
        if len(os.fsencode(os.path.abspath(base))) <= longest:
            try:
                return Path(tempfile.mkdtemp(prefix="ray-", dir=os.path.abspath(base)))
            except OSError:
                continue
    raise ResourceError(
        "RAY_TMPDIR" if named else "the temporary folder",
        expected=f"a folder that can be written to, with a path of at most {longest} bytes, for Ray's sockets",
        found=" and ".join(dict.fromkeys(candidates)), remedy="Name another one in RAY_TMPDIR.",
    )


def _clear(folder: Path) -> None:
    """End the processes of a failed start, which Ray leaves until this process ends, and remove their folder."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while (processes := _processes_of(folder)) and time.monotonic() < deadline:
        for process in processes:
            with suppress(OSError):  # it has ended
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    _remove(folder)


def _processes_of(folder: Path) -> list[int]:
    """The processes with the folder in their command line, as all Ray processes have."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if os.fsencode(f"{folder}/") in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _remove(folder: Path) -> None:
    """Remove a folder to which ending processes may still write."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.05)


@contextmanager
def _allocating_in_one_place() -> Iterator[None]:
    """Make processes that start meanwhile use one arena of glibc's allocator for all their threads.

    Ray's metrics threads allocate every second, each in its own arena, and an idle worker grows by 4 KiB/s.
    """
    ours = "MALLOC_ARENA_MAX" not in os.environ
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    try:
        yield
    finally:
        if ours:
            del os.environ["MALLOC_ARENA_MAX"]
