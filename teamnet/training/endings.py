"""How a run is asked to end: by an interrupt, by a scheduler, or by a terminal that closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppingOnSignals:
    """The first of SIGINT, SIGTERM and SIGHUP ends the run after the current step; a second one ends it at once.

    So does the first one while the run starts and has no current step. Threads other than the main one receive no
    signals, and install no handlers.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], None] | None = None
        self._asked = False
        self._before: dict[int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> StoppingOnSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def after_step(self, stop: Callable[[], None]) -> None:
        """From now on call ``stop`` at the first one; at once if one was received whose interrupt was suppressed."""
        self._stop = stop
        if self._asked:
            stop()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if again or self._stop is None:
            raise KeyboardInterrupt
        self._stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
