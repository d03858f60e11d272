"""Writing in the background: a slow disk does not block the run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class Writer:
    """A thread that does one write after the other.

    An error is raised by the next call of :meth:`begin` or :meth:`wait`.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writer")
        self._writing: Future[Any] | None = None

    def begin(self, write: Callable[..., Any], *arguments: Any) -> None:
        """Call ``write(*arguments)`` once the previous write has ended; the arguments must not change any more."""
        self.wait()
        self._writing = self._thread.submit(write, *arguments)

    def wait(self) -> None:
        """Wait until the write that was begun has ended."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def close(self) -> None:
        """Wait for the write, whether it fails or not, and end the thread."""
        if self._writing:
            wait([self._writing])
        self._thread.shutdown()
