"""Round counters: how a unit publishes a round and how another unit waits for it, in machine instructions.

A counter is one 64-byte line: the last complete round (uint32, the word that sleepers watch), the number of sleepers
(uint32), and the arrivals of the layer's units (uint64), those at even rounds apart from those at odd ones. The last
unit to arrive publishes the round. A unit may arrive for the next round before its slowest peer has arrived for this
one, but never for the round after that: it would need the answer of neighbours that wait for the peer.

On several nodes a line has more fields (int64, 0 for none), which :mod:`teamnet.board.routes` fills in: the offset of
the doorbell that wakes the relay for a new round; and, where units of other nodes write to the same slot, the offset of
the whole slot's counter, at which each of these nodes arrives, their number, and at which rounds they arrive. Units do
not use these fields. The last field is the time at which the newest round was complete on this node.

Publishing has release and waiting has acquire semantics, so writes before a publication are visible after the wait, on
x86 and on Arm. Rounds are compared modulo 2**32.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir

from teamnet.kernels.compile import kernel, machine_code
from teamnet.kernels.constants import (
    ABORTED,
    BELL,
    ENDED,
    EVERY,
    LATE_AT,
    LINE,
    NODES,
    PATIENCE_AT,
    PUBLISHED_AT,
    READY,
    SPIN_AT,
    TIMED_OUT,
    WHOLE,
    YIELDS,
)
from teamnet.kernels.memory import integers
from teamnet.kernels.processor import nanoseconds, pause, yield_processor

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 202)  # number of the Linux system call
_WAIT, _WAKE, _EVERYBODY = 9, 10, 2**31 - 1  # with sets of bits: only sleepers that have one of them are woken
EACH = 0xFFFFFFFF  # the bits of all rounds
NAP = 50_000_000  # nanoseconds; a sleeper checks this often, even if the process that should wake it has failed
_LATE = 10_000_000  # nanoseconds after a publication in which every sleeper should have been woken
_PAUSES = 8  # between two looks at the counter of a waiter that spins


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.llvm.inttoptr(address, kind.as_pointer())


@machine_code("int64(int64)")
def load_acquire(builder: Any, address: Any) -> Any:
    """The uint32 at ``address`` as int64; later reads see what was written before it was stored."""
    value = builder.llvm.load_atomic(_pointer(builder, address, _I32), "seq_cst", 4)
    return builder.llvm.zext(value, _I64)


@machine_code("void(int64, int64)")
def store_release(builder: Any, address: Any, value: Any) -> None:
    """Store the low 32 bits of ``value`` at ``address``, after all writes before it."""
    word = builder.llvm.trunc(value, _I32)
    builder.llvm.store_atomic(word, _pointer(builder, address, _I32), "seq_cst", 4)


def _adder(kind: Any) -> Any:
    @machine_code("int64(int64, int64)")
    def add(builder: Any, address: Any, amount: Any) -> Any:
        llvm, short = builder.llvm, kind != _I64
        amount = llvm.trunc(amount, kind) if short else amount
        old = llvm.atomic_rmw("add", _pointer(builder, address, kind), amount, "seq_cst")
        return llvm.zext(old, _I64) if short else old

    return add


_add_32, _add_64 = _adder(_I32), _adder(_I64)


@machine_code("int64(int64, int64, int64, int64, int64)")
def _futex(builder: Any, address: Any, operation: Any, value: Any, until: Any, rounds: Any) -> Any:
    """Linux ``futex``: sleep while the word is ``value`` and the clock before ``until``, or wake ``value`` sleepers.

    Only sleepers that have one of the bits ``rounds`` are woken. Returns the result of the system call: 0 for a sleeper
    that was woken, -1 for one that was not.
    """
    llvm, zero, second = builder.llvm, _I64(0), _I64(1_000_000_000)
    end = builder.variable(ir.Constant(ir.ArrayType(_I64, 2), [0, 0]))
    llvm.store(llvm.sdiv(until, second), llvm.gep(end, [_I32(0), _I32(0)]))
    llvm.store(llvm.srem(until, second), llvm.gep(end, [_I32(0), _I32(1)]))
    arguments = [_I64(_FUTEX), address, operation, value, llvm.ptrtoint(end, _I64), zero, rounds]
    return builder.call("syscall", _I64, [_I64], arguments, var_arg=True)


@kernel
def _bit(target):
    """The bit of a round: publishing it wakes those that wait for it, and some that wait for one 32 rounds away."""
    return 1 << (target & 31)


@kernel
def reached(word, target):
    """Whether the counter at ``word`` has published round ``target`` or a later one."""
    return ((load_acquire(word) - target) & 0xFFFFFFFF) < 0x80000000


@kernel
def _arrive(word, target, peers):
    """Arrive at round ``target``; the last of ``peers`` publishes it and wakes the sleepers. Returns whether it did."""
    if (_add_64(word + 8 + 8 * (target & 1), 1) + 1) % peers != 0:
        return False
    integers(word, LINE // 8)[PUBLISHED_AT] = nanoseconds()
    store_release(word, target)
    _wake_sleepers(word, _bit(target))
    return True


@kernel
def _wake_sleepers(word, rounds):
    """Wake the sleepers of a counter that wait for some of the ``rounds``, if there are any."""
    if load_acquire(word + 4) != 0:
        _futex(word, _WAKE, _EVERYBODY, 0, rounds)


@kernel
def publish(word, target, peers):
    """Arrive at round ``target``; the last of ``peers`` units publishes it, on this node and to the other nodes."""
    if _arrive(word, target, peers):
        line = integers(word, LINE // 8)
        if line[BELL] != 0:
            _add_32(word + line[BELL], 1)
            _wake_sleepers(word + line[BELL], EACH)
        if line[WHOLE] != 0 and target % line[EVERY] == 0:
            _arrive(word + line[WHOLE], target, line[NODES])


@kernel
def announce(word, peers):
    """Count a publication that no process waits for: the word grows by 1 for every ``peers`` of them."""
    if (_add_64(word + 8, 1) + 1) % peers == 0:
        _add_32(word, 1)


@kernel
def wake(word):
    """Wake all sleepers of a counter, so that they check the control line."""
    _futex(word, _WAKE, _EVERYBODY, 0, EACH)


@kernel
def sleep_while(word, seen, longest, rounds):
    """Sleep while the word is ``seen``, until one of the ``rounds`` is published, or for ``longest`` nanoseconds.

    Returns whether it was woken, or did not sleep.
    """
    woken = True
    _add_32(word + 4, 1)
    if load_acquire(word) == seen:
        woken = _futex(word, _WAIT, seen, nanoseconds() + longest, rounds) == 0
    _add_32(word + 4, -1)
    return woken


@kernel
def _arrives_soon(word, target, control):
    """Whether ``word`` publishes ``target`` before the waiter has to sleep.

    A waiter that is pinned spins or yields as long as the control line says: where each unit has a core for itself the
    other end is about to publish, where it shares its core with the other end only a yield lets that continue. A waiter
    that is not pinned yields a few times.
    """
    patience, spin = load_acquire(control + PATIENCE_AT), load_acquire(control + SPIN_AT)
    if patience == 0:
        for _ in range(YIELDS):
            yield_processor()
            if reached(word, target):
                return True
        return False
    begun = nanoseconds()
    passed = 0
    while passed < patience:
        if passed < spin:
            for _ in range(_PAUSES):
                pause()
        else:
            yield_processor()
        if reached(word, target):
            return True
        passed = nanoseconds() - begun
    return False


@kernel
def wait(word, target, control, step, naps):
    """Wait until ``word`` has published ``target``: awake for a while, then asleep.

    The control line determines when to give up: its first uint32 is not 0 once the run is aborted, its second is the
    number of the step before which the run pauses.

    Args:
        step: the step that the waiter would begin, or -1 if it is within one and must finish it.
        naps: how often to sleep before giving up with ``TIMED_OUT``; -1 for no limit.

    Returns:
        ``READY``, ``ENDED`` (the run pauses before ``step``), ``ABORTED`` or ``TIMED_OUT``.
    """
    if reached(word, target) or _arrives_soon(word, target, control):
        return READY
    slept = 0
    while not reached(word, target):
        if load_acquire(control) != 0:
            return ABORTED
        if step >= 0 and load_acquire(control + 4) == step & 0xFFFFFFFF:
            return ENDED
        if naps >= 0 and slept >= naps:
            return TIMED_OUT
        seen = load_acquire(word)
        if not reached(word, target):
            begun = nanoseconds()
            woken = sleep_while(word, seen, NAP, _bit(target))
            ended = nanoseconds()
            late = not woken and ended - begun >= NAP and reached(word, target)
            if late and ended - integers(word, LINE // 8)[PUBLISHED_AT] > _LATE:
                _add_32(control + LATE_AT, 1)
        slept += 1
    return READY
