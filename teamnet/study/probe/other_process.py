"""A second process on the same node, which runs a module of the probe while this one measures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def other_process(module: str, arguments: Sequence[object], handles: Sequence[int]) -> Iterator[None]:
    """Start ``python -m module``, and wait for its end; it is killed if the block raises.

    Args:
        module: its name.
        arguments: of the module.
        handles: open files that the process inherits.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)], pass_fds=handles, env=environment,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()
