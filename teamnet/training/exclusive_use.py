"""A run is used by one thread at a time, in the process that made it, until it is closed."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from teamnet.errors import Closed, InUse
from teamnet.team.held_signals import HeldSignals


class ExclusiveUse(HeldSignals):
    """Refuses a second thread while it is entered, a forked process, and every use after :meth:`close`.

    Signals are held back meanwhile. The same thread can enter it again, as callbacks do that use the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock, self._process, self._open = threading.RLock(), os.getpid(), True

    def close(self) -> bool:
        """Refuse every later use; returns whether the run is to be closed: a second time, or in a fork, it is not."""
        was_open, self._open = self._open, False
        return was_open and os.getpid() == self._process

    def check(self) -> None:
        """Refuse a run that cannot be used any more.

        Raises:
            Closed: the run was closed, or this process is a fork of the one that made it.
        """
        if not self._open:
            raise Closed("run", expected="an open run", found="one that was closed", remedy="Make or load a new one.")
        if os.getpid() != self._process:
            raise Closed(
                "run", expected="the process that made the run", found="a fork of it",
                remedy="Make or load the agent in the process that uses it, or give that one a TrainedPolicy.",
            )

    def __enter__(self) -> HeldSignals:
        """Begin a use.

        Raises:
            Closed: see :meth:`check`.
            InUse: another thread uses the run.
        """
        self.check()
        if not self._lock.acquire(blocking=False):
            raise InUse(
                "run", expected="one thread at a time", found="a call while another thread uses the run",
                remedy="Wait until learn has returned, or use the run in a callback of learn.",
            )
        try:
            return super().__enter__()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self._lock.release()
