"""What a process has of teamnet: on every node of a run it must be the same, or the bits of the run are not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import teamnet
from teamnet.errors import ResourceError


def installation(worker: object = None) -> str:
    """The version, and a digest of the package's Python files.

    Args:
        worker: the worker of this process, which Ray passes to a function called on an actor; not used.
    """
    package, digest = Path(teamnet.__file__).parent, hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return f"version {teamnet.__version__}, files {digest.hexdigest()[:12]}"


def check_installations(found: Mapping[str, str]) -> None:
    """Refuse nodes whose installation, by the node's name, is not this process's.

    Raises:
        ResourceError: naming the first such node.
    """
    own = installation()
    for node, other in found.items():
        if other != own:
            raise ResourceError(
                f"teamnet on node {node}", expected=f"{own}, as in this process", found=other,
                remedy="Install the same version on all nodes of the cluster.",
            )
