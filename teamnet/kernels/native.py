"""Compiled kernels without Numba: object code from a cache on disk, called through ctypes, which releases the GIL.

Importing Numba and its registries costs a process about a second and thirty megabytes, which a team of two hundred
actors would pay two hundred times. So Numba compiles each kernel once, the object code is kept, and whoever calls it
needs LLVM's linker alone.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable

import llvmlite.binding as llvm

from teamnet.kernels.cache import Code, object_code

_C_FUNCTIONS = {
    **{name: name for name in (
        "memset", "memcpy", "memmove", "sched_yield", "syscall", "nanosleep", "clock_gettime", "send", "recv",
    )},
    "NRT_MemInfo_call_dtor": "abort",  # Numba's end of an array's memory: named in the code, reached by no kernel
}
"""What the object code may call, and the C function that stands for it. LLVM leaves every call of a file without an
address if it cannot find one of them."""
_KINDS = {"i": ctypes.c_int64, "d": ctypes.c_double}


def _compiled(module: str, name: str) -> Code:
    compiler = importlib.import_module("teamnet.kernels.compile")
    return compiler.compile_object(getattr(importlib.import_module(module), name))


def native(module: str, name: str) -> Callable[..., int]:
    """The kernel ``name`` of ``module`` as a function that Python can call; compiled first if the cache has it not.

    The function raises a TypeError for a wrong number of arguments, and ctypes.ArgumentError for wrong ones.

    Args:
        module: a module of kernels; it is imported only to be compiled.
        name: of a kernel whose annotations say what it takes; see :func:`teamnet.kernels.compile.compile_object`.

    Raises:
        ResourceError: compiled code can be kept nowhere.
    """
    symbol, arguments, code = object_code(f"{module}.{name}", lambda: _compiled(module, name))
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
        if len(values) != len(kinds):  # ctypes passes more than there are
            raise TypeError(f"{module}.{name} takes {len(kinds)} arguments, not {len(values)}")
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        if function(ctypes.addressof(result), ctypes.addressof(exception), *values):
            raise RuntimeError(f"{module}.{name} failed inside compiled code")
        return result.value

    setattr(call, "engine", engine)  # noqa: B010 - the code lives as long as its engine
    return call
