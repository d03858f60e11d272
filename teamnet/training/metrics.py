"""``metrics.jsonl``: one line for each episode of a run, or for each hundred batches of a single-step task."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teamnet.errors import CheckpointError, shown
from teamnet.training.atomic import having_room
from teamnet.training.task import MOST, Episode

if TYPE_CHECKING:
    from teamnet.training.run import Run

METRICS = "metrics.jsonl"
_NAMES = {"env_steps": int, "episode": int, "return": float, "length": int}


@dataclass(frozen=True)
class Extent:
    """The part of ``metrics.jsonl`` that a checkpoint or a summary records.

    Args:
        bytes: number of bytes from the beginning of the file.
        sha256: of these bytes, in hexadecimal digits.
    """

    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()

    def as_plain(self) -> dict[str, Any]:
        """The same as JSON types."""
        return asdict(self)


def extent_of(about: Mapping[str, Any]) -> Extent:
    """The extent of the metrics in a checkpoint's or a summary's JSON object; an empty one if it records none.

    Raises:
        ValueError: the recorded extent is invalid.
    """
    if "metrics" not in about:
        return Extent()
    plain = about["metrics"]
    if not isinstance(plain, dict) or plain.keys() != {"bytes", "sha256"}:
        raise ValueError(f"{shown(plain)} as the extent of the metrics")
    size, digest = plain["bytes"], plain["sha256"]
    if type(size) is not int or not 0 <= size <= MOST or not isinstance(digest, str):
        raise ValueError(f"{shown(plain)} as the extent of the metrics")
    return Extent(size, digest)


def is_metrics(content: bytes) -> bool:
    """Whether every line is one that :class:`MetricsFile` writes; the last one may be cut short."""
    *whole, rest = content.split(b"\n")
    start = b'{"env_steps": '
    return all(_is_line(line) for line in whole) and (rest.startswith(start) or start.startswith(rest))


def _is_line(line: bytes) -> bool:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(plain, dict) and list(plain) == list(_NAMES) and line + b"\n" == _line(plain)
        and all(type(plain[name]) is kind for name, kind in _NAMES.items())
    )


def _line(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain).encode() + b"\n"


def check_metrics(path: Path, extent: Extent) -> None:
    """Refuse a file that does not begin with the bytes that a checkpoint records, or that another program changed.

    Args:
        path: of the file; one that does not exist is accepted, as a run can continue without its earlier lines.
        extent: the part that the checkpoint records.

    Raises:
        CheckpointError: lines are missing or were altered.
    """
    if not path.exists():
        return
    with having_room(path):
        content = path.read_bytes()
    known, later = content[: extent.bytes], content[extent.bytes :]
    found = f"{len(content)} bytes" if len(known) < extent.bytes else "other content"
    if hashlib.sha256(known).hexdigest() != extent.sha256:
        raise CheckpointError(
            str(path), expected=f"the {extent.bytes} bytes that the run wrote before its checkpoint", found=found,
            remedy="Restore the file, or move it away: the run then continues with a new one.",
        )
    if not is_metrics(later):
        raise CheckpointError(
            str(path), expected=f"lines of the run after byte {extent.bytes}", found="lines that it did not write",
            remedy="Remove these lines, or move the file away: the run then continues with a new one.",
        )


class MetricsFile:
    """The file of a run, open for appending.

    Args:
        folder: of the run.
        extent: the part that a checkpoint records; the rest is removed, as a resumed run writes it again. The caller
            has checked it with :func:`check_metrics`. Without an extent there must be no such file yet.

    Raises:
        ResourceError: it cannot be opened.
    """

    def __init__(self, folder: Path, extent: Extent | None = None) -> None:
        self._path = folder / METRICS
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (os.O_EXCL if extent is None else 0)
        with having_room(self._path):
            self._file = os.fdopen(os.open(self._path, flags, 0o666), "r+b")
        try:
            self._digest, self._size = hashlib.sha256(), 0
            self._cut(extent or Extent())
        except BaseException:
            self.close()
            raise

    def _cut(self, extent: Extent) -> None:
        with having_room(self._path):
            self._file.seek(0)
            known = self._file.read(extent.bytes)
            self._file.seek(len(known))
            self._file.truncate()
        self._digest, self._size = hashlib.sha256(known), len(known)

    def episodes(self, episodes: list[Episode]) -> None:
        """See :class:`teamnet.training.outputs.Observer`."""
        for episode in episodes:
            line = _line({
                "env_steps": episode.env_steps, "episode": episode.episode, "return": episode.total,
                "length": episode.length,
            })
            with having_room(self._path):
                self._file.write(line)
            self._digest.update(line)
            self._size += len(line)

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """See :class:`teamnet.training.outputs.Observer`."""
        with having_room(self._path):
            self._file.flush()
        check_metrics(self._path, extent_of(about))
        self._cut(extent_of(about))

    def extent(self) -> Extent:
        """The part that is written so far, after a flush to the operating system."""
        with having_room(self._path):
            self._file.flush()
        return Extent(self._size, self._digest.hexdigest())

    def close(self) -> None:
        """See :class:`teamnet.training.outputs.Observer`; a resumed run writes again what a full disk rejects."""
        with suppress(OSError):
            self._file.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``.

    Raises:
        OSError: there is no such file.
        ValueError: a line is not JSON.
    """
    return [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
