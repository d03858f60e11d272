"""Hold back signals that arrive in code that must complete, such as a step of a run, until it ends."""

from __future__ import annotations

import importlib
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

PATIENCE = 2.0
"""Seconds after which a repeated signal is no longer held back."""

Handler = Callable[[int, FrameType | None], Any]
_NUMBERS = tuple(int(number) for number in signal.valid_signals())
_signal: Any = importlib.import_module("_signal")
_handler_of, _set_handler = _signal.getsignal, _signal.signal
"""CPython's own functions, without the conversion to enumerations, which costs ten times as much."""


class HeldSignals:
    """Holds back the Python handlers of all signals while it is entered, and calls them at safe points.

    Python calls a signal's handler between any two instructions of the main thread, and most handlers raise, such as
    those of Ctrl-C and of timers. In a step of a run, that would leave some units a step ahead of others. In a step
    that does not end, a signal is handled after ``longest`` seconds, or when it is repeated after :data:`PATIENCE`
    seconds. Threads other than the main thread receive no signals.

    It can be entered more than once; the outermost exit restores the handlers.

    Args:
        longest: maximum seconds that a signal is held back, for steps that do not end.
    """

    def __init__(self, longest: float = 10.0) -> None:
        self.longest, self._depth = longest, 0
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
            except BaseException:  # raised by a handler that was still installed
                self._restore()
                raise
        self._depth += 1  # last: an earlier exception leaves the state unchanged
        return self

    def _hold(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._depth:  # other code saved this handler while signals were held, and restored it
            self._before[number](number, frame)
            return
        if number in self._waiting and now - self._since > PATIENCE:
            del self._waiting[number]
            self._before[number](number, frame)
            return
        if not self._waiting:
            self._since = now
            self._reminder = threading.Timer(self.longest, self._remind, (threading.get_ident(), number))
            self._reminder.daemon = True
            self._reminder.start()
        self._waiting[number] = frame

    def _remind(self, thread: int, number: int) -> None:
        if number in self._waiting:
            signal.pthread_kill(thread, number)

    def handle(self) -> None:
        """Call the handlers of the signals that have arrived; the caller is between two steps."""
        if self._reminder:
            self._reminder.cancel()
            self._reminder = None
        while self._waiting:
            number, frame = self._waiting.popitem()
            self._before[number](number, frame)

    def _restore(self) -> None:
        """Restore all handlers, even if restored ones raise; then raise the last exception."""
        raised: BaseException | None = None
        while True:
            try:
                for number, handler in self._before.items():
                    if _handler_of(number) == self._hold:  # otherwise the environment has set its own handler
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
    """Whether a handler is a method of an ``immediate`` object, whose signals are not held back."""
    return getattr(getattr(handler, "__self__", None), "immediate", False) is True
