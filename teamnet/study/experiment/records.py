"""Records: a JSON object per line, in a file that is rewritten whenever an object is added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import teamnet
from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.check import check_folder
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import check_writable, make_folder
from teamnet.training.run_folder import FolderLock

Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Everything that determines an experiment's records, which are continued only with the same settings.

    Args:
        name: of the file that holds it.
        content: of the file.
    """

    name: str
    content: bytes

    @classmethod
    def of(cls, name: str, **values: Any) -> Settings:
        """Settings of values, which are JSON types, and the version of teamnet."""
        return cls(name, json.dumps({"version": teamnet.__version__, **values}, indent=2).encode())


class Records:
    """The records of an experiment and the files that are made from them, in a folder.

    ``rows`` are the records as in the file. The results of an earlier experiment stay until the first record of this
    one is added. It is a context, at whose end other processes may write to the folder again.

    Args:
        folder: their folder; made when the first record is added.
        kind: names the list of the files (:class:`OwnedFiles`).
        names: of the files that may be written; the first holds the records.
        overwrite: whether to replace the results of an earlier experiment.
        settings: determine the records. Existing records of the same settings are kept.

    Raises:
        SpecError: the folder cannot be used, another process writes to it, or it holds other results or files. Nothing
            is written then.
        CheckpointError: the existing records are damaged.
    """

    def __init__(
        self, folder: Path, kind: str, names: Sequence[str], *, overwrite: bool, settings: Settings | None = None
    ) -> None:
        check_folder("out", folder)
        check_writable(folder)
        self.files, self._kind, self._settings, self._overwrite = OwnedFiles(folder, kind), kind, settings, overwrite
        self._names = [*names, *([settings.name] if settings else [])]
        self._lock = FolderLock()
        with ExitStack() as unless_refused:
            unless_refused.enter_context(self._lock)
            self._lock.take(folder)
            self._is_new = not folder.exists()
            self.rows = self._earlier()
            unless_refused.pop_all()

    def _earlier(self) -> list[Record]:
        """The records that are continued."""
        folder, settings = self.files.folder, self._settings
        if not settings or self._overwrite or not (folder / settings.name).exists():
            self.files.check_new(self._names, overwrite=self._overwrite)
            return []
        self.files.check(self._names)
        if (folder / settings.name).read_bytes() != settings.content:
            raise SpecError(
                "out", expected=f"a new folder, or one of the same {self._kind}",
                found=f"another {self._kind} in {folder}", remedy="Give another --out, or --overwrite to replace it.",
            )
        return read_records(folder / self._names[0])

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__()

    def begin(self) -> None:
        """Make the folder, which other processes cannot write to from now on.

        Raises:
            SpecError: it cannot be made, or another process has made it meanwhile, and writes or has written to it.
        """
        make_folder(self.files.folder)
        self._lock.take(self.files.folder)
        if self._is_new:
            self.files.check_new(self._names, overwrite=self._overwrite)
            self._is_new = False

    def has(self, values: Record) -> bool:
        """Whether there is a record with these values."""
        return any(values.items() <= row.items() for row in self.rows)

    def drop(self, values: Record) -> None:
        """Leave out records with these values from now on; they stay on the disk until another one is added."""
        self.rows = [row for row in self.rows if not values.items() <= row.items()]

    def add(self, row: Record, place: int | None = None) -> None:
        """Add a record, which is on the disk when this returns; at a place among the others, or at the end."""
        if not self.rows:
            self.begin()
            self.files.remove_all()
            if self._settings:
                self.files.write(self._settings.name, self._settings.content)
        self.rows.insert(len(self.rows) if place is None else place, json.loads(json.dumps(row)))
        self.files.write(self._names[0], as_lines(self.rows))


def as_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The content of a file of records."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read_records(path: Path) -> list[Record]:
    """The records in a file; none if it does not exist.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a line without an object")
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            str(path), expected="a JSON object a line", found=str(error),
            remedy="Restore the file, or move it elsewhere."
        ) from None
    return rows
