"""Which Ray cluster is meant: the one that is named, the environment's, or a private one."""

from __future__ import annotations

import os

from teamnet.errors import ResourceError


def cluster_address(named: str) -> str:
    """The address of the cluster to join; empty for a private one.

    Args:
        named: by the user; empty for ``$RAY_ADDRESS``. ``local`` is Ray's own word for a private one.

    Raises:
        ResourceError: it is that of a Ray client, which has no node of the cluster under it.
    """
    address = named or os.environ.get("RAY_ADDRESS", "")
    if address.startswith("ray://"):
        raise ResourceError(
            f"address {address}", expected="HOST:PORT of a cluster to which this machine belongs",
            found="the address of a Ray client",
            remedy="Use `ray job submit -- teamnet ...`: the coordinator shares memory with the actors of its node.",
        )
    return "" if address == "local" else address
