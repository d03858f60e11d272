"""Workers do not outlive the Ray node that started them, nor their worker pool."""

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
"""The Ray node of a process, and its number there."""


def end_with_parent(worker: object) -> Process:
    """Have this process end once its parent has: a raylet that is killed leaves its workers behind.

    Args:
        worker: that this process hosts, as Ray calls a function on an actor; not used.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()
    return ray.get_runtime_context().get_node_id(), os.getpid()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def end_if_stopped(process: Process) -> None:
    """End a process of this node that is stopped (SIGSTOP): Ray asks it to end, which it never hears."""
    node, number = process
    if node != ray.get_runtime_context().get_node_id():
        return
    with suppress(OSError):  # it has ended
        state = (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            os.kill(number, signal.SIGKILL)
