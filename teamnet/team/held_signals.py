"""Signals that arrive inside what must not be left half done, such as a step of a run, wait for its end."""

from __future__ import annotations

import importlib
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

PATIENCE = 2.0
"""Seconds after which a signal that comes again is no longer held back."""
LONGEST = 10.0
"""Seconds that a signal is held back at most: the step does not seem to end."""

Handler = Callable[[int, FrameType | None], Any]
_NUMBERS = tuple(int(number) for number in signal.valid_signals())
_signal: Any = importlib.import_module("_signal")
_handler_of, _set_handler = _signal.getsignal, _signal.signal
"""CPython's own functions, without the conversion to enumerations, which costs ten times as much."""


class HeldSignals:
    """Holds back the Python handlers of all signals while it is entered, and calls them at safe points.

    Python calls a signal's handler between any two instructions of the main thread, and most handlers raise: Ctrl-C
    does, and so do timers. Inside a step of a run that would leave some units a step ahead of others. In a step that
    does not end, a signal is handled after :data:`LONGEST` seconds, or when it comes again after :data:`PATIENCE`
    seconds. Threads other than the main one get no signals.

    It can be entered more than once; the outermost exit restores the handlers.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._before: dict[int, Handler] = {}
        self._waiting: dict[int, FrameType | None] = {}
        self._since = 0.0
        self._reminder: threading.Timer | None = None

    def __enter__(self) -> HeldSignals:
        if self._depth == 0 and threading.current_thread() is threading.main_thread():
            try:
                for number in _NUMBERS:
                    handler = _handler_of(number)
                    if callable(handler) and not _is_immediate(handler):
                        self._before[number] = handler
                        _set_handler(number, self._hold)
            except BaseException:  # raised by a handler that was still in its place
                self._restore()
                raise
        self._depth += 1  # last: an exception before leaves everything as it was
        return self

    def _hold(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._depth:  # somebody has put this handler back who found it while signals were held
            self._before[number](number, frame)
            return
        if number in self._waiting and now - self._since > PATIENCE:
            del self._waiting[number]
            self._before[number](number, frame)
            return
        if not self._waiting:
            self._since = now
            self._reminder = threading.Timer(LONGEST, self._remind, (threading.get_ident(), number))
            self._reminder.daemon = True
            self._reminder.start()
        self._waiting[number] = frame

    def _remind(self, thread: int, number: int) -> None:
        if number in self._waiting:
            signal.pthread_kill(thread, number)

    def handle(self) -> None:
        """Call the handlers of the signals that have come; the caller is between two steps."""
        if self._reminder:
            self._reminder.cancel()
            self._reminder = None
        while self._waiting:
            number, frame = self._waiting.popitem()
            self._before[number](number, frame)

    def _restore(self) -> None:
        """Put all handlers back, whatever those that are back already raise; raises the last of it."""
        raised: BaseException | None = None
        while True:
            try:
                for number, handler in self._before.items():
                    if _handler_of(number) == self._hold:  # else the environment has taken the signal over
                        _set_handler(number, handler)
                break
            except BaseException as error:
                raised = error
        if raised:
            raise raised

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        try:
            self._restore()
        finally:
            self.handle()


def _is_immediate(handler: Any) -> bool:
    """Whether a handler is a method of an object that says that its signals are not held back."""
    return getattr(getattr(handler, "__self__", None), "immediate", False) is True
