"""The processes of a run, found by their parents, so that faults hit this run's alone."""

from __future__ import annotations

from pathlib import Path


def descendants(root: int) -> dict[int, str]:
    """The command lines of all processes below one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = {}, [root]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            waiting.append(child)
            try:
                found[child] = (Path("/proc") / str(child) / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return found


def actors(driver: int) -> list[int]:
    """The actors of a driver's private Ray that host units."""
    return sorted(number for number, line in descendants(driver).items() if line.startswith("ray::BoardWorker"))


def raylets(driver: int) -> list[int]:
    """The raylet of a driver's private Ray."""
    return [number for number, line in descendants(driver).items() if "/raylet/raylet" in line.split(" ")[0]]
