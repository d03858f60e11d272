"""How kernels are declared and compiled: exact arithmetic, and no code for calls from Python.

A kernel is a plain function until another one that is compiled calls it: importing one does not import Numba, and
calling one from Python runs it as Python. Kernels that Python calls (see :mod:`teamnet.kernels.native`) are compiled
to object code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from teamnet.kernels.cache import Code


class Kernel:
    """A function that compiled code calls.

    Args:
        function: the function that is compiled.
        plain: what a call from Python runs; ``function`` itself if left out.
    """

    def __init__(self, function: Callable[..., Any], plain: Callable[..., Any] | None = None) -> None:
        self.function, self._plain = function, plain or function
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:  # noqa: D102 - documented by the class
        return self._plain(*arguments)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Declare a kernel, compiled when another kernel calls it; the bits of its results do not depend on grouping.

    No fast-math, so sums keep the order in which they are written and no multiply-add is fused except by
    :func:`teamnet.kernels.arithmetic.fma`; division follows IEEE 754 and never raises.
    """
    return Kernel(function)


def kernel_with_plain_form(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel that Python cannot call, or only slowly; Python calls ``plain`` instead."""
    return lambda function: Kernel(function, plain)


class MachineCode:
    """An operation that is written in LLVM instructions.

    Args:
        signature: in Numba's notation, such as ``int64(int64)``.
        generate: called with a :class:`teamnet.kernels.numba_types.Builder` and the arguments, LLVM values; returns
            the result, ``None`` if there is none.
        plain: what a call from Python runs.
    """

    def __init__(
        self, signature: str | Callable[[], Any], generate: Callable[..., Any], plain: Callable[..., Any] | None
    ) -> None:
        self.signature, self.generate, self._plain = signature, generate, plain
        self.compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:  # noqa: D102 - documented by the class
        if self._plain is None:
            raise TypeError(f"{self.generate.__name__} is called by compiled code only")
        return self._plain(*arguments)


def machine_code(
    signature: str | Callable[[], Any], plain: Callable[..., Any] | None = None
) -> Callable[[Callable[..., Any]], MachineCode]:
    """Declare an operation that is written in LLVM instructions; see :class:`MachineCode`."""
    return lambda generate: MachineCode(signature, generate, plain)


def compile_object(declared: Kernel) -> Code:
    """The object code of a kernel for calls from Python; its annotations give the argument types.

    Args:
        declared: a :func:`kernel` whose parameters are ``int`` (numbers and addresses) or ``float``, and that returns
            ``int``. It creates no arrays and raises nothing, so that its code does not need Numba.
    """
    from teamnet.kernels.numba_types import compiled_library

    parameters = inspect.signature(declared.function, eval_str=True).parameters
    letters = "".join({int: "i", float: "d"}[parameter.annotation] for parameter in parameters.values())
    symbol, code = compiled_library(declared, letters)
    return Code(symbol, letters, code)
