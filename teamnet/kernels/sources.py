"""All that compiled code depends on, so that a cached kernel is found exactly as long as none of it changes."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from teamnet.kernels.compile import Kernel, MachineCode
from teamnet.kernels.view import View


def sources_of(declared: Kernel) -> Iterator[str]:
    """The instructions of a kernel and of all that it calls, and the values of all names that they use."""
    yield sys.version
    for function in _functions(declared.function, set()):
        for code in _codes(function.__code__):
            yield from _instructions(code)
        yield from _constants("defaults", function.__defaults__ or ())
        for name, value in _used(function).items():
            yield from _constants(name, value)


def _constants(name: str, value: Any) -> Iterator[str]:
    """The value of a name as compiled code has it: a number, a text, an array, or a tuple of these."""
    if isinstance(value, tuple):
        for place, part in enumerate(value):
            yield from _constants(f"{name}[{place}]", part)
    elif isinstance(value, np.ndarray):
        yield f"{name} = {value.dtype} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, int | float | complex | str | View | np.generic):
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
        function = _function_of(value)
        if function is not None and id(value) not in seen:
            seen.add(id(value))
            yield from _functions(function, seen)


def _function_of(value: Any) -> Any:
    """What is compiled of a kernel, or of a function that a user's file has compiled by Numba; ``None`` of others."""
    if isinstance(value, Kernel):
        return value.function
    return value.generate if isinstance(value, MachineCode) else getattr(value, "py_func", None)


def _used(function: Any) -> dict[str, Any]:
    """The values of the global and closure names that a function and those inside it use, and of modules' attributes.

    An attribute may be of any of the modules: ``name.attribute`` for each that has it.
    """
    code = function.__code__
    bound = dict(zip(code.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True))
    names = sorted({name for part in _codes(code) for name in (*part.co_names, *part.co_freevars)})
    used = {name: bound.get(name, function.__globals__.get(name)) for name in names}
    modules = [(name, value) for name, value in used.items() if isinstance(value, ModuleType)]
    for place, module in modules:  # which grows by the modules of packages
        for name in names:
            value = used[f"{place}.{name}"] = getattr(module, name, None)
            if isinstance(value, ModuleType) and all(value is not known for _, known in modules):
                modules.append((f"{place}.{name}", value))
    return used


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of all functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _instructions(code: CodeType) -> Iterator[str]:
    yield f"{code.co_name} {code.co_names} {code.co_varnames} {code.co_code.hex()}"
    yield from (repr(constant) for constant in code.co_consts if not isinstance(constant, CodeType))
