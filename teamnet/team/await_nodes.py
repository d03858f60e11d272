"""``python -m teamnet.team.await_nodes ADDRESS COUNT``: wait until a Ray cluster has this many nodes, for launchers."""

from __future__ import annotations

import sys
import time

from teamnet.errors import ResourceError, TeamnetError
from teamnet.team.ray_cluster import count_nodes
from teamnet.team.ray_session import acquire

_SECONDS = 120.0
_LOOK_EVERY = 1.0


def await_nodes(address: str, count: int, seconds: float = _SECONDS) -> None:
    """Return once at least ``count`` nodes of the cluster at ``address`` are alive.

    Raises:
        ResourceError: fewer nodes are alive after this many seconds.
    """
    deadline = time.monotonic() + seconds
    found: object = "no cluster"
    while time.monotonic() < deadline:
        try:
            lease = acquire(address)
            try:
                alive = count_nodes()
            finally:
                lease.release()
            if alive >= count:
                return
            found = f"{alive} nodes"
        except ResourceError as error:
            found = error.found
        time.sleep(_LOOK_EVERY)
    raise ResourceError(
        f"address {address}", expected=f"{count} nodes within {seconds:g} s", found=str(found),
        remedy="Check the output of the missing nodes.",
    )


if __name__ == "__main__":
    try:
        await_nodes(sys.argv[1], int(sys.argv[2]))
    except TeamnetError as failure:
        sys.exit(str(failure))
