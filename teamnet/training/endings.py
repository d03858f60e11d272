"""How a run is asked to end: by an interrupt, by a scheduler, or by a terminal that closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handled_signals() -> Sequence[signal.Signals]:
    """Those of :data:`ENDING_SIGNALS` that this thread handles.

    None in threads other than the main one, which receive no signals; no SIGHUP that is ignored, as under ``nohup``.
    """
    if threading.current_thread() is not threading.main_thread():
        return ()
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return tuple(number for number in ENDING_SIGNALS if not (ignored and number == signal.SIGHUP))


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP raise ``KeyboardInterrupt``, as SIGINT does: what is open is closed."""
    numbers = [number for number in handled_signals() if signal.getsignal(number) == signal.SIG_DFL]
    try:
        for number in numbers:
            signal.signal(number, _interrupt)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class StoppingOnSignals:
    """The first of SIGINT, SIGTERM and SIGHUP ends the run after the current step; a second one ends it at once.

    So does the first one while the run starts and has no current step. Which ones: see :func:`handled_signals`.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], None] | None = None
        self._asked = False
        self._before: dict[int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> StoppingOnSignals:
        self._before = {number: signal.signal(number, self._handle) for number in handled_signals()}
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
