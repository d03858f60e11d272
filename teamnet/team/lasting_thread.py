"""A thread that starts processes which Linux ends together with the thread that started them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class LastingThread:
    """Starts processes for callers whose own thread may end sooner.

    A process with ``PR_SET_PDEATHSIG``, as those of Ray and the environment workers, is killed when the thread that
    started it ends, even if its process continues.
    """

    def __init__(self) -> None:
        self._over = threading.Event()

    def call(self, function: Callable[[], T]) -> T:
        """The result of a function that starts processes: called here in the main thread, else in a lasting one."""
        if threading.current_thread() is threading.main_thread():
            return function()
        result: Future[T] = Future()

        def work() -> None:
            try:
                result.set_result(function())
            except BaseException as error:
                result.set_exception(error)
            self._over.wait()

        threading.Thread(target=work, daemon=True, name="starts processes").start()
        return result.result()

    def end(self) -> None:
        """Let the threads end; the processes have ended."""
        self._over.set()
