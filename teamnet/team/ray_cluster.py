"""Join an existing Ray cluster, with a token if the cluster requires one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
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
    """Join the cluster at ``address``; returns a function that restores the settings, to call after Ray has shut down.

    Raises:
        ResourceError: nothing answers there, or it accepts no token that this user has.
    """
    try:
        _check_listening(address)
        return initialise(address, _mode_of(address))
    except ResourceError:
        raise
    except Exception as error:  # Ray raises several classes
        raise _refused(address, (str(error) or repr(error)).splitlines()[0]) from None


def _refused(address: str, found: str) -> ResourceError:
    return ResourceError(
        f"address {address}", expected=_EXPECTED, found=found,
        remedy="Start one (see cluster/README.md), or leave the address and RAY_ADDRESS empty.",
    )


def _check_listening(address: str) -> None:
    """Refuse a host and port where no process listens, at once; Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()


def _mode_of(address: str) -> Mode:
    """Whether the cluster requires a token.

    Another process probes it. Ray connects without a token unless ``RAY_AUTH_MODE`` is set, prints each refusal from
    native code, and retries for 20 s; and with a token it does not work on a cluster that requires none.
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
        outcomes.append("it is not this cluster's token")
    given = "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else str(token_path(os.environ))
    raise ResourceError(
        f"address {address}", expected=_EXPECTED, found=f"{given}: {outcomes[-1]}",
        remedy="The cluster was started with RAY_AUTH_MODE=token: copy its head's token to this file, or name a file "
        "with it in RAY_AUTH_TOKEN_PATH.",
    )


def _ask(address: str, mode: str) -> str:
    """The output of the probe: ``taken``, ``refused``, or an error."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("ray_probe.py")), address]
    environment = os.environ | {"RAY_AUTH_MODE": mode}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"no answer from a Ray cluster within {_PROBE_SECONDS} s"
    return done.stdout.strip() or f"Ray ended with exit code {done.returncode}"


def check_joined(address: str) -> None:
    """Refuse an address that is not that of the cluster to which this process is connected.

    Raises:
        ResourceError: both addresses.
    """
    joined = ray.get_runtime_context().gcs_address
    host, _, port = address.rpartition(":")
    with suppress(OSError):
        host = socket.gethostbyname(host.strip("[]"))
    if f"{host}:{port}" != joined and not (host.startswith("127.") and joined.endswith(f":{port}")):
        raise ResourceError(
            f"address {address}", expected=f"that of the cluster to which this process is connected, {joined}",
            found="another one", remedy="Leave out the address, or call ray.shutdown() first.",
        )


def count_nodes() -> int:
    """Nodes of the cluster that are alive."""
    return sum(node["Alive"] for node in ray.nodes())
