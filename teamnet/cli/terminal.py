"""What all commands share: exit codes, and messages that do not mix with results."""

from __future__ import annotations

import sys

REFUSED, INTERRUPTED = 2, 130
"""Exit codes beside 0, and 1 for a check that failed."""


def say(message: str) -> None:
    """Print a message to the standard error, so that the standard output holds results alone."""
    print(message, file=sys.stderr)
