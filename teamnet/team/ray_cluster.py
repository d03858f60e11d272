"""Joining a Ray cluster that somebody else started, with a token if the cluster asks for one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import ray

from teamnet.errors import ResourceError
from teamnet.team.ray_init import Mode, initialise
from teamnet.team.token import token_of, token_path

_CONNECT_SECONDS = 10
_PROBE_SECONDS = 10
_EXPECTED = "a Ray cluster that takes this user's token"


def join(address: str) -> Callable[[], None]:
    """Join the cluster at ``address``; returns what undoes the settings, to be called once Ray has been shut down.

    Raises:
        ResourceError: nothing answers there, or it takes no token that this user has.
    """
    try:
        _check_listening(address)
        return initialise(address, _mode_of(address))
    except ResourceError:
        raise
    except Exception as error:  # Ray's own, of several classes
        raise _refused(address, (str(error) or repr(error)).splitlines()[0]) from None


def _refused(address: str, found: str) -> ResourceError:
    return ResourceError(
        f"address {address}", expected=_EXPECTED, found=found,
        remedy="Start one (cluster/README.md says how), or leave the address and RAY_ADDRESS empty.",
    )


def _check_listening(address: str) -> None:
    """Refuse a host and port where nobody listens at once; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()


def _mode_of(address: str) -> Mode:
    """Whether the cluster asks for a token.

    It is asked from another process. Ray connects without a token unless ``RAY_AUTH_MODE`` says otherwise, prints each
    refusal from native code, and tries for 20 s; and with a token it does not work on a cluster that asks for none.
    """
    outcomes = []
    for mode in ("disabled", "token"):
        if mode == "token" and not token_of(os.environ):
            outcomes.append("there is no token")
            break
        outcome = _ask(address, mode)
        if outcome == "taken":
            return cast(Mode, mode)
        if outcome != "refused":
            raise _refused(address, outcome)
        outcomes.append("it is another one")
    given = "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else str(token_path(os.environ))
    raise ResourceError(
        f"address {address}", expected=_EXPECTED, found=f"{given}: {outcomes[-1]}",
        remedy="The cluster was started with RAY_AUTH_MODE=token: copy its head's token to this file, or name a file "
        "with it in RAY_AUTH_TOKEN_PATH.",
    )


def _ask(address: str, mode: str) -> str:
    """What the probe says: ``taken``, ``refused``, or what went wrong."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("ray_probe.py")), address]
    environment = os.environ | {"RAY_AUTH_MODE": mode}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"no answer of a Ray cluster within {_PROBE_SECONDS} s"
    return done.stdout.strip() or f"Ray ended with exit code {done.returncode}"


def count_nodes() -> int:
    """Nodes of the cluster that are alive."""
    return sum(node["Alive"] for node in ray.nodes())
