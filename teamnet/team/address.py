"""The Ray cluster to join: that of a given address, of ``$RAY_ADDRESS``, or a private one."""

from __future__ import annotations

import os

from teamnet.errors import ResourceError


def cluster_address(named: str) -> str:
    """The address of the cluster to join; empty for a private one.

    Args:
        named: address given by the user; empty for ``$RAY_ADDRESS``. ``local`` is Ray's name for a private cluster.

    Raises:
        ResourceError: the address is that of a Ray client, which runs on no node of the cluster, or of a dashboard.
    """
    address = named or os.environ.get("RAY_ADDRESS", "")
    if address.startswith("ray://"):
        raise through_client(address)
    if address.startswith(("http://", "https://")):
        raise _refusal(
            address, "the address of a dashboard, to which jobs are submitted",
            "Give the address that `ray start` has shown, or use `ray job submit -- teamnet ...`.",
        )
    return "" if address == "local" else address


def through_client(address: str) -> ResourceError:
    """The error of a connection as a Ray client."""
    return _refusal(
        address, "the address of a Ray client",
        "Use `ray job submit -- teamnet ...`: the coordinator shares memory with the actors of its node.",
    )


def _refusal(address: str, found: str, remedy: str) -> ResourceError:
    return ResourceError(
        f"address {address}", expected="HOST:PORT of a cluster to which this machine belongs", found=found,
        remedy=remedy,
    )
