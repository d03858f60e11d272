"""Letting other threads have the core: yields, and naps where yields cost too much."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from teamnet.kernels.compile import kernel, machine_code

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_MONOTONIC = 1  # number of the clock
_LOST = 500_000  # nanoseconds; a yield that takes longer has lost the core to somebody who does not yield
_NAPS = 100  # ticks that then end in a nap instead


def _call(builder: Any, name: str, kinds: list[Any], arguments: list[Any]) -> None:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, kinds), name)
    builder.call(function, arguments)


@machine_code
def yield_processor(typing_context):
    """Let another thread have the core: ``sched_yield``."""

    def generate(context, builder, signature, arguments):
        _call(builder, "sched_yield", [], [])
        return context.get_dummy_value()

    return types.void(), generate


@machine_code
def _nap(typing_context):
    """Sleep for as short as the system can, some 60 microseconds on Linux."""

    def generate(context, builder, signature, arguments):
        time = cgutils.alloca_once_value(builder, ir.Constant(ir.ArrayType(_I64, 2), [0, 1]))
        _call(builder, "nanosleep", [_I64, _I64], [builder.ptrtoint(time, _I64), _I64(0)])
        return context.get_dummy_value()

    return types.void(), generate


@machine_code
def nanoseconds(typing_context):
    """A clock that only goes forwards."""

    def generate(context, builder, signature, arguments):
        time = cgutils.alloca_once_value(builder, ir.Constant(ir.ArrayType(_I64, 2), [0, 0]))
        _call(builder, "clock_gettime", [_I32, _I64], [_I32(_MONOTONIC), builder.ptrtoint(time, _I64)])
        seconds, rest = builder.extract_value(builder.load(time), 0), builder.extract_value(builder.load(time), 1)
        return builder.add(builder.mul(seconds, _I64(1_000_000_000)), rest)

    return types.int64(), generate


@kernel
def give_way(naps):
    """Let others have the core; ``naps`` is what the last call returned, 0 at first.

    Among units that all yield, yielding is the fastest. But a process that never yields then keeps the core for a whole
    time slice, every time. So who has lost the core for long naps after its next ticks: from a nap one comes back soon.
    """
    if naps > 0:
        _nap()
        return naps - 1
    before = nanoseconds()
    yield_processor()
    return _NAPS if nanoseconds() - before > _LOST else 0
