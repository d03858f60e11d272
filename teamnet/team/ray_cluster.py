"""Connecting to Ray: a cluster that is named, or a private one on this machine that ends with the run."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import ray

from teamnet.errors import ResourceError

_ACTOR_BYTES = 90 << 20
"""Private memory of an actor's process: Python, Ray, NumPy, Numba and the kernels (measured: ``teamnet bench``)."""
_RAY_BYTES = 700 << 20
_STORE_BYTES = 80 << 20


def connect(address: str, actors: int) -> None:
    """Connect to the cluster at ``address``, or ``$RAY_ADDRESS``, or start a private one for ``actors`` actors.

    Raises:
        ResourceError: this machine has too little memory for the actors.
    """
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    _keep_raylets_off_the_output()
    address = address or os.environ.get("RAY_ADDRESS", "")
    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        return
    check_memory(actors, available_memory())
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        object_store_memory=_STORE_BYTES,
    )


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


def available_memory() -> int:
    """Bytes that new processes can take without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def check_memory(actors: int, available: int) -> None:
    """Refuse more actors than memory holds, before any is started."""
    needed = _RAY_BYTES + actors * _ACTOR_BYTES
    if needed > available:
        raise ResourceError(
            f"{actors} actors", expected=f"{needed / 2**30:.1f} GiB of free memory",
            found=f"{available / 2**30:.1f} GiB", mend="Use a coarser --grain, such as layer or block:8.",
        )


def disconnect() -> None:
    """End the private cluster, or leave the one that was joined."""
    ray.shutdown()
