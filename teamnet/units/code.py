"""The code of a rule's operations and of hidden functions, as units of a process share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerRule, LayerSpec
from teamnet.kernels.hidden import Function, UserFunction, applied, hidden_function
from teamnet.kernels.native import Native, native, native_of
from teamnet.kernels.view import Record, View
from teamnet.units.dispatch import dispatcher_of, operation_numbers, plain_dispatcher_of


@dataclass(frozen=True)
class Code:
    """The code that a unit's record refers to.

    Args:
        perform: address of the compiled operations; 0 where they are interpreted.
        function: address of the compiled hidden function; 0 where it is interpreted.
        function_above: that of the layer that reads this one; 0 if there is not exactly one.
        numbers: of the operations by name.
        loaded: the owners of the addresses, which must exist as long as these are used.
        plain: the operations in Python.
        hidden, hidden_above: the hidden functions in Python.
    """

    perform: int
    function: int
    function_above: int
    numbers: Mapping[str, int]
    loaded: tuple[Native, ...] = field(default=(), repr=False)
    plain: Callable[[Record, int], None] | None = None
    hidden: Callable[[Any], Any] | None = None
    hidden_above: Callable[[Any], Any] | None = None

    def plain_record(self, view: View, address: int) -> Record:
        """A unit's record, with the hidden functions in place of their addresses, for operations in Python."""
        return Record(view, address, {"function": self.hidden, "function_above": self.hidden_above})


def compiled_code(layer: LayerSpec) -> Code:
    """The compiled operations of a layer's rule and its compiled hidden function; compiled first if needed.

    Raises:
        ResourceError: compiled code cannot be cached.
    """
    operations, function = compile_rule(type(layer.rule)), compile_function(layer.function)
    loaded = [operations, function]
    if layer.only_reader:
        loaded.append(compile_function(layer.only_reader.function))
    above = loaded[-1].address if layer.only_reader else 0
    return Code(operations.address, function.address, above, operation_numbers(layer.rule), tuple(loaded))


def interpreted_code(layer: LayerSpec) -> Code:
    """The same as plain Python on NumPy arrays, for breakpoints and prints."""
    rule = layer.rule
    above = layer.only_reader
    return Code(
        0, 0, 0, operation_numbers(rule), plain=plain_dispatcher_of(rule), hidden=hidden_function(layer.function),
        hidden_above=hidden_function(above.function) if above else None,
    )


@cache
def compile_rule(kind: type[LayerRule]) -> Native:
    """The operations of a rule, loaded; compiled first if they are not cached.

    They read settings from the unit's record, so that they are the same for all settings.
    """
    return native_of(f"rule.{kind.__name__}", dispatcher_of(kind()))


@cache
def compile_function(function: Function) -> Native:
    """A hidden function, loaded; compiled first if it is not cached.

    Raises:
        SpecError: a user's function does not compile; with the line.
    """
    name = function.name if isinstance(function, UserFunction) else function
    return native_of(f"function.{name}", applied(hidden_function(function)))


def compile_all(flow: Dataflow, module: str, name: str) -> None:
    """Compile the code of a run's units, if it is not cached, before many processes request it at once.

    Args:
        flow: the dataflow of the run.
        module, name: of the kernel that runs the units.

    Raises:
        ResourceError: compiled code cannot be cached.
    """
    native(module, name)
    for layer in flow.layers.values():
        compiled_code(layer)
