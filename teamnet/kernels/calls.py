"""Calls of compiled code by its address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from teamnet.kernels.compile import machine_code

_I32, _I64 = ir.IntType(32), ir.IntType(64)
FAILED = -1
"""The result of a call that raised an exception."""


def _call(builder: Any, address: Any, arguments: list[Any]) -> Any:
    """Call code compiled by :func:`teamnet.kernels.compile.compile_object`, which returns its result by an address."""
    llvm = builder.llvm
    pointer = _I64.as_pointer()
    kind = ir.FunctionType(_I32, [pointer, pointer.as_pointer(), *([_I64] * len(arguments))])
    function = llvm.inttoptr(address, kind.as_pointer())
    result, exception = builder.variable(_I64(0)), builder.variable(ir.Constant(pointer, None))
    status = llvm.call(function, [result, exception, *arguments])
    return llvm.select(llvm.icmp_signed("==", status, _I32(0)), llvm.load(result), _I64(FAILED))


@machine_code("void()", lambda: None)
def compiled_once(builder: Any) -> None:
    """Mark the kernel that begins with it as not inlined: a rule's code has one copy, which other kernels call.

    LLVM would put a copy into each operation that calls it, and take seconds to compile all of them.
    """
    builder.llvm.function.attributes.add("noinline")


@machine_code("int64(int64, int64, int64)")
def call_operation(builder: Any, address: Any, unit: Any, step: Any) -> Any:
    """Run a step of a unit by the operations at an address; returns their result."""
    return _call(builder, address, [unit, step])


@machine_code("int64(int64, int64, int64, int64, int64)")
def call_function(builder: Any, address: Any, preactivation: Any, value: Any, derivative: Any, count: Any) -> Any:
    """Apply a hidden function at an address; see :func:`teamnet.kernels.hidden.applied`."""
    return _call(builder, address, [preactivation, value, derivative, count])
