"""Resource limits of this process: the minimum over free memory, control groups, the Slurm job and CPU affinity.

Containers, Kubernetes and systemd set limits by control groups, version 1 or 2; a group's ancestors limit it as well. A
missing or damaged file sets no limit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MEGABYTE = 1 << 20


def available_memory(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> int:
    """Bytes that new processes can allocate without swapping and without being killed by a control group.

    Args:
        root: of the file system, with ``proc`` and the mounted control groups below it.
        environment: with Slurm's variables; this process's if left out.
    """
    environment = os.environ if environment is None else environment
    limits = [_slurm_memory(environment), *(_group_memory(group) for group in _groups(root, "memory"))]
    return max(0, min([_free_memory(root), *(limit for limit in limits if limit is not None)]))


def processors(
    root: Path = Path("/"), environment: Mapping[str, str] | None = None, allowed: int | None = None
) -> int:
    """Processors that this process may use, rounded down; at least 1.

    Args:
        root: see :func:`available_memory`.
        environment: see :func:`available_memory`.
        allowed: processors of the affinity mask; this process's if left out.
    """
    environment = os.environ if environment is None else environment
    allowed = len(os.sched_getaffinity(0)) if allowed is None else allowed
    limits = [_slurm_processors(environment), *(_group_processors(group) for group in _groups(root, "cpu"))]
    return max(1, int(min([allowed, *(limit for limit in limits if limit is not None)])))


@dataclass(frozen=True)
class _Group:
    """A control group: its folder, and the version of its files."""

    folder: Path
    version: int

    def text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def number(self, name: str) -> int | None:
        """The number in a file; ``None`` for ``max``, which means no limit."""
        return _number(self.text(name))

    def statistic(self, file: str, name: str) -> int:
        for line in self.text(file).splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return _number(value) or 0
        return 0


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _groups(root: Path, controller: str) -> Iterator[_Group]:
    """The groups of this process that limit ``controller``, and all their ancestors."""
    paths: dict[str, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        paths.update(dict.fromkeys(names.split(","), path))
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, system = before.split(), after.split()
        if len(fields) < 5 or len(system) < 3 or system[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if system[0] == "cgroup2" else 1
        if version == 1 and controller not in system[2].split(","):
            continue
        path = paths.get("" if version == 2 else controller)
        if path is not None:
            yield from _with_ancestors(root, path, fields[3], fields[4], version)


def _with_ancestors(root: Path, path: str, mounted: str, at: str, version: int) -> Iterator[_Group]:
    """The group ``path`` and its ancestors, in a hierarchy of which ``mounted`` is mounted at ``at``."""
    base = root / at.lstrip("/")
    try:
        below = PurePosixPath(path).relative_to(mounted)
    except ValueError:  # a container sees its own group as the root of the mount
        below = PurePosixPath()
    if ".." in below.parts:
        below = PurePosixPath()
    for part in (below, *below.parents):
        yield _Group(base / part, version)


def _group_memory(group: _Group) -> int | None:
    names = ("memory.max", "memory.high") if group.version == 2 else ("memory.limit_in_bytes",)
    limits = [limit for name in names if (limit := group.number(name)) is not None]
    if not limits:
        return None
    usage, cache = (
        ("memory.current", "inactive_file") if group.version == 2 else ("memory.usage_in_bytes", "total_inactive_file")
    )
    used = (group.number(usage) or 0) - group.statistic("memory.stat", cache)  # the kernel drops that cache first
    return min(limits) - max(0, used)


def _group_processors(group: _Group) -> float | None:
    if group.version == 2:
        quota, _, period = group.text("cpu.max").partition(" ")
    else:
        quota, period = group.text("cpu.cfs_quota_us"), group.text("cpu.cfs_period_us")
    allowed, interval = _number(quota), _number(period)
    return allowed / interval if allowed and interval else None


def _free_memory(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return (_number(line.split()[1]) or 0) * 1024
    return 0


def _slurm_memory(environment: Mapping[str, str]) -> int | None:
    """Memory of the job on this node in bytes; Slurm counts megabytes, and 0 means all memory."""
    per_node = _number(environment.get("SLURM_MEM_PER_NODE", ""))
    per_processor, count = (_number(environment.get(name, "")) for name in ("SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"))
    found = per_node or (per_processor or 0) * (count or 0)
    return found * _MEGABYTE or None


def _slurm_processors(environment: Mapping[str, str]) -> int | None:
    names = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
    return next((count for name in names if (count := _number(environment.get(name, "")))), None)
