"""Workers end with the Ray node that started them and with their worker pool."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import ray

_LOOK_EVERY = 1.0

Process = tuple[str, int]
"""The Ray node of a process, and its process ID there."""


def end_with_parent(worker: object) -> Process:
    """Make this process end once its parent has ended: a raylet that is killed leaves its workers running.

    Args:
        worker: the worker of this process, which Ray passes to a function called on an actor; not used.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()
    return ray.get_runtime_context().get_node_id(), os.getpid()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def end_if_stopped(process: Process) -> None:
    """End a process of this node that is stopped (SIGSTOP): it never handles Ray's request to end."""
    node, number = process
    if node != ray.get_runtime_context().get_node_id():
        return
    with suppress(OSError):  # it has ended
        state = (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            os.kill(number, signal.SIGKILL)
