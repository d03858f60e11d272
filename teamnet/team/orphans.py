"""Workers do not outlive the Ray node that started them."""

from __future__ import annotations

import os
import threading
import time

_LOOK_EVERY = 1.0


def end_with_parent(worker: object) -> None:
    """Have this process end once its parent has: a raylet that is killed leaves its workers behind.

    Args:
        worker: that this process hosts, as Ray calls a function on an actor; not used.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)
