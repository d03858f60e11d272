"""Compiled kernels without Numba: object code from a cache on disk, called through ctypes, which releases the GIL.

Importing Numba and its registries costs a process about a second and thirty megabytes, which a team of two hundred Ray
actors would pay two hundred times. So Numba compiles each kernel once, the object code is cached, and a process that
calls it needs only LLVM's linker.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
from collections.abc import Callable
from functools import cached_property

import llvmlite.binding as llvm

from teamnet.kernels.cache import C_FUNCTIONS, Code, object_code
from teamnet.kernels.compile import Kernel, compile_object
from teamnet.kernels.sources import sources_of

_KINDS = {"i": ctypes.c_int64, "d": ctypes.c_double}


class Native:
    """A kernel's object code, loaded; callable from Python.

    A call raises a TypeError for a wrong number of arguments, and ctypes.ArgumentError for wrong ones.

    Args:
        name: for messages.
        code: the object code.

    Attributes:
        address: by which other compiled code calls it, valid as long as this object exists.
    """

    def __init__(self, name: str, code: Code) -> None:
        self._name, self._code = name, code
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        program = ctypes.CDLL(None)
        for needed, provided in C_FUNCTIONS.items():
            address = ctypes.cast(getattr(program, provided), ctypes.c_void_p).value
            assert address is not None
            llvm.add_symbol(needed, address)
        machine = llvm.Target.from_default_triple().create_target_machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.code))
        self._engine.finalize_object()
        self.address: int = self._engine.get_function_address(code.symbol)

    @cached_property
    def _function(self) -> Callable[..., int]:
        kinds = [_KINDS[letter] for letter in self._code.arguments]
        return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(self.address)

    def __call__(self, *values: float) -> int:  # noqa: D102 - documented by the class
        if len(values) != len(self._code.arguments):  # ctypes accepts too many
            raise TypeError(f"{self._name} takes {len(self._code.arguments)} arguments, not {len(values)}")
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        if self._function(ctypes.addressof(result), ctypes.addressof(exception), *values):
            raise RuntimeError(f"{self._name} failed inside compiled code")
        return result.value


def native(module: str, name: str) -> Native:
    """The kernel ``name`` of ``module`` as a function that Python can call; compiled first if it is not cached.

    Args:
        module: a module of kernels; it is imported only to be compiled.
        name: of a kernel whose annotations give its argument types; see :func:`teamnet.kernels.compile.compile_object`.

    Raises:
        ResourceError: compiled code cannot be cached.
    """

    def compiled() -> Code:
        return compile_object(getattr(importlib.import_module(module), name))

    return Native(f"{module}.{name}", object_code(f"{module}.{name}", compiled))


def native_of(name: str, declared: Kernel) -> Native:
    """The same for a kernel that is created at run time, from the parts of a rule or from a function.

    Args:
        name: for messages and for the cache, which adds a digest of the sources of all that it calls.
        declared: the kernel.

    Raises:
        ResourceError: compiled code cannot be cached.
    """
    digest = hashlib.sha256("\n".join(sources_of(declared)).encode()).hexdigest()[:16]
    return Native(name, object_code(f"{name}.{digest}", lambda: compile_object(declared)))
