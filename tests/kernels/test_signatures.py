"""Calls of compiled code: what a kernel takes stands at the kernel, once, and no call can hand it anything else."""

from __future__ import annotations

import ast
import ctypes
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import teamnet
from teamnet.dataflow.free import FREE_STEPS
from teamnet.dataflow.graph import Dataflow
from teamnet.kernels import native as native_module
from teamnet.kernels.compile import Kernel
from teamnet.kernels.constants import FAILED, READY
from teamnet.kernels.hidden import FUNCTIONS, applied, hidden_function
from teamnet.kernels.native import Native, native, native_of
from teamnet.rules.asynchronous import AsynchronousMapPropagation
from teamnet.rules.registry import built_in_rules
from teamnet.team.prepare import ENTRIES, compile_rules
from teamnet.units.code import compile_function, compile_rule, compiled_code
from teamnet.units.dispatch import dispatcher_of, operation_numbers, parameters_of
from tests.conftest import make_layers
from tests.kernels.bounds import every_team
from tests.team.executors import local

_PACKAGE = Path(teamnet.__file__).parent


def _entry(module: str, name: str) -> Callable[[], tuple[Native, Kernel]]:
    return lambda: (native(module, name), getattr(importlib.import_module(module), name))


def _made(name: str, make: Callable[[], Kernel]) -> Callable[[], tuple[Native, Kernel]]:
    return lambda: (native_of(name, make()), make())


_KERNELS = {
    **{f"{module}.{name}": _entry(module, name) for module, name in ENTRIES},
    **{
        f"rule.{rule.__name__}": _made(f"rule.{rule.__name__}", lambda rule=rule: dispatcher_of(rule()))
        for rule in built_in_rules().values()
    },
    **{
        f"function.{name}": _made(f"function.{name}", lambda name=name: applied(hidden_function(name)))
        for name in FUNCTIONS
    },
}
"""All that is loaded: the kernels of ``native``, and what is made of the operations of rules and of functions."""
every_kernel = pytest.mark.parametrize("name", _KERNELS)


def _kernels_that_return_numbers() -> set[tuple[str, str]]:
    """All of a run whose annotations say so; those that only other kernels call have none. A probe compiles its own."""
    found = set()
    for path in _PACKAGE.rglob("*.py"):
        if path.is_relative_to(_PACKAGE / "study"):
            continue
        module = ".".join(("teamnet", *path.relative_to(_PACKAGE).with_suffix("").parts))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "kernel" in map(ast.unparse, node.decorator_list) and (
                node.returns and ast.unparse(node.returns) != "None"
            ):
                found.add((module, node.name))
    return found


def _not_compiled(_: Kernel) -> NoReturn:
    raise AssertionError("it was put into the cache before")


def _kinds(declared: Kernel) -> list[type]:
    """What the parameters are, by the annotations."""
    return [its.annotation for its in inspect.signature(declared.function, eval_str=True).parameters.values()]


def test_every_entry_is_prepared():
    assert _kernels_that_return_numbers() == set(ENTRIES)


def test_every_rule_and_function_is_prepared(monkeypatch: pytest.MonkeyPatch):
    for kept in (compile_rule, compile_function):
        kept.cache_clear()
    compile_rules()
    monkeypatch.setattr(native_module, "compile_object", _not_compiled)
    for rule in built_in_rules().values():
        native_of(f"rule.{rule.__name__}", dispatcher_of(rule()))
    for name in FUNCTIONS:
        native_of(f"function.{name}", applied(hidden_function(name)))


@every_kernel
def test_compiled_code_takes_what_its_kernel_takes(name: str, monkeypatch: pytest.MonkeyPatch):
    _KERNELS[name]()
    monkeypatch.setattr(native_module, "compile_object", _not_compiled)
    compiled, declared = _KERNELS[name]()
    letters = compiled._code.arguments
    assert [{"i": int, "d": float}[letter] for letter in letters] == _kinds(declared)
    assert inspect.signature(declared.function, eval_str=True).return_annotation is int


@every_kernel
def test_a_wrong_number_of_arguments_or_a_wrong_kind_is_refused(name: str):
    call, declared = _KERNELS[name]()
    kinds = _kinds(declared)
    for count in {0, len(kinds) - 1, len(kinds) + 1, len(kinds) + 5}:
        with pytest.raises(TypeError):
            call(*[0] * count)
    for place in range(len(kinds)):
        wrong: list[Any] = [0.0 if kind is float else 0 for kind in kinds]
        wrong[place] = "0" if kinds[place] is float else 0.5
        with pytest.raises(ctypes.ArgumentError):
            call(*wrong)


def test_units_refer_to_what_is_compiled_for_their_rule_and_function():
    for layer in make_layers((3, 5, 2), function="tanh", schedule="sweeps"):
        code = compiled_code(layer)
        above = [] if layer.is_last else [code.function_above]
        assert [its.address for its in code.loaded] == [code.perform, code.function, *above]
        functions = [layer.function, "linear"] if above else [layer.function]
        assert [its._name for its in code.loaded] == ["rule.MapPropagation", *(f"function.{it}" for it in functions)]
        assert [len(its._code.arguments) for its in code.loaded] == [2, 4, 4][: len(code.loaded)]


@pytest.mark.parametrize("free_running", [False, True], ids=["in step", "free"])
def test_every_step_hands_its_operation_as_many_arrays_as_it_takes(free_running: bool):
    """Compiled code reads as many as the operation takes, whatever the step has."""
    seen = 0
    for teams in every_team():
        if free_running and not isinstance(teams[0][0].rule, AsynchronousMapPropagation):
            continue
        flow = Dataflow(teams, free_running=free_running)
        for group, layer in flow.layers.items():
            operations = layer.rule.operations()
            assert not free_running or len(flow.steps[group]) == len(FREE_STEPS)
            for step in flow.steps[group]:
                assert parameters_of(operations[step.operation]) == len(step.reads), step
                seen += 1
    assert seen > 50


def test_an_operation_that_there_is_not_is_reported():
    layers = make_layers((3, 2))
    executor = local([layers])
    unit = executor.units[0]
    unit.draw_noise(1)
    run_step, numbers = native("teamnet.team.one_step", "run_step"), operation_numbers(layers[0].rule)
    assert sorted(numbers.values()) == list(range(len(numbers)))
    for number, status in ((numbers["act"], READY), (len(numbers), FAILED), (-1, FAILED)):
        unit._tables[0]["operation"][0] = number
        assert run_step(unit.address, 0) == status
