"""How a study was run: versions, CPUs and wall time, a line in ``goes.jsonl`` for each invocation of the command."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from teamnet.errors import CheckpointError
from teamnet.study.experiment.records import as_lines, read_records
from teamnet.training.owned_files import OwnedFiles

INVOCATIONS = "goes.jsonl"
_PACKAGES = (
    "teamnet", "numpy", "numba", "ray", "scipy", "gymnasium", "box2d", "box2d-py", "stable-baselines3", "torch"
)


@dataclass(frozen=True)
class Invocation:
    """One invocation of the command that executed some runs.

    Args:
        begun: date and time, UTC.
        seconds: wall time.
        finished: runs that it finished.
        cpus: the largest number of simultaneous runs.
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


class InvocationLog:
    """Updates ``goes.jsonl`` during an invocation, so that one that is killed is recorded too."""

    def __init__(self, files: OwnedFiles) -> None:
        self._files, self._earlier = files, read_invocations(files.folder)
        self._begun, self._wall = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), time.perf_counter()
        self._versions, self._finished = versions(), 0

    def finished(self, cpus: int) -> None:
        """Count a finished run; ``cpus`` is the largest number of simultaneous runs."""
        self._finished += 1
        seconds = round(time.perf_counter() - self._wall, 1)
        current = Invocation(self._begun, seconds, self._finished, cpus, self._versions)
        write_invocations(self._files, [*self._earlier, current])


def read_invocations(folder: Path) -> list[Invocation]:
    """All invocations so far; none if the runs were made in another way.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / INVOCATIONS
    try:
        return [Invocation(**row) for row in read_records(path)]
    except TypeError as error:
        raise CheckpointError(
            str(path), expected="a line for each invocation of the command", found=str(error),
            remedy="Restore the file, or move it elsewhere.",
        ) from None


def write_invocations(files: OwnedFiles, invocations: Sequence[Invocation]) -> None:
    """Write ``goes.jsonl`` among the files of a report; an invocation that is given twice is written once."""
    files.write(INVOCATIONS, as_lines(list({call.begun: asdict(call) for call in invocations}.values())))


def describe(command: str, invocations: Sequence[Invocation], training_seconds: float, runs: int) -> str:
    """Wall time and versions as two Markdown paragraphs."""
    text = f"{runs} runs with {clock(training_seconds)} of training, added up over runs of one core each."
    if invocations:
        most = max(call.cpus for call in invocations)
        at_once = f"up to {most} runs at once" if most > 1 else "one run at a time"
        text += f" `teamnet {command}` took {clock(sum(call.seconds for call in invocations))} of wall time, {at_once}."
    used = [call.versions for call in invocations] or [versions()]
    names = dict.fromkeys(name for packages in used for name in packages)
    listed = [
        f"{name} {', '.join(dict.fromkeys(packages[name] for packages in used if name in packages))}" for name in names
    ]
    return f"{text}\n\nMade with {'; '.join(listed)}."


def clock(seconds: float) -> str:
    """A duration as text: ``1 h 05 min``, ``12 min 03 s`` or ``9 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
