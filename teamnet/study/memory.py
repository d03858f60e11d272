"""What a process and all that descend from it hold in memory."""

from __future__ import annotations

import os
from pathlib import Path


def _own_bytes(process: int) -> int:
    """Memory that only this process holds."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def session_bytes() -> int:
    """Unique memory of this process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
    family, grown = {os.getpid()}, True
    while grown:
        more = {process for process, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    total = 0
    for process in family:
        try:
            total += _own_bytes(process)
        except OSError:
            continue
    return total
