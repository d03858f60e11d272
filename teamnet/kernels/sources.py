"""All that compiled code depends on, so that a cached kernel is found exactly as long as none of it changes."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

from teamnet.kernels.compile import Kernel, MachineCode
from teamnet.kernels.view import View


def sources_of(declared: Kernel) -> Iterator[str]:
    """The instructions of a kernel and of all that it calls, and the values of all names that they use."""
    yield sys.version
    for function in _functions(declared.function, set()):
        yield from _instructions(function.__code__)
        for name, value in _used(function).items():
            if isinstance(value, int | float | str | View):
                yield f"{name} = {value!r}"


def lines_with_name(declared: Kernel, name: str) -> Iterator[tuple[str, int]]:
    """Files and lines in which a kernel, or what it calls, uses a global name."""
    for function in _functions(declared.function, set()):
        line = 0
        for instruction in dis.get_instructions(function):
            line = instruction.starts_line or line
            if instruction.opname == "LOAD_GLOBAL" and instruction.argval == name:
                yield function.__code__.co_filename, int(line)


def functions_outside(declared: Kernel, folder: str) -> list[str]:
    """File and line of each function that a kernel calls and that is not in a folder."""
    codes = [function.__code__ for function in _functions(declared.function, set())]
    return [
        f"{code.co_filename}:{code.co_firstlineno}" for code in codes
        if not code.co_filename.startswith((folder, "<"))
    ]


def _functions(function: Any, seen: set[int]) -> Iterator[Any]:
    """A function and all kernels that it calls, each once."""
    yield function
    for value in _used(function).values():
        if isinstance(value, Kernel | MachineCode) and id(value) not in seen:
            seen.add(id(value))
            yield from _functions(value.function if isinstance(value, Kernel) else value.generate, seen)


def _used(function: Any) -> dict[str, Any]:
    """The values of the global and closure names that a function uses."""
    code = function.__code__
    bound = dict(zip(code.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True))
    return {
        name: bound.get(name, function.__globals__.get(name)) for name in sorted({*code.co_names, *code.co_freevars})
    }


def _instructions(code: CodeType) -> Iterator[str]:
    yield f"{code.co_name} {code.co_names} {code.co_varnames} {code.co_code.hex()}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        else:
            yield repr(constant)
