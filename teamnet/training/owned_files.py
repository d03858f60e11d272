"""Which files of a folder teamnet wrote: nothing else is ever replaced or deleted.

A hidden file, ``.teamnet-<kind>.json``, lists the SHA-256 digest of everything that a kind of command has written to a
folder. A file is teamnet's own as long as its content is listed. All else is the user's: files of other programs, files
that were changed by hand, links, and files whose list is damaged or was left behind when they were copied.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from teamnet.errors import SpecError, shown
from teamnet.training.atomic import having_room, write_atomically

_FORMAT = 1
_DIGEST = re.compile("[0-9a-f]{64}")


class OwnedFiles:
    """The files that one kind of command keeps in a folder.

    Args:
        folder: where they are; it need not exist before the first is written.
        kind: part of the name of the list of files.
        option: of the command line that gave the folder; errors name it.
    """

    def __init__(self, folder: Path, kind: str, option: str = "out") -> None:
        self.folder, self._kind, self._option = folder, kind, option
        self._list = folder / f".teamnet-{kind}.json"

    def check(self, names: Iterable[str]) -> None:
        """Refuse to replace anything but teamnet's own files; changes nothing.

        Args:
            names: of the files that are to be written, relative to the folder, with ``/``.

        Raises:
            SpecError: one of them exists and is not teamnet's own.
        """
        listed = self._read()
        for name in names:
            self._check(name, listed)

    def check_new(self, names: Iterable[str], *, overwrite: bool) -> None:
        """As :meth:`check`, where all results of an earlier command are to be replaced, or where there must be none.

        Args:
            names: as for :meth:`check`.
            overwrite: whether there may be earlier results.

        Raises:
            SpecError: there are earlier results and ``overwrite`` is false, or a file is not teamnet's own.
        """
        listed, present = self._read(), self.names()
        if present and not overwrite:
            raise SpecError(
                self._option, expected="a folder without results", found=str(self.folder / present[0]),
                remedy=f"Give another --{self._option}, or --overwrite to replace them.",
            )
        for name in (*names, *present):
            self._check(name, listed)

    def names(self) -> list[str]:
        """The names of teamnet's own files that exist."""
        return [name for name in self._read() if self._digest(name) is not None]

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically: it has either its old content or the new one, and is teamnet's own with both.

        Raises:
            SpecError: it exists and is not teamnet's own.
            ResourceError: it cannot be written.
        """
        listed = self._read()
        self._check(name, listed)
        old, new = self._digest(name), hashlib.sha256(content).hexdigest()
        if old == new:
            return
        path = self.folder / name
        with having_room(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._write_list(listed | {name: [digest for digest in (old, new) if digest]})
        write_atomically(path, content)

    def remove(self, name: str) -> None:
        """Delete a file, if it exists.

        Raises:
            SpecError: it is not teamnet's own.
            ResourceError: it cannot be deleted.
        """
        listed = self._read()
        self._check(name, listed)
        if name in listed:
            with having_room(self.folder / name):
                (self.folder / name).unlink(missing_ok=True)
            self._write_list({key: digests for key, digests in listed.items() if key != name})

    def remove_all(self) -> None:
        """Delete all of teamnet's own files, those written last first, and the list.

        Raises:
            SpecError: one was changed since; nothing is deleted then.
            ResourceError: one cannot be deleted.
        """
        listed = self._read()
        for name in listed:
            self._check(name, listed)
        for path in (*(self.folder / name for name in reversed(listed)), self._list):
            with having_room(path):
                path.unlink(missing_ok=True)

    def _check(self, name: str, listed: dict[str, list[str]]) -> None:
        digest = self._digest(name)
        if digest is not None and digest not in listed.get(name, ()):
            raise self._refusal(name, "which teamnet did not write, or which was changed since")

    def _digest(self, name: str) -> str | None:
        """The digest of a file's content; ``None`` if it does not exist."""
        path = self.folder / name
        for parent in list(PurePosixPath(name).parents)[:-1]:
            if os.path.lexists(above := self.folder / parent) and (above.is_symlink() or not above.is_dir()):
                raise self._refusal(str(parent), "which is not a folder")
        if not os.path.lexists(path):
            return None
        if path.is_symlink() or not path.is_file():
            raise self._refusal(name, "which is not a plain file")
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise self._refusal(name, f"which cannot be read: {error}") from None

    def _refusal(self, name: str, reason: str) -> SpecError:
        return SpecError(
            self._option, expected="no file where teamnet is to write, or its own",
            found=f"{self.folder / name}, {reason}",
            remedy=f"Move it elsewhere, or give another --{self._option}; teamnet replaces only what it wrote.",
        )

    def _read(self) -> dict[str, list[str]]:
        """Every listed name with its digests: of the content, or of the old and the new one while it is written."""
        if not os.path.lexists(self._list):
            return {}
        try:
            if self._list.is_symlink():
                raise ValueError("it is a link")
            content = json.loads(self._list.read_bytes())
            if (content["format"], content["kind"]) != (_FORMAT, self._kind):
                raise ValueError("another format or kind")
            for name, digests in content["files"].items():
                if not (_is_below(name) and isinstance(digests, list) and all(map(_DIGEST.fullmatch, digests))):
                    raise ValueError(f"{shown(digests)} for {shown(name)}")
            return content["files"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self._refusal(
                self._list.name, f"which is not as teamnet writes it ({type(error).__name__}: {error})"
            ) from None

    def _write_list(self, files: dict[str, list[str]]) -> None:
        content: dict[str, Any] = {"format": _FORMAT, "kind": self._kind, "files": files}
        write_atomically(self._list, (json.dumps(content, indent=1) + "\n").encode())


def _is_below(name: str) -> bool:
    """Whether a name is that of a file in the folder or in folders below it, in normal form."""
    path = PurePosixPath(name)
    return str(path) == name and path.name != "" and not path.is_absolute() and ".." not in path.parts
