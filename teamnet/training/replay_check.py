"""Whether a checkpoint's episode can be replayed, tested on a copy of the environments in another process.

A resumed run replays the current episode from its generator and its actions. An environment that depends on anything
else does not reach the same observation; the check detects this before the run has to be resumed. The copy is a forked
process: it has the environments as they are, so that none is made, and its changes to them or to the process end with
it. It has no access to the files and connections of this process. It ends at a timeout.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from teamnet.training.task import Task, comes_back

SECONDS = 30.0
"""The longest that a check takes."""
_SAME, _OTHER, _UNKNOWN = b"=", b"!", b"?"
_END_WITH_PARENT = 1
_TRIED = 3
"""Number of a run's checkpoints that are checked."""


class ReplayCheck:
    """A check in the background.

    Args:
        task: in the state ``state``.
        state: what :meth:`teamnet.training.task.Task.state` returned.
        observation: float64 ``(rows, size)``, which the replay must reach.
        seconds: timeout of the check.
    """

    def __init__(
        self, task: Task, state: dict[str, Any], observation: np.ndarray, seconds: float = SECONDS
    ) -> None:
        self._deadline = time.monotonic() + seconds
        self._result: bool | None = None
        self._pipe, answer = os.pipe()
        self.ended = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # about threads, none of which the copy needs
                self._process = os.fork()
        except OSError:  # the machine allows no more processes, and the check has no result
            os.close(answer)
            os.close(self._pipe)
            self.ended = True
            return
        if self._process == 0:
            _check_here(answer, task, state, observation, seconds)
        os.close(answer)

    def result(self, *, wait: bool) -> bool | None:
        """Whether the episode can be replayed; ``None`` as long as that is not known, or if the check failed.

        Args:
            wait: until it has ended or timed out.
        """
        if not self.ended:
            left = max(0.0, self._deadline - time.monotonic()) if wait else 0.0
            answered = select.poll()  # unlike select.select, for any number of open files
            answered.register(self._pipe, select.POLLIN | select.POLLHUP)
            if answered.poll(1000 * left):
                answer = os.read(self._pipe, 1)
                self._result = {_SAME: True, _OTHER: False}.get(answer)
                self.close()
            elif time.monotonic() >= self._deadline:
                self.close()
        return self._result

    def close(self) -> None:
        """End the check."""
        if self.ended:
            return
        self.ended = True
        os.close(self._pipe)
        with suppress(ChildProcessError):  # it was reaped elsewhere, and its id may be another process's
            if os.waitpid(self._process, os.WNOHANG)[0] == 0:
                os.kill(self._process, signal.SIGKILL)
                os.waitpid(self._process, 0)


class ReplayRecord:
    """The results of a run's checks: its first checkpoints are checked, until one cannot be replayed.

    Args:
        task: whose environments are checked, for the message.
        say: called once it is known that checkpoints cannot be resumed.
        enabled: whether to check at all.
    """

    def __init__(self, task: str, say: Callable[[str], None], *, enabled: bool) -> None:
        self._left = _TRIED if enabled else 0
        self._task, self._say = task, say
        self._running: ReplayCheck | None = None
        self.replayable: bool | None = None

    def begin(self, check: Callable[[], ReplayCheck | None]) -> None:
        """Begin a check of the state that is being saved, unless one is running or enough have ended."""
        self.look()
        if self._left and not self._running and self.replayable is not False:
            self._left -= 1
            self._running = check()

    def look(self, *, wait: bool = False) -> bool | None:
        """Whether checkpoints can be resumed, as far as it is known; ``wait`` for the check that is running."""
        if self._running:
            found = self._running.result(wait=wait)
            if self._running.ended:
                self._running = None
                self.replayable = self.replayable if found is None else found
                if found is False:
                    self._say(
                        f"{self._task} depends on more than its generator and actions, so that neither this run nor "
                        "`teamnet resume` can continue from a checkpoint; `teamnet eval` can use it"
                    )
        return self.replayable

    def close(self) -> None:
        """End the check that is running."""
        if self._running:
            self._running.close()


def _check_here(
    answer: int, task: Task, state: dict[str, Any], observation: np.ndarray, seconds: float
) -> None:
    """Do the check in the forked process, and end it without clean-up, which the parent process does."""
    found = _UNKNOWN
    try:
        gc.disable()
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
        _close_files(answer)
        signal.setitimer(signal.ITIMER_REAL, seconds)  # whose handler is the default one, which ends the process
        task.detach()
        found = _SAME if comes_back(task, state, observation) else _OTHER
    except BaseException:  # the environment does not work in a copy: no result
        found = _UNKNOWN
    finally:
        with suppress(BaseException):
            os.write(answer, found)
        os._exit(0)


def _close_files(kept: int) -> None:
    """Redirect every open file but one to ``/dev/null``: the parent process still uses them."""
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (kept, null):
            with suppress(OSError):
                os.dup2(null, int(name))
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
