"""What all commands share: exit codes, and messages that do not mix with results."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO, cast

from teamnet.errors import Notice, TeamnetError
from teamnet.training.endings import interrupting_signals

REFUSED, INTERRUPTED, UNREAD = 2, 130, 141
"""Exit codes beside 0, and 1 for a check that failed: the last two are those of a shell for SIGINT and SIGPIPE."""


def say(message: str) -> None:
    """Print a message to the standard error, so that the standard output holds results alone."""
    print(message, file=sys.stderr)


_SHOW = warnings.showwarning


def _show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
    """Print what this package has to say without the place in its code."""
    if issubclass(category, Notice):
        say(f"teamnet: {message}")
    else:
        _SHOW(message, category, *where, **options)


class _ToTerminal(logging.Handler):
    """Messages of the package to the standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        say(record.getMessage())


class _Lasting:
    """A stream that drops what it cannot write, so that the command continues.

    A broken pipe or a terminal that is gone would else end a training, by way of the library that draws its progress.

    Args:
        stream: the standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def prepare_streams() -> None:
    """Have every standard stream open and able to write any text, whatever the shell and the locale are.

    Files that are opened later would take the number of a closed stream, and what native code prints would go there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # print would take the standard output instead
        sys.stderr = open(2, "w")  # noqa: SIM115 - it lasts as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not isinstance(sys.stderr, _Lasting):
        sys.stderr = cast(TextIO, _Lasting(sys.stderr))
    logger = logging.getLogger("teamnet")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _ToTerminal) for handler in logger.handlers):
        logger.addHandler(_ToTerminal())
    warnings.showwarning = _show


def exit_code_of(command: Callable[[], int]) -> int:
    """Run a command; what goes wrong in its set-up ends in one message and an exit code."""
    code, output = _outcome(command), sys.stdout
    if output is None:
        return code
    try:
        output.flush()
    except OSError as error:
        with open(os.devnull, "w") as nowhere:  # the interpreter would try once more, and print a traceback
            os.dup2(nowhere.fileno(), output.fileno())
        if isinstance(error, BrokenPipeError):
            return UNREAD
        say(f"teamnet: standard output: {error.strerror}")
        return REFUSED
    return code


def _outcome(command: Callable[[], int]) -> int:
    try:
        with interrupting_signals():
            return command()
    except SystemExit as ended:  # of the parser of options
        return ended.code if isinstance(ended.code, int) else REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return UNREAD
    except MemoryError:
        say("teamnet: memory: expected room for the run; found too little. Use smaller layers or fewer environments.")
    except (TeamnetError, OSError) as error:
        say(f"teamnet: {error}")
    return REFUSED
