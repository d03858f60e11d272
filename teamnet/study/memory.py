"""The memory of a process and its descendants."""

from __future__ import annotations

from contextlib import suppress

import psutil


def session_bytes() -> int:
    """Unique memory of this process and its descendants."""
    root, total = psutil.Process(), 0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):  # the process has ended
            total += process.memory_full_info().uss
    return total
