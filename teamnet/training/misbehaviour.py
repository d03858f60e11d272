"""Exceptions of environments, as errors that tell where they were raised."""

from __future__ import annotations

import traceback
from pathlib import Path

import teamnet
from teamnet.errors import EnvironmentRefused, TeamnetError

_PACKAGE = Path(teamnet.__file__).parent


def misbehaviour(where: str, expected: str, error: Exception) -> TeamnetError:
    """An exception of an environment, or one that its answer caused, as a ``TeamnetError``, which it may be already.

    Args:
        where: of the message.
        expected: of an answer that this package cannot use.
        error: the exception.
    """
    if isinstance(error, TeamnetError):
        return error
    found = f"{type(error).__name__}: {error}"
    if lines := noted(error) or getattr(error, "__notes__", None):
        return EnvironmentRefused(
            where, expected="an answer without an exception", found=f"{found}, {lines[-1]}",
            remedy="Correct the line; in Python the error has the traceback as its cause.",
        )
    return EnvironmentRefused(
        where, expected=expected, found=found,
        remedy="Check the environment with gymnasium.utils.env_checker.check_env.",
    )


def noted(error: Exception) -> list[str]:
    """Note with an exception where it was raised, as other processes do not get its traceback.

    Returns:
        The line, or nothing if it was raised in this package.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or Path(frames[-1].filename).is_relative_to(_PACKAGE):
        return []
    others = [frame for frame in frames if not Path(frame.filename).is_relative_to(_PACKAGE)]
    last = ([frame for frame in others if "site-packages" not in frame.filename] or others)[-1]
    note = f"raised at {last.filename}:{last.lineno}"
    error.add_note(note)
    return [note]
