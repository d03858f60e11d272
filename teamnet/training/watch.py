"""A timeout for calls of user code that may never return: of an environment."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from teamnet.errors import EnvironmentRefused

GRACE = 10.0
"""Seconds after the timeout at which a call that cannot be interrupted ends the process."""
_REFUSED = 2
_SIGNAL = signal.SIGUSR2

_Answer = TypeVar("_Answer")


class Watch:
    """Ends calls that take too long; only those of the main thread, as no other can be interrupted.

    A call that sleeps, waits for a socket or runs Python code gets an :class:`EnvironmentRefused`. One that is inside
    native code, or swallows exceptions, is not interrupted: the process then prints the same error and ends, as if it
    were killed; files on the disk stay.

    Args:
        where: whose calls they are, for the message.
        patience: seconds for each call; 0 for no limit.
    """

    immediate = True
    """Its signal is not deferred: it interrupts the environment."""

    def __init__(self, where: str, patience: float) -> None:
        self._where, self._patience = where, patience
        self._since = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: Any = None
        if patience > 0 and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(_SIGNAL, self._handle)
            self._thread = threading.Thread(target=self._query, daemon=True, name="watch")
            self._thread.start()

    def ask(self, call: Callable[..., _Answer], *arguments: Any, **keywords: Any) -> _Answer:
        """Return the result of ``call``.

        Raises:
            EnvironmentRefused: it took longer than the patience.
        """
        self._since = time.monotonic()
        try:
            return call(*arguments, **keywords)
        finally:
            self._since = 0.0

    def _overdue(self) -> float:
        """Seconds by which the current call is late, negative if it is not."""
        since = self._since
        return time.monotonic() - since - self._patience if since else -1.0

    def _query(self) -> None:
        interval = min(1.0, self._patience / 4)
        while not self._over.wait(interval):
            overdue = self._overdue()
            if overdue > GRACE:
                print(f"teamnet: {self._refusal()}", file=sys.stderr, flush=True)
                os._exit(_REFUSED)
            if overdue > 0:
                signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._overdue() > 0:
            raise self._refusal()
        if callable(self._before):
            self._before(number, frame)

    def _refusal(self) -> EnvironmentRefused:
        return EnvironmentRefused(
            self._where, expected=f"an answer within {self._patience:g} s", found="none",
            remedy="Fix the environment, or give it longer with --env-patience (0: no limit).",
        )

    def close(self) -> None:
        """Stop watching."""
        if self._thread:
            self._over.set()
            self._thread.join()
            self._thread = None
            here = threading.current_thread() is threading.main_thread()  # else our handler stays, and does nothing
            if here and signal.getsignal(_SIGNAL) == self._handle:  # else another handler replaced ours, and calls it
                signal.signal(_SIGNAL, self._before)
