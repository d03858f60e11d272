"""Where a calibration was made: processor, cores and versions; and where that of this machine is kept."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import teamnet
from teamnet.kernels.cache import user_folder
from teamnet.team.limits import processors

_PACKAGES = ("numba", "numpy", "ray")


@dataclass(frozen=True)
class Origin:
    """What the costs of a machine depend on.

    Args:
        processor: its name.
        cores: that this process may use.
        versions: of Python, teamnet and the packages that computation and actors depend on.
    """

    processor: str
    cores: int
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        texts = [self.processor, *self.versions, *self.versions.values()]
        if not (isinstance(self.cores, int) and self.cores >= 1 and all(isinstance(text, str) for text in texts)):
            raise ValueError("the origin of a calibration has a processor, cores and versions")

    def differences(self, other: Origin) -> list[str]:
        """What is different on another machine, or with other versions, as ``numba 0.61 (0.63)``."""
        mine, its = _entries(self), _entries(other)
        names = [name for name in {**mine, **its} if mine.get(name) != its.get(name)]
        return [f"{name} {mine.get(name, 'none')} ({its.get(name, 'none')})" for name in names]


def _entries(origin: Origin) -> dict[str, str]:
    return {"processor": origin.processor, "cores": str(origin.cores), **origin.versions}


def this_machine() -> Origin:
    """That of a calibration made now."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2]), "teamnet": teamnet.__version__}
    return Origin(_processor(), processors(), versions | {name: version(name) for name in _PACKAGES})


def _processor() -> str:
    """The processor's name as Linux or the platform knows it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def usual_path() -> Path:
    """Where the calibration of this machine is kept: in the user's cache, with another name for other versions.

    Raises:
        ResourceError: there is no writable cache folder.
    """
    origin = this_machine()
    digest = hashlib.sha256(json.dumps(asdict(origin), sort_keys=True).encode()).hexdigest()[:8]
    name = re.sub(r"[^a-z0-9]+", "-", f"{origin.processor} {origin.cores} cores".lower()).strip("-")
    return user_folder() / "machines" / f"{name}-{digest}.json"
