"""Hidden functions by what a user calls them: a name, or ``FILE.py:NAME`` for one of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from teamnet.errors import SpecError, nearest, shown
from teamnet.kernels.hidden import ALIASES, FUNCTIONS, UserFunction
from teamnet.kernels.user_file import file_of, read_source
from teamnet.spec.run import RunSpec


def function_of(spec: RunSpec, reference: str) -> str | UserFunction:
    """The hidden function that a run means by a name; a user's own from the copy of its file that the run has.

    Raises:
        SpecError: there is none.
    """
    path, colon, name = reference.rpartition(":")
    if not (path and colon and name):
        known = (*FUNCTIONS, *ALIASES)
        if reference not in known:
            raise SpecError(
                "function", expected=f"one of {', '.join(known)}, FILE.py:NAME or module:NAME", found=shown(reference),
                remedy=nearest(reference, known),
            )
        return reference
    kept = dict(spec.function_files).get(path)
    file = path if kept else file_of("function", reference)
    return UserFunction(read_source(file, "function", kept, name=path), name)


def reference_of_function(function: Callable[..., Any]) -> str:
    """``module:NAME`` of a function that Python code gives.

    Raises:
        SpecError: other processes cannot import it.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module in (None, "__main__") or getattr(sys.modules.get(str(module)), name, None) is not function:
        raise SpecError(
            "function", expected="a function of a module, at its top level", found=shown(function),
            remedy="Write it in a file of its own, and give FILE.py:NAME.",
        )
    return f"{module}:{name}"


def with_function_files(spec: RunSpec) -> RunSpec:
    """The spec with the files of all functions that are a user's own, as they are now unless it has them already.

    Raises:
        SpecError: a function is unknown, or its file has a mistake; with the line.
    """
    files = {}
    for reference in _references(spec):
        found = function_of(spec, reference)
        if isinstance(found, UserFunction):
            found.check()
            files[found.source.path] = found.source.text
    return replace(spec, function_files=tuple(files.items()))


def _references(spec: RunSpec) -> Iterator[str]:
    yield spec.function
    for text in spec.layers:
        _, _, option = text.partition(":")
        name, _, value = option.partition("=")
        if name == "function":
            yield value
