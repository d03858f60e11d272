"""Object code on disk: compiled once for a version of the sources, of Numba and of the processor.

A file that is damaged or cannot be read is compiled again; a folder that is full or read-only is skipped.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm

from teamnet.errors import ResourceError

_PACKAGE = Path(__file__).resolve().parent.parent
_COMPILED_FOLDERS = ("kernels", "dataflow", "units", "board", "team", "study/probe")
_MARKS = b"teamnet.kernels.compile", b"teamnet.kernels.view", b"\nFREE_STEPS = "
"""Text in the source of each module that is compiled, defines a record for compiled code, or numbers its steps."""
_DIGEST_BYTES = 32
_LOG = logging.getLogger("teamnet")


C_FUNCTIONS = {
    **{name: name for name in (
        "memset", "memcpy", "memmove", "sched_yield", "syscall", "nanosleep", "clock_gettime", "send", "recv",
    )},
    "NRT_MemInfo_call_dtor": "abort",  # Numba's release of an array: named in the code, called by no kernel
}
"""The symbols that object code may call, and the C function of each. If LLVM cannot find one of them, it resolves no
call of the file."""


class Code(NamedTuple):
    """A kernel's object code, its symbol there, and a letter for each argument: ``i`` for int64, ``d`` for float64."""

    symbol: str
    arguments: str
    code: bytes


def cache_folder() -> Path:
    """The first folder for object code that can be written to.

    It is in ``$TEAMNET_CACHE``, else in the user's cache folder, else in a folder of the user in the temporary folder.

    Raises:
        ResourceError: there is none.
    """
    for folder in filter(_writable, _folders()):
        return folder
    raise _no_room("neither is writable")


def user_folder() -> Path:
    """The first folder of teamnet for files of the user that can be written to, above the folders for object code.

    Raises:
        ResourceError: there is none.
    """
    for folder in filter(_writable, (base / "teamnet" for base in _bases())):
        return folder
    raise _no_room("neither is writable")


def object_code(name: str, compiled: Callable[[], Code]) -> Code:
    """The object code called ``name`` from the cache; if it is missing, ``compiled`` produces it and it is cached.

    Raises:
        ResourceError: it cannot be cached, so that every process would compile it.
    """
    for folder in _folders():
        if code := _read(folder / name):
            return code
    cache_folder()  # raises before the seconds that compiling takes
    _LOG.info("compiling %s, cached for later runs", re.sub(r"\.[0-9a-f]{16}$", "", name))
    code = compiled()
    failure: object = "neither is writable"
    for folder in filter(_writable, _folders()):
        try:
            _write(folder / name, code)
        except OSError as error:
            failure = error
        else:
            return code
    raise _no_room(failure)


def _no_room(found: object) -> ResourceError:
    return ResourceError(
        "the cache of compiled code", expected="room in the user's cache folder or the temporary folder",
        found=str(found), remedy="Name a writable folder in TEAMNET_CACHE.",
    )


def _folders() -> Iterator[Path]:
    """All cache folders; that of a container image is often read-only."""
    key = _key()
    return (base / "teamnet" / key for base in _bases())


def _writable(folder: Path) -> bool:
    """Whether a folder is writable; it is created if needed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _bases() -> Iterator[Path]:
    if named := os.environ.get("TEAMNET_CACHE") or os.environ.get("XDG_CACHE_HOME"):
        yield Path(named)
    else:
        with suppress(RuntimeError):  # a user without a home folder, as containers have
            yield Path("~/.cache").expanduser()
    with suppress(OSError):  # no temporary folder is writable
        temporary = Path(tempfile.gettempdir()) / f"teamnet-{os.getuid()}"
        temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = temporary.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():  # files of others would be executed
            yield temporary


def _key() -> str:
    """A digest of all that object code depends on."""
    contents = hashlib.sha256(f"{version('numba')} {version('llvmlite')} {llvm.get_host_cpu_name()}".encode())
    contents.update(llvm.get_host_cpu_features().flatten().encode())
    for module in compiled_modules():
        contents.update(module.read_bytes())
    return contents.hexdigest()[:16]


def compiled_modules() -> Iterator[Path]:
    """The modules from which :func:`teamnet.kernels.native.native` makes object code, in a fixed order."""
    for folder in _COMPILED_FOLDERS:
        for module in sorted((_PACKAGE / folder).glob("*.py")):
            source = module.read_bytes()
            if folder == "kernels" or any(mark in source for mark in _MARKS):
                yield module


def _read(path: Path) -> Code | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, rest = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(rest).digest() != digest:
        return None
    symbol, arguments, code = rest.split(b"\0", 2)
    return Code(symbol.decode(), arguments.decode(), code)


def _write(path: Path, code: Code) -> None:
    content = b"\0".join((code.symbol.encode(), code.arguments.encode(), code.code))
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(hashlib.sha256(content).digest() + content)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
