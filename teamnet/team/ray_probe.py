"""A separate program: print whether a Ray cluster accepts this process, with its token or without one."""

from __future__ import annotations

import sys

from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue] - compiled, without type hints
from ray.exceptions import AuthenticationError


def ask(address: str) -> str:
    """``taken``, ``refused`` for a token that is missing or wrong, or the error.

    Args:
        address: as ``ray.init`` accepts it, ``auto`` included.
    """
    try:
        GcsClient(address=canonicalize_bootstrap_address_or_die(address))
    except AuthenticationError:
        return "refused"
    except Exception as error:  # Ray raises several classes
        return (str(error) or repr(error)).splitlines()[0]
    return "taken"


if __name__ == "__main__":
    print(ask(sys.argv[1]))
