"""Calls of compiled code: what a kernel takes stands at the kernel, once, and no call can hand it anything else."""

from __future__ import annotations

import ast
import ctypes
import importlib
import inspect
from pathlib import Path
from typing import Any, NoReturn

import pytest

import teamnet
from teamnet.kernels.cache import object_code
from teamnet.kernels.native import native
from teamnet.team.prepare import ENTRIES

_PACKAGE = Path(teamnet.__file__).parent
_NAMES = [f"{module}.{name}" for module, name in ENTRIES]


def _kernels_that_return_numbers() -> set[tuple[str, str]]:
    """All whose annotations say so; those that only other kernels call have none."""
    found = set()
    for path in _PACKAGE.rglob("*.py"):
        module = ".".join(("teamnet", *path.relative_to(_PACKAGE).with_suffix("").parts))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "kernel" in map(ast.unparse, node.decorator_list) and node.returns:
                found.add((module, node.name))
    return found


def _not_compiled() -> NoReturn:
    raise AssertionError("native() has put it into the cache")


def test_every_entry_is_prepared():
    assert _kernels_that_return_numbers() == set(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=_NAMES)
def test_an_entry_takes_what_its_kernel_takes(entry: tuple[str, str]):
    native(*entry)
    letters = object_code(".".join(entry), _not_compiled).arguments
    kernel = getattr(importlib.import_module(entry[0]), entry[1])
    signature = inspect.signature(kernel.py_func)
    assert [{"i": "int", "d": "float"}[letter] for letter in letters] == [
        its.annotation for its in signature.parameters.values()
    ]
    assert signature.return_annotation == "int"


@pytest.mark.parametrize("entry", ENTRIES, ids=_NAMES)
def test_a_wrong_number_of_arguments_or_a_wrong_kind_is_refused(entry: tuple[str, str]):
    kernel = getattr(importlib.import_module(entry[0]), entry[1])
    kinds = [its.annotation for its in inspect.signature(kernel.py_func).parameters.values()]
    call = native(*entry)
    for count in {0, len(kinds) - 1, len(kinds) + 1, len(kinds) + 5}:
        with pytest.raises(TypeError):
            call(*[0] * count)
    for place in range(len(kinds)):
        wrong: list[Any] = [0.0 if kind == "float" else 0 for kind in kinds]
        wrong[place] = "0" if kinds[place] == "float" else 0.5
        with pytest.raises(ctypes.ArgumentError):
            call(*wrong)
