"""How kernels are compiled: before the first call, without the GIL, cached on disk, with exact arithmetic.

Numba keys a cached kernel by the file that defines it, not by the files of the kernels that it calls. The cache
folder is therefore named after the contents of all of teamnet's compiled modules: an edit can never meet stale code.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import config
from numba.extending import intrinsic

_PACKAGE = Path(__file__).resolve().parent.parent
_COMPILED_FOLDERS = ("kernels", "units", "board", "team")


def cache_folder() -> Path:
    """The folder for compiled kernels: ``$TEAMNET_CACHE``, else the user's cache folder, else a temporary one."""
    contents = hashlib.sha256(numba.__version__.encode())
    for folder in _COMPILED_FOLDERS:
        for module in sorted((_PACKAGE / folder).glob("*.py")):
            contents.update(module.read_bytes())
    home = Path(os.environ.get("TEAMNET_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for base in (home, Path(tempfile.gettempdir())):
        folder = base / "teamnet" / contents.hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        return folder
    raise OSError(f"neither {home} nor the temporary folder can be written to")


config.CACHE_DIR = str(cache_folder())  # pyright: ignore[reportAttributeAccessIssue] - set by numba at run time


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that other kernels call, to arithmetic whose bits do not depend on the grouping of work.

    No fast-math, so sums keep the order in which they are written and no multiply-add is fused unless
    :func:`teamnet.kernels.arithmetic.fma` says so; division follows IEEE 754 and never raises. It cannot be called from
    Python, which saves the code for that, and half of the time to compile.
    """
    return numba.njit(function, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def entry(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a kernel that Python calls, with all that it calls in turn, when it is defined; cached on disk."""
    return numba.njit(signature, nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)


def machine_code(generator: Callable[..., Any]) -> Callable[..., Any]:
    """An operation that is written in LLVM's own instructions; callable from kernels only.

    ``generator(typing_context, ...)`` returns a signature and what builds the instructions, as numba asks of it.
    """
    return intrinsic(generator)
