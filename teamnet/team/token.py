"""The token that Ray requires of processes that join a cluster: its location, and file permissions for its owner alone.

Ray reads it from ``$RAY_AUTH_TOKEN``, or from the file that ``$RAY_AUTH_TOKEN_PATH`` names, else ``~/.ray/auth_token``.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from teamnet.errors import ResourceError

_BYTES = 32
_OTHERS = 0o077


def token_path(environment: Mapping[str, str]) -> Path:
    """The file that Ray reads the token from."""
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else Path("~/.ray/auth_token").expanduser()


def token_of(environment: Mapping[str, str]) -> str:
    """The token that Ray would send; empty if there is none."""
    if token := environment.get("RAY_AUTH_TOKEN"):
        return token
    try:
        return token_path(environment).read_text().strip()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return ""


def ensure_token(environment: Mapping[str, str]) -> None:
    """Create a token for a cluster that is about to be started, if there is none.

    Permissions of other users on the file are removed; Ray itself would create it with default permissions.

    Raises:
        ResourceError: the token's file cannot be written, or is empty.
    """
    if environment.get("RAY_AUTH_TOKEN"):
        return
    try:
        path = token_path(environment)
    except RuntimeError as error:
        raise ResourceError(
            "~", expected="a home folder for the token of the Ray cluster", found=str(error),
            remedy="Name a file for it in RAY_AUTH_TOKEN_PATH.",
        ) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(_BYTES))
        try:
            os.link(draft, path)  # atomically, and only if there is none yet
        except FileExistsError:
            if path.stat().st_mode & _OTHERS:
                path.chmod(0o600)
        finally:
            draft.unlink()
        if not path.read_text().strip():
            raise ResourceError(
                str(path), expected="a token", found="an empty file",
                remedy="Remove the file; a token is created when a cluster is started.",
            )
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(
            str(path), expected="a file for the token of the Ray cluster", found=str(error),
            remedy="Name another one in RAY_AUTH_TOKEN_PATH.",
        ) from None
