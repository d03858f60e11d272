"""The processes of a run, found by their parents, so that faults hit this run's alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

UNIT, CALLED, RELAY = "ray::BoardWorker", "ray::CallWorker", "ray::Node"
"""How the command lines of actors begin: of those that host a unit on a board or by calls, and of relays."""


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
    found, waiting = [], [root]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return command_lines(found)


def command_lines(numbers: Iterable[int]) -> dict[int, str]:
    """Of those processes that there still are."""
    found = {}
    for number in numbers:
        try:
            found[number] = (Path("/proc") / str(number) / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def running(processes: Mapping[int, str]) -> dict[int, str]:
    """Those of some processes that still run, and are the same."""
    return {
        number: line for number, line in command_lines(processes).items()
        if line[:12] == processes[number][:12] and not is_dead(number)
    }


def left_after(processes: Mapping[int, str], seconds: float) -> dict[int, str]:
    """Those that still run so many seconds later; returns earlier once there are none."""
    deadline = time.monotonic() + seconds
    while (left := running(processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def is_dead(number: int) -> bool:
    """Whether a process is gone, or but for the exit code that nobody has asked for."""
    try:
        return (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def actors(processes: Mapping[int, str], kind: str = UNIT) -> list[int]:
    """The actors among some processes."""
    return sorted(number for number, line in processes.items() if line.startswith(kind))


def raylets(processes: Mapping[int, str]) -> list[int]:
    """The raylets among some processes."""
    return [number for number, line in processes.items() if "/raylet/raylet" in line.split(" ")[0]]
