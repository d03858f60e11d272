"""Calls of compiled code by its address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from teamnet.kernels.compile import machine_code

_I32, _I64 = ir.IntType(32), ir.IntType(64)
FAILED = -1
"""What a call returns that ended in an exception."""


def _call(builder: Any, address: Any, arguments: list[Any]) -> Any:
    """Call code as :func:`teamnet.kernels.compile.compile_object` makes it, whose result comes by an address."""
    llvm = builder.llvm
    pointer = _I64.as_pointer()
    kind = ir.FunctionType(_I32, [pointer, pointer.as_pointer(), *([_I64] * len(arguments))])
    function = llvm.inttoptr(address, kind.as_pointer())
    result, exception = builder.variable(_I64(0)), builder.variable(ir.Constant(pointer, None))
    status = llvm.call(function, [result, exception, *arguments])
    return llvm.select(llvm.icmp_signed("==", status, _I32(0)), llvm.load(result), _I64(FAILED))


@machine_code("void()", lambda: None)
def compiled_once(builder: Any) -> None:
    """Of a kernel that begins with it there is one copy in a rule's code, which others call.

    LLVM would put one into each operation that calls it, and compile all of them for seconds.
    """
    builder.llvm.function.attributes.add("noinline")


@machine_code("int64(int64, int64, int64)")
def call_operation(builder: Any, address: Any, unit: Any, step: Any) -> Any:
    """Do a step of a unit by the operations at an address; returns what they return."""
    return _call(builder, address, [unit, step])


@machine_code("int64(int64, int64, int64, int64, int64)")
def call_function(builder: Any, address: Any, preactivation: Any, value: Any, derivative: Any, count: Any) -> Any:
    """Apply a hidden function at an address; see :func:`teamnet.kernels.hidden.applied`."""
    return _call(builder, address, [preactivation, value, derivative, count])
