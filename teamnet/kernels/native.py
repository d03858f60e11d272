"""Compiled kernels without Numba: object code from a cache on disk, called through ctypes, which releases the GIL.

Importing Numba and its registries costs a process about a second and thirty megabytes, which a team of two hundred
actors would pay two hundred times. So Numba compiles each kernel once, the object code is kept, and whoever calls it
needs LLVM's linker alone.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

_PACKAGE = Path(__file__).resolve().parent.parent
_COMPILED_FOLDERS = ("kernels", "units", "board", "team")
_MARKS = b"teamnet.kernels.compile", b"np.dtype("
"""What a module that is compiled, or that lays out a record for one, has in its source."""
_C_FUNCTIONS = {
    **{name: name for name in (
        "memset", "memcpy", "memmove", "sched_yield", "syscall", "nanosleep", "clock_gettime", "send", "recv",
    )},
    "NRT_MemInfo_call_dtor": "abort",  # Numba's end of an array's memory: named in the code, reached by no kernel
}
"""What the object code may call, and the C function that stands for it. LLVM leaves every call of a file without an
address if it cannot find one of them."""
_KINDS = {"i": ctypes.c_int64, "d": ctypes.c_double}


def cache_folder() -> Path:
    """The folder for object code, named after all that it depends on: the compiled sources, Numba, the processor.

    It lies in ``$TEAMNET_CACHE``, else in the user's cache folder, else in the temporary folder.

    Raises:
        OSError: none of them can be written to.
    """
    contents = hashlib.sha256(f"{version('numba')} {version('llvmlite')} {llvm.get_host_cpu_name()}".encode())
    contents.update(llvm.get_host_cpu_features().flatten().encode())
    for folder in _COMPILED_FOLDERS:
        for module in sorted((_PACKAGE / folder).glob("*.py")):
            source = module.read_bytes()
            if folder == "kernels" or any(mark in source for mark in _MARKS):
                contents.update(source)
    home = Path(os.environ.get("TEAMNET_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for base in (home, Path(tempfile.gettempdir())):
        folder = base / "teamnet" / contents.hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"neither {home} nor the temporary folder can be written to")


def _object_code(module: str, name: str, arguments: str) -> tuple[str, bytes]:
    path = cache_folder() / f"{module}.{name}"
    if not path.exists():
        compiler = importlib.import_module("teamnet.kernels.compile")
        symbol, code = compiler.compile_object(getattr(importlib.import_module(module), name), arguments)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_bytes(hashlib.sha256(code).digest() + symbol.encode() + b"\0" + code)
        draft.replace(path)
    content = path.read_bytes()
    digest, content = content[:32], content[32:]
    symbol, _, code = content.partition(b"\0")
    if hashlib.sha256(code).digest() != digest:
        path.unlink()
        return _object_code(module, name, arguments)
    return symbol.decode(), code


def native(module: str, name: str, arguments: str) -> Callable[..., int]:
    """The kernel ``name`` of ``module`` as a function that Python can call; compiled first if the cache has it not.

    Args:
        module: a module of kernels; it is imported only to be compiled.
        name: of a kernel that returns an integer.
        arguments: one letter each: ``i`` for an integer or an address, ``d`` for a float.
    """
    symbol, code = _object_code(module, name, arguments)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    program = ctypes.CDLL(None)
    for needed, provided in _C_FUNCTIONS.items():
        address = ctypes.cast(getattr(program, provided), ctypes.c_void_p).value
        assert address is not None
        llvm.add_symbol(needed, address)
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [_KINDS[letter] for letter in arguments]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)
    function = prototype(engine.get_function_address(symbol))

    def call(*values: float) -> int:
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        if function(ctypes.addressof(result), ctypes.addressof(exception), *values):
            raise RuntimeError(f"{module}.{name} failed inside compiled code")
        return result.value

    setattr(call, "engine", engine)  # noqa: B010 - the code lives as long as its engine
    return call
