"""Yielding the core to other threads: yields, and naps where yields cost too much."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir

from teamnet.kernels.compile import kernel, machine_code

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_MONOTONIC = 1  # number of the clock
_LOST = 500_000  # nanoseconds; a yield that takes longer has lost the core to a thread that does not yield
_NAPS = 100  # following ticks that end in a nap instead


@machine_code("void()")
def yield_processor(builder: Any) -> None:
    """Yield the core to another thread: ``sched_yield``."""
    builder.call("sched_yield", _I32, [], [])


@machine_code("void()")
def pause(builder: Any) -> None:
    """Tell the processor that this thread spins, so that a hyperthread beside it gets the core's units."""
    if platform.machine() == "aarch64":
        builder.call("llvm.aarch64.hint", ir.VoidType(), [_I32], [_I32(1)])
    else:
        builder.call("llvm.x86.sse2.pause", ir.VoidType(), [], [])


@machine_code("void()")
def _nap(builder: Any) -> None:
    """Sleep for the shortest time that the system supports, about 60 microseconds on Linux."""
    time = builder.variable(ir.Constant(ir.ArrayType(_I64, 2), [0, 1]))
    builder.call("nanosleep", _I32, [_I64, _I64], [builder.llvm.ptrtoint(time, _I64), _I64(0)])


@machine_code("int64()")
def nanoseconds(builder: Any) -> Any:
    """The monotonic clock."""
    llvm, time = builder.llvm, builder.variable(ir.Constant(ir.ArrayType(_I64, 2), [0, 0]))
    builder.call("clock_gettime", _I32, [_I32, _I64], [_I32(_MONOTONIC), llvm.ptrtoint(time, _I64)])
    seconds, rest = llvm.extract_value(llvm.load(time), 0), llvm.extract_value(llvm.load(time), 1)
    return llvm.add(llvm.mul(seconds, _I64(1_000_000_000)), rest)


@kernel
def give_way(naps):
    """Yield the core; ``naps`` is the result of the last call, 0 at first.

    Among units that all yield, yielding is fastest. But a process that never yields then keeps the core for a whole
    time slice, every time. So a unit that has lost the core for a long time naps after its next ticks: after a
    nap it soon gets the core again.
    """
    if naps > 0:
        _nap()
        return naps - 1
    before = nanoseconds()
    yield_processor()
    return _NAPS if nanoseconds() - before > _LOST else 0
