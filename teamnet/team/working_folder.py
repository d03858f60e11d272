"""The working folder of a command, in processes elsewhere that do a part of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def working_folder() -> str:
    """The folder of this process; empty if it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def continue_in(folder: str) -> None:
    """Find the files and modules that the command names, where this node has its folder.

    Args:
        folder: the command's :func:`working_folder`.
    """
    if folder and Path(folder).is_dir():
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.append(folder)
