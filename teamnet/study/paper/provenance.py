"""What a study was made with: versions, CPUs and wall time, a line in ``goes.jsonl`` for each go at it."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from teamnet.errors import CheckpointError
from teamnet.training.owned_files import OwnedFiles

GOES = "goes.jsonl"
_PACKAGES = (
    "teamnet", "numpy", "numba", "ray", "scipy", "gymnasium", "box2d", "box2d-py", "stable-baselines3", "torch"
)


@dataclass(frozen=True)
class Go:
    """One call of the command that did some runs.

    Args:
        begun: date and time, UTC.
        seconds: wall time.
        finished: runs that it finished.
        cpus: the most runs that went on at the same time.
        versions: of Python and the packages, by name.
    """

    begun: str
    seconds: float
    finished: int
    cpus: int
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that are installed here."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class GoRecord:
    """Keeps ``goes.jsonl`` up to date while a go lasts, so that one that is killed counts too."""

    def __init__(self, files: OwnedFiles) -> None:
        self._files = files
        self._earlier = read_goes(files.folder)
        self._begun, self._wall = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), time.perf_counter()
        self._versions = versions()
        self._finished = 0

    def finished(self, cpus: int) -> None:
        """Take note of a run that is finished; ``cpus`` runs went on at the same time at most."""
        self._finished += 1
        seconds = round(time.perf_counter() - self._wall, 1)
        write_goes(self._files, [*self._earlier, Go(self._begun, seconds, self._finished, cpus, self._versions)])


def read_goes(folder: Path) -> list[Go]:
    """All goes so far; none if the runs were made in another way.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / GOES
    try:
        return [Go(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            str(path), expected="a line for each call of the command", found=str(error),
            mend="Restore the file, or move it elsewhere.",
        ) from None


def write_goes(files: OwnedFiles, goes: Sequence[Go]) -> None:
    """``goes.jsonl`` among the files of a report, in which a call that is given twice stands once."""
    lines = {go.begun: json.dumps(asdict(go)) + "\n" for go in goes}
    files.write(GOES, "".join(lines.values()).encode())


def describe(command: str, goes: Sequence[Go], training_seconds: float, runs: int) -> str:
    """Wall time and versions as two Markdown paragraphs."""
    text = f"{runs} runs with {clock(training_seconds)} of training, added up over runs of one core each."
    if goes:
        text += (
            f" `teamnet {command}` was at it for {clock(sum(go.seconds for go in goes))} of wall time, up to "
            f"{max(go.cpus for go in goes)} runs at once."
        )
    used = [go.versions for go in goes] or [versions()]
    names = dict.fromkeys(name for its in used for name in its)
    listed = [f"{name} {', '.join(dict.fromkeys(its[name] for its in used if name in its))}" for name in names]
    return f"{text}\n\nMade with {'; '.join(listed)}."


def clock(seconds: float) -> str:
    """A duration for readers: ``1 h 05 min``, ``12 min 03 s`` or ``9 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"
