"""The folder of a run: its content before the run begins, and which files may be replaced.

Nothing is removed that no run of teamnet has written: a file with a name that a run writes, but without the identity of
a run, refuses the folder. Files of other names stay as they are.
"""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path

from teamnet.errors import SpecError
from teamnet.spec.check import check_folder
from teamnet.training.atomic import DRAFT, having_room
from teamnet.training.checkpoint import PLACE, checkpoints_in
from teamnet.training.learning_curve import CURVE, run_of_curve
from teamnet.training.metrics import METRICS, is_metrics
from teamnet.training.run_files import SPEC, SUMMARY, check_writable, run_of
from teamnet.training.tensorboard import EVENTS, event_files

VIDEOS, BEST = "videos", "best"
"""Folders in that of a run: of recorded episodes, and of the best policy that evaluations found."""


@dataclass(frozen=True)
class Contents:
    """The content of a folder that concerns runs.

    Args:
        run: the run of ``spec.json``; empty if there is none.
        runs: all runs that have written something here.
    """

    run: str
    runs: frozenset[str]


def contents_of(folder: Path, only: str = "") -> Contents:
    """Find the runs in a folder.

    Args:
        folder: of a run.
        only: the run to which all files must belong, if a checkpoint names it; its metrics are already checked.

    Raises:
        SpecError: the folder cannot be written to, or a file that no run wrote has a name that a run needs.
    """
    check_folder("out", folder)
    check_writable(folder)
    run = run_of(folder / SPEC)
    own_metrics = only or (run if _is_own_metrics(folder / METRICS) else "")
    owners = {
        SPEC: run, SUMMARY: run_of(folder / SUMMARY), METRICS: own_metrics, CURVE: run_of_curve(folder / CURVE),
    }
    present = {name: owner for name, owner in owners.items() if os.path.lexists(folder / name)}
    for name, owner in present.items():
        if not owner or only not in ("", owner):
            raise _foreign(folder / name)
    if os.path.lexists(folder / EVENTS) and ((folder / EVENTS).is_symlink() or not (folder / EVENTS).is_dir()):
        raise _foreign(folder / EVENTS)
    saved = {found.run for found in checkpoints_in(folder) if run_of(found.path) == found.run}  # a name is no proof
    runs = {*present.values(), *saved}
    return Contents(run, frozenset(runs - {""}))


def _is_own_metrics(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and is_metrics(path.read_bytes())
    except OSError:
        return False


def _foreign(path: Path) -> SpecError:
    return SpecError(
        "out", expected=f"no {path.name}, or one that a run of teamnet wrote", found=f"{path}, which it did not write",
        remedy="Move the file away, or give another --out.",
    )


def check_free(folder: Path, *, overwrite: bool, own: str = "") -> Contents:
    """Refuse a folder that already holds a run but ``own``; nothing is changed. Returns the content of the folder.

    Raises:
        SpecError: there is a run in it, or :func:`contents_of` refuses it.
    """
    contents = contents_of(folder)
    if (others := contents.runs - {own}) and not overwrite:
        raise SpecError(
            "out", expected="a folder without a run", found=f"run {', '.join(sorted(others))} in {folder}",
            remedy="Give another --out, --resume-if-present to continue the run, or --overwrite to replace it.",
        )
    return contents


def clear(folder: Path, *, overwrite: bool, own: str) -> None:
    """Remove the runs that a new one replaces.

    Args:
        folder: which this process has locked; see :class:`FolderLock`.
        overwrite: whether there may be any.
        own: the new run, of which a callback may have saved something already.

    Raises:
        SpecError: see :func:`check_free`.
        ResourceError: a file cannot be removed.
    """
    contents = check_free(folder, overwrite=overwrite, own=own)
    replaced = [path for run in contents.runs - {own} for path in _files_of(folder, run)]
    if contents.run:  # removed last, so that after a crash the run is still found in the folder
        replaced += [folder / METRICS, folder / SPEC]
    for path in replaced:
        with having_room(path):
            path.unlink(missing_ok=True)


def _files_of(folder: Path, run: str) -> list[Path]:
    """The files of a run, except its spec and its metrics."""
    saved_in = (folder, folder / BEST)
    found = [saved.path for place in saved_in for saved in checkpoints_in(place) if saved.run == run]
    found += [path.with_suffix(".safetensors") for path in found]
    if run_of(folder / SUMMARY) == run:
        found.append(folder / SUMMARY)
    if run_of_curve(folder / CURVE) == run:
        found.append(folder / CURVE)
    found += [*event_files(folder, run), evaluations_of(folder, run)]
    video = re.compile(rf"{run}-\d+-episode-\d+\.mp4")
    found += [path for path in (folder / VIDEOS).glob(f"{run}-*") if video.fullmatch(path.name)]
    return [path for path in [*found, *drafts_of(folder, run)] if not path.is_dir() or path.is_symlink()]


def evaluations_of(folder: Path, run: str) -> Path:
    """The file with the evaluations of a run."""
    return folder / f"evaluations-{run}.jsonl"


def drafts_of(folder: Path, run: str) -> list[Path]:
    """Files that a process of the run had not completely written when it was killed."""
    draft = re.compile(rf"\..+\.{run}\.[0-9a-f]{{8}}{re.escape(DRAFT)}")
    return [path for path in folder.glob(f".*{DRAFT}") if draft.fullmatch(path.name)]


def remove_drafts(folder: Path, run: str) -> None:
    """Remove drafts, and arrays whose checkpoint was never finished, from a folder that this process has locked."""
    arrays = re.compile(rf"checkpoint-{PLACE}-{run}\.safetensors")
    unfinished = [
        path for path in folder.glob("checkpoint-*.safetensors")
        if arrays.fullmatch(path.name) and not path.with_suffix(".json").exists()
    ]
    for path in [*drafts_of(folder, run), *unfinished]:
        with having_room(path):
            path.unlink(missing_ok=True)


class FolderLock:
    """Keeps other processes from writing to a folder, without a file there; until it is closed."""

    def __init__(self) -> None:
        self._handle: int | None = None

    def take(self, folder: Path) -> None:
        """Lock a folder, if it exists and is not locked by this object already.

        Raises:
            SpecError: another process has locked it.
        """
        if self._handle is not None or not folder.is_dir():
            return
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(
                "out", expected="a folder that no other process writes to", found=f"{folder} is in use",
                remedy="Wait for the other command to end, or give another --out.",
            ) from None
        except OSError:  # a file system without locks
            return

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
