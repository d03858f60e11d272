"""What a process and all that descend from it hold in memory."""

from __future__ import annotations

from contextlib import suppress

import psutil


def session_bytes() -> int:
    """Unique memory of this process and all that descend from it."""
    this, total = psutil.Process(), 0
    for process in (this, *this.children(recursive=True)):
        with suppress(psutil.Error):  # it has ended meanwhile
            total += process.memory_full_info().uss
    return total
