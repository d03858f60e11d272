"""How kernels are compiled: exact arithmetic, and no code for calls from Python.

Kernels that Python calls (see :mod:`teamnet.kernels.native`) leave here as object code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import types
from numba.core import config
from numba.extending import intrinsic

from teamnet.kernels.cache import Code

_KINDS = {int: ("i", types.int64), float: ("d", types.float64)}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, when another kernel calls it, to arithmetic whose bits do not depend on the grouping of work.

    No fast-math, so sums keep the order in which they are written and no multiply-add is fused unless
    :func:`teamnet.kernels.arithmetic.fma` says so; division follows IEEE 754 and never raises.
    """
    compiler: Any = numba.njit  # its overloads do not name these options
    with _compiling():
        return compiler(function, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@contextmanager
def _compiling() -> Iterator[None]:
    """Compile even where ``NUMBA_DISABLE_JIT`` is set: it is meant for the user's own functions, which stay as it says.

    Numba asks for it when a function is declared, and when it compiles its own functions that a kernel calls.
    """
    settings: Any = config
    disabled, settings.DISABLE_JIT = settings.DISABLE_JIT, 0
    try:
        yield
    finally:
        settings.DISABLE_JIT = disabled


def machine_code(generator: Callable[..., Any]) -> Callable[..., Any]:
    """An operation that is written in LLVM's own instructions; callable from kernels only.

    ``generator(typing_context, ...)`` returns a signature and what builds the instructions, as numba asks of it.
    """
    return intrinsic(generator)


def compile_object(function: Callable[..., Any]) -> Code:
    """The object code of a kernel for calls from Python; its annotations say what it takes.

    Args:
        function: a :func:`kernel` whose parameters are ``int`` (numbers and addresses) or ``float``, and that returns
            ``int``. It makes no arrays and raises nothing, so that its code needs nothing of Numba.
    """
    parameters = inspect.signature(function.py_func, eval_str=True).parameters  # pyright: ignore[reportFunctionMemberAccess]
    letters, kinds = zip(*(_KINDS[parameter.annotation] for parameter in parameters.values()), strict=True)
    signature = types.int64(*kinds)
    with _compiling():
        function.compile(signature)  # pyright: ignore[reportFunctionMemberAccess] - a numba dispatcher
    compiled = function.overloads[signature.args]  # pyright: ignore[reportFunctionMemberAccess]
    library = compiled.library
    code = library.codegen._tm.emit_object(library._final_module)
    return Code(compiled.fndesc.llvm_func_name, "".join(letters), code)
