"""The files of a run: each belongs to one run, by an identity that the run has from its beginning to its end.

``spec.json`` and ``summary.json`` hold the identity, checkpoints, event files and drafts have it in their names, and
the picture has it in a text chunk. ``metrics.jsonl`` holds only the episodes, so that two runs of one spec have
the same file; the summary and every checkpoint record its length and digest.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import teamnet
from teamnet.errors import CheckpointError, SpecError
from teamnet.kernels.user_file import Source, file_of, read_source, source_of
from teamnet.spec.check import check_folder
from teamnet.spec.files import to_plain
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.atomic import write_atomically
from teamnet.training.checkpoint import checksum
from teamnet.training.checkpoint_content import RUN
from teamnet.training.metrics import METRICS, Extent, check_metrics, extent_of, read_metrics

SPEC, SUMMARY = "spec.json", "summary.json"
_CHECKSUM = "checksum"


def new_run() -> str:
    """An identity that no other run has: twelve hexadecimal digits."""
    return secrets.token_hex(6)


def folder_name(task: str) -> str:
    """A task as the name of one folder, whatever it is: ``a/b.py:Class`` becomes ``a-b.py-Class``."""
    return re.sub(r"[^\w.+-]+", "-", task).strip("-.") or "task"


def write_spec(folder: Path, run: str, spec: RunSpec, launch: LaunchSpec) -> None:
    """``spec.json``, see :func:`spec_content`; with :func:`digests_of` the spec."""
    content = spec_content(run, to_plain(spec), launch=to_plain(launch), **digests_of(spec))
    write_atomically(folder / SPEC, content, run)


def digests_of(spec: RunSpec) -> dict[str, dict[str, str]]:
    """The SHA-256 of the files of a user's rules, functions, environment and wrappers that are found, by name.

    Of an environment and of wrappers it is the file that the spec names, without what that imports.

    Returns:
        ``sha256`` with the digests; nothing if there are none.
    """
    rules = {"rule": spec.rule, **{f"{name}.rule": team.rule for name, team in spec.teams.items() if team.rule}}
    sources = {name: source_of(type(rule)) for name, rule in rules.items()}
    users_files = {**{name: source.text for name, source in sources.items() if source}, **dict(spec.function_files)}
    for name, text in {"task": spec.task, **{f"wrappers: {each}": each for each in spec.wrappers}}.items():
        reference = text.partition("(")[0]
        with suppress(SpecError):  # an id of Gymnasium, or an object that Python code has given
            path = reference if reference.endswith(".py") else file_of(name, reference)
            users_files[name] = read_source(path, name).text
    return {"sha256": {name: Source(text, name).digest for name, text in users_files.items()}} if users_files else {}


def check_digests(path: Path, about: Mapping[str, Any], spec: RunSpec) -> None:
    """Refuse a run whose environment or wrappers were in a file that has another text now.

    Args:
        path: of the run's ``spec.json``, for the message.
        about: the object in it.
        spec: of the run.

    Raises:
        SpecError: naming what differs.
    """
    recorded = about.get("sha256", {})
    for name, digest in digests_of(spec).get("sha256", {}).items():
        if recorded.get(name, digest) != digest:
            raise SpecError(
                f"{path}: {name}", expected=f"a file with the digest {recorded[name][:12]}, as the run had it",
                found=f"one with {digest[:12]}",
                remedy="Restore the file, give another --out, or remove the runs with the other one.",
            )


def spec_content(run: str, spec: Mapping[str, Any], **about: Any) -> bytes:
    """The content of ``spec.json``: the version, the run, its spec, other fields, and a digest that detects changes."""
    content = {"version": teamnet.__version__, "run": run, "spec": spec, **about}
    content[_CHECKSUM] = checksum(content)
    return json.dumps(content, indent=2).encode()


def write_summary(folder: Path, run: str, summary: Mapping[str, Any], metrics: Extent) -> None:
    """``summary.json``; see :func:`summary_content`."""
    write_atomically(folder / SUMMARY, summary_content(run, summary, metrics), run)


def summary_content(run: str, summary: Mapping[str, Any], metrics: Extent) -> bytes:
    """The content of ``summary.json``: the summary, its run, and the extent of its metrics."""
    return json.dumps({**summary, "run": run, "metrics": metrics.as_plain()}, indent=2).encode()


def run_of(path: Path) -> str:
    """The run that a JSON file belongs to; empty if it belongs to none, or is no file."""
    try:
        run = json.loads(path.read_bytes()).get("run") if path.is_file() and not path.is_symlink() else ""
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return run if isinstance(run, str) and RUN.fullmatch(run) else ""


@dataclass(frozen=True)
class RunFiles:
    """The files of a run in its folder.

    Args:
        run: its identity.
        about: the object in ``spec.json``; its ``spec`` is the run's.
        summary: the object in ``summary.json``; ``None`` if the run has not reached its end.
        lines: of ``metrics.jsonl``.
    """

    run: str
    about: dict[str, Any]
    summary: dict[str, Any] | None
    lines: list[dict[str, Any]]


def read_run_files(folder: Path) -> RunFiles:
    """Read the files of a run, and check that they belong together.

    A summary of an earlier part of the run, which was resumed since, is left out.

    Raises:
        CheckpointError: a file is missing or damaged, or belongs to another run.
    """
    about = read_object(folder / SPEC)
    run, path = about.get("run"), folder / METRICS
    if not isinstance(run, str) or not RUN.fullmatch(run):
        raise _unfit(folder / SPEC, "the identity of a run", "none")
    if not isinstance(about.get("spec"), dict):
        raise _unfit(folder / SPEC, "the spec of a run", "none")
    summary = read_object(folder / SUMMARY) if (folder / SUMMARY).exists() else None
    if summary is not None and summary.get("run") != run:
        raise _unfit(folder / SUMMARY, f"a summary of run {run}, as {SPEC}", f"one of run {summary.get('run')}")
    try:
        content = path.read_bytes()
        lines = read_metrics(folder)
        extent = extent_of(summary or {})
    except (OSError, ValueError, RecursionError) as error:
        raise _unfit(path, "one JSON object per line", str(error)) from None
    if summary is not None:
        check_metrics(path, extent)
        if len(content) > extent.bytes:
            summary = None
    return RunFiles(run, about, summary, lines)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a run.

    Raises:
        CheckpointError: there is none.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unfit(path, "a JSON object", str(error)) from None
    if not isinstance(content, dict):
        raise _unfit(path, "a JSON object", type(content).__name__)
    return content


def _unfit(path: Path, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        str(path), expected=expected, found=found,
        remedy="Restore the files of one run, or remove the folder and run it again.",
    )


def changed_by_hand(folder: Path) -> dict[str, Any] | None:
    """The object in ``spec.json`` if it is not what the run wrote; ``None`` if it is, or if there is no such file."""
    if not (folder / SPEC).exists():
        return None
    about = read_object(folder / SPEC)
    content = {name: value for name, value in about.items() if name != _CHECKSUM}
    return about if about.get(_CHECKSUM) != checksum(content) else None


def check_writable(path: Path, option: str = "out") -> None:
    """Refuse a folder that cannot be made or written to; nothing is made or written.

    Args:
        path: of the folder.
        option: that gave it, for the message.

    Raises:
        SpecError: naming the option.
    """
    found = ""
    try:
        existing = next(parent for parent in (path, *path.absolute().parents) if os.path.lexists(parent))
        if not existing.is_dir():
            found = f"{existing} is no folder"
        elif not os.access(existing, os.W_OK | os.X_OK):
            found = f"{existing} cannot be written to"
    except (OSError, ValueError) as error:  # a name that no folder can have
        found = str(error)
    if found:
        raise SpecError(
            option, expected="a folder that can be written to", found=found, remedy="Give another folder."
        )


def existing_folder(folder: str | Path) -> Path:
    """A folder for files of a run, which is made if it does not exist.

    Raises:
        SpecError: it has no name, or cannot be made.
    """
    check_folder("folder", folder)
    make_folder(Path(folder), "folder")
    return Path(folder)


def make_folder(path: Path, option: str = "out") -> None:
    """Make a folder, and those above it.

    Raises:
        SpecError: it cannot be made; ``option`` is named.
    """
    check_writable(path, option)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(
            option, expected="a folder that can be made", found=str(error), remedy="Give another folder."
        ) from None
