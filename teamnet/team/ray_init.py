"""``ray.init`` for joining and for starting a cluster: without output, keeping signal handlers, with a token mode."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import ray
from ray._raylet import (  # pyright: ignore[reportAttributeAccessIssue] - compiled, without type hints
    AuthenticationTokenLoader,  # pyright: ignore[reportAttributeAccessIssue]
    Config,  # pyright: ignore[reportAttributeAccessIssue]
)

from teamnet.team.held_signals import HeldSignals

_MODE = "RAY_AUTH_MODE"

_LONGEST_START = 60.0
"""Seconds that a signal waits for ``ray.init``.

An exception in its native code can leave it waiting forever. If it is raised while the connection is created,
``ray.shutdown`` does not close the connection (2.60), and the process ends with SIGSEGV.
"""

Mode = Literal["token", "disabled"]
"""Whether a process that joins a cluster sends a token."""


def initialise(address: str, mode: Mode, **options: Any) -> Callable[[], None]:
    """Call ``ray.init`` and return a function that restores the settings, to call after Ray has shut down.

    Args:
        address: see ``ray.init``.
        mode: Ray reads it from the environment of this process and of those that it starts.
        **options: more arguments of ``ray.init``.
    """
    former = os.environ.get(_MODE)
    quiet = ExitStack()
    quiet.callback(logging.getLogger("ray").setLevel, logging.getLogger("ray").level)
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet.enter_context(_raylets_off_the_output())
    quiet.callback(_set_mode, former)
    _set_mode(mode)
    try:
        with _leaving_signals(), _starting_without_hangup(), HeldSignals(_LONGEST_START):
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except BaseException:
        ray.shutdown()
        quiet.close()
        raise
    return quiet.close


def _set_mode(mode: str | None) -> None:
    if mode is None:
        os.environ.pop(_MODE, None)
    else:
        os.environ[_MODE] = mode
    if not ray.is_initialized():
        Config.initialize("")  # Ray reads the mode and the token only once; its own code sets the mode like this
        AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _leaving_signals() -> Iterator[None]:
    """Keep the handler of SIGTERM, if there is one; Ray replaces it, and would end a run without a checkpoint.

    Raises:
        KeyboardInterrupt: SIGTERM arrived while Ray's handler was installed.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if before not in (None, signal.SIG_DFL) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _starting_without_hangup() -> Iterator[None]:
    """Processes that start meanwhile never receive SIGHUP, as its mask is inherited.

    A terminal that closes sends it to its whole process group, and a run needs Ray's processes to save itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _raylets_off_the_output() -> Iterator[None]:
    """Send the reports of raylets to the standard error, and drop their warning that there are many actors.

    Ray prints both to the standard output, whose last line is the command's result, and has no setting for it (2.44 to
    2.60).
    """
    from ray._private import worker

    def report(data: dict[str, Any], ignore_prefix: bool) -> None:
        for line in data.get("lines", ()):
            if "worker processes have been started" not in line:
                print(line, file=sys.stderr)

    usual = getattr(worker, "print_to_stdstream", None)
    if usual:
        worker.print_to_stdstream = report
    try:
        yield
    finally:
        if usual:
            worker.print_to_stdstream = usual
