"""A program of its own: print whether the Ray cluster at an address takes what this process sends."""

from __future__ import annotations

import sys

from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue] - compiled, without type hints
from ray.exceptions import AuthenticationError


def ask(address: str) -> str:
    """``taken``, ``refused`` for a token that is missing or another one, or what went wrong.

    Args:
        address: as ``ray.init`` takes it, ``auto`` included.
    """
    try:
        GcsClient(address=canonicalize_bootstrap_address_or_die(address))
    except AuthenticationError:
        return "refused"
    except Exception as error:  # Ray's own, of several classes
        return (str(error) or repr(error)).splitlines()[0]
    return "taken"


if __name__ == "__main__":
    print(ask(sys.argv[1]))
