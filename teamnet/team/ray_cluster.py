"""Connecting to Ray: a cluster that is named, or a private one on this machine that ends with the run."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from teamnet.errors import ResourceError
from teamnet.team.token import ensure_token, token_path

_STORE_BYTES = 80 << 20
_CONNECT_SECONDS = 10


def connect(address: str) -> bool:
    """Connect to the cluster at ``address``, or start a private one if it is empty.

    Returns:
        Whether the connection is new; one that is there already is used and stays its owner's.

    Raises:
        ResourceError: nothing answers at the address, or a private cluster does not start.
    """
    if ray.is_initialized():
        return False
    logging.getLogger("ray").setLevel(logging.ERROR)
    _keep_raylets_off_the_output()
    if address:
        try:
            _check_listening(address)
            with _leaving_signals():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise ResourceError(
                f"address {address}", expected="a Ray cluster that takes this user's token",
                found=str(error).splitlines()[0],
                mend=f"Start one (cluster/README.md says how) and have its token in {token_path(os.environ)}, or leave "
                "the address and RAY_ADDRESS empty.",
            ) from None
        return True
    ensure_token(os.environ)
    os.environ.pop("RAY_AUTH_MODE", None)  # Ray then asks for tokens, whatever the mode was
    try:
        with _leaving_signals(), _allocating_in_one_place():
            ray.init(
                address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
                object_store_memory=_STORE_BYTES,
            )
    except Exception as error:  # which is what Ray raises if a process of its own dies or is slow
        ray.shutdown()
        raise ResourceError(
            "Ray", expected="a private cluster on this machine", found=(str(error) or repr(error)).splitlines()[0],
            mend="Look whether processor, memory and disk have room, and try again, or use --backend local.",
        ) from error
    return True


@contextmanager
def _leaving_signals() -> Iterator[None]:
    """Keep who hears SIGTERM, if anybody does; Ray takes it, and would end a run without a checkpoint.

    Raises:
        KeyboardInterrupt: it came while Ray had it.
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
def _allocating_in_one_place() -> Iterator[None]:
    """Have the processes that start meanwhile share one arena of glibc's allocator among their threads.

    Ray's threads for metrics allocate every second, each in an arena of its own, and an idle worker grows by 4 KiB/s.
    """
    ours = "MALLOC_ARENA_MAX" not in os.environ
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    try:
        yield
    finally:
        if ours:
            del os.environ["MALLOC_ARENA_MAX"]


def _check_listening(address: str) -> None:
    """Refuse a host and port where nobody listens at once; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


def _keep_raylets_off_the_output() -> None:
    """Send what raylets report to the standard error, and drop their remark that there are many actors.

    Ray prints both to the standard output, whose last line is ours, and has no setting for it (2.44 to 2.60).
    """
    from ray._private import worker

    def report(data: dict[str, Any], ignore_prefix: bool) -> None:
        for line in data.get("lines", ()):
            if "worker processes have been started" not in line:
                print(line, file=sys.stderr)

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = report


def count_nodes() -> int:
    """Nodes of the cluster that are alive."""
    return sum(node["Alive"] for node in ray.nodes())


def disconnect() -> None:
    """End the private cluster, or leave the one that was joined."""
    ray.shutdown()
