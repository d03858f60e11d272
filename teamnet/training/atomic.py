"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teamnet.errors import ResourceError

DRAFT = ".draft"
"""The suffix of a file that is not completely written."""
_FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


def write_atomically(path: Path, content: bytes, run: str = "") -> None:
    """Write a file so that its name always shows either the old content or the new, also after a crash.

    Args:
        path: of the file; a symbolic link there is replaced, not followed.
        content: of the file.
        run: the identity of the run that the file belongs to. It becomes part of the draft's name, so that the run
            can remove the draft after a crash.

    Raises:
        ResourceError: the file cannot be written.
    """
    owner = f"{run}." if run else ""
    draft = path.with_name(f".{path.name}.{owner}{secrets.token_hex(4)}{DRAFT}")
    with having_room(path):
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def having_room(path: Path) -> Iterator[None]:
    """Turn the errors of the operating system into one that names the file.

    Raises:
        ResourceError: an operation on the file failed.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise ResourceError(
            str(path), expected="room for it" if full else "a file that can be written", found=str(error),
            remedy=f"{'Make room' if full else 'Check its folder and permissions'}; a run continues from its newest "
            "checkpoint with teamnet resume.",
        ) from error
