"""A finished run of a study: the content of its files, and how they are written to its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from teamnet.study.experiment.records import as_lines
from teamnet.training.metrics import METRICS, Extent
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import SPEC, SUMMARY, new_run, spec_content, summary_content

ERROR_FILE = "error.txt"
RUN_FILES = (SPEC, METRICS, SUMMARY)
"""The files of a finished run in the order of writing: the summary, which marks it as finished, is last."""


def content_of_run(
    spec: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], **about: Any
) -> dict[str, bytes]:
    """The content of the files of a run, by name; they share an identity.

    Args:
        spec: what determines the run, as JSON types.
        lines: of ``metrics.jsonl``.
        summary: of the run, as JSON types.
        about: further entries of ``spec.json``, as JSON types.
    """
    run = new_run()
    metrics = as_lines(lines)
    extent = Extent(len(metrics), hashlib.sha256(metrics).hexdigest())
    return {
        SPEC: spec_content(run, spec, **about), METRICS: metrics, SUMMARY: summary_content(run, summary, extent),
    }


def files_of_run(folder: Path) -> OwnedFiles:
    """The files of a study's run in its folder."""
    return OwnedFiles(folder, "run")


def keep_run(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a finished run to its folder, where it replaces an earlier, an unfinished or a failed one.

    The old summary is removed first and the new one is written last, so that a summary is never next to
    another run's files.

    Raises:
        SpecError: a file there is not from a study's run.
        ResourceError: a file cannot be written.
    """
    owned = files_of_run(folder)
    owned.check((*RUN_FILES, ERROR_FILE))
    owned.remove(SUMMARY)
    for name in RUN_FILES:
        owned.write(name, files[name])
    owned.remove(ERROR_FILE)


def keep_error(folder: Path, message: str) -> None:
    """Write why a run failed to its folder."""
    files_of_run(folder).write(ERROR_FILE, f"{message}\n".encode())
