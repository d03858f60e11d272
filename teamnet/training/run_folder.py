"""The folder of a run: what is in it before the run begins, and what may be replaced.

Nothing is removed that no run of teamnet has written: a file with a name that a run writes, but without the identity of
a run, refuses the folder. Files of other names stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from teamnet.errors import SpecError
from teamnet.spec.check import check_folder
from teamnet.training.atomic import DRAFT, having_room
from teamnet.training.checkpoint import checkpoints_in
from teamnet.training.learning_curve import CURVE, run_of_curve
from teamnet.training.metrics import METRICS, is_metrics
from teamnet.training.run_files import SPEC, SUMMARY, check_writable, make_folder, run_of
from teamnet.training.tensorboard import EVENTS, event_files

VIDEOS = "videos"


@dataclass(frozen=True)
class Contents:
    """What a folder holds, as far as a run has to do with it.

    Args:
        run: the run of ``spec.json``; empty if there is none.
        runs: all runs that have written something here.
    """

    run: str
    runs: frozenset[str]


def look_into(folder: Path, metrics_of: str = "") -> Contents:
    """Find the runs in a folder.

    Args:
        folder: of a run.
        metrics_of: the run that the metrics belong to, where a checkpoint tells; else that of ``spec.json``.

    Raises:
        SpecError: the folder cannot be written to, or a file that no run wrote has a name that a run needs.
    """
    check_folder("out", folder)
    check_writable(folder)
    run = run_of(folder / SPEC)
    own_metrics = metrics_of or (run if _is_own_metrics(folder / METRICS) else "")
    owners = {
        SPEC: run, SUMMARY: run_of(folder / SUMMARY), METRICS: own_metrics, CURVE: run_of_curve(folder / CURVE),
    }
    there = {name: owner for name, owner in owners.items() if os.path.lexists(folder / name)}
    for name, owner in there.items():
        if not owner:
            raise _foreign(folder / name)
    if os.path.lexists(folder / EVENTS) and ((folder / EVENTS).is_symlink() or not (folder / EVENTS).is_dir()):
        raise _foreign(folder / EVENTS)
    saved = {found.run for found in checkpoints_in(folder) if run_of(found.path) == found.run}  # a name proves nothing
    runs = {*there.values(), *saved}
    return Contents(run, frozenset(runs - {""}))


def _is_own_metrics(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and is_metrics(path.read_bytes())
    except OSError:
        return False


def _foreign(path: Path) -> SpecError:
    return SpecError(
        "out", expected=f"no {path.name}, or one that a run of teamnet wrote", found=f"{path}, which it did not write",
        mend="Move the file away, or give another --out.",
    )


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder in which a new run would meet an old one; nothing is touched.

    Raises:
        SpecError: there is a run in it, or what :func:`look_into` refuses.
    """
    contents = look_into(folder)
    if contents.runs and not overwrite:
        raise SpecError(
            "out", expected="a folder without a run", found=f"run {', '.join(sorted(contents.runs))} in {folder}",
            mend="Give another --out, --resume-if-present to continue the run, or --overwrite to replace it.",
        )


def take(folder: Path, *, overwrite: bool) -> None:
    """Make the folder of a new run, and remove the runs that it replaces.

    Raises:
        SpecError: see :func:`check_free`.
        ResourceError: a file cannot be removed.
    """
    check_free(folder, overwrite=overwrite)
    contents = look_into(folder)
    make_folder(folder)
    replaced = [path for run in contents.runs for path in _files_of(folder, run) if not path.is_dir()]
    if contents.run:  # the last to go, so that a crash before leaves a folder in which the run is still seen
        replaced += [folder / METRICS, folder / SPEC]
    for path in replaced:
        with having_room(path):
            path.unlink(missing_ok=True)


def _files_of(folder: Path, run: str) -> Iterator[Path]:
    """The files of a run but for its spec and its metrics."""
    if run_of(folder / SUMMARY) == run:
        yield folder / SUMMARY
    if run_of_curve(folder / CURVE) == run:
        yield folder / CURVE
    yield from event_files(folder, run)
    yield from (folder / VIDEOS).glob(f"{run}-*")
    for path in folder.glob(f"checkpoint-*-{run}.*"):
        if path.suffix in (".json", ".safetensors"):
            yield path
    yield from drafts_of(folder, run)


def drafts_of(folder: Path, run: str) -> list[Path]:
    """Files that a process of the run had not written to their end when it was killed."""
    return list(folder.glob(f".*.{run}.*{DRAFT}"))


def remove_drafts(folder: Path, run: str) -> None:
    """Remove them; nobody else trains the run."""
    for path in drafts_of(folder, run):
        path.unlink(missing_ok=True)
