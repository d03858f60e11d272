"""Writing beside the run: a disk that is slow holds nobody up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class Writer:
    """A thread that writes one thing after the other.

    What goes wrong is raised by whoever comes next: the next :meth:`begin`, or :meth:`wait`.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writer")
        self._writing: Future[Any] | None = None

    def begin(self, write: Callable[..., Any], *arguments: Any) -> None:
        """Call ``write(*arguments)`` once what was begun before is written; nothing in them may change any more."""
        self.wait()
        self._writing = self._thread.submit(write, *arguments)

    def wait(self) -> None:
        """Until what was begun is written."""
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def close(self) -> None:
        """The same, whether it goes well or not, and end the thread."""
        if self._writing:
            wait([self._writing])
        self._thread.shutdown()
