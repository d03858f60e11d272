"""Numbers that compiled and plain code share."""

from __future__ import annotations

FLOAT64, FLOAT32, BFLOAT16, INT8, BIT, SIGN_BIT = range(6)
MESSAGE_DTYPES = ("float64", "float32", "bfloat16", "int8")
"""Message dtypes that a user can choose."""
DTYPES = (*MESSAGE_DTYPES, "bit", "sign")
"""The same, and those of units with two values: 0 and 1, or -1 and 1."""
_BITS: dict[str, int] = dict(zip(DTYPES, (64, 32, 16, 8, 1, 1), strict=True))
NUMBER_BYTES = 8
"""Bytes of one number on a board."""


def bytes_of(numbers: int, dtype: str) -> int:
    """Bytes of ``numbers`` numbers in a message; the 8-byte scale of ``int8`` is not included."""
    return -(-numbers * _BITS[dtype] // 8)


BETA1, BETA2 = 0.9, 0.999
"""Adam's constants; its epsilon is :attr:`teamnet.rules.rule.Rule.adam_epsilon`."""
CORRECTED_UPDATES = 1000
"""The official code corrects the bias of Adam's updates 1 to 999 only."""

TIMED_EVERY = 64
"""Steps of which one is timed, a power of two."""

LINE = 64
"""Bytes of a round counter: a cache line."""
WHOLE, BELL, NODES, EVERY, PUBLISHED_AT = 3, 4, 5, 6, 7
"""Indices of int64 in that line: the relative offsets of the whole slot's counter and of the relay's doorbell, how
many nodes arrive at that counter, and at which rounds; and when the newest round was complete, in nanoseconds."""

YIELDS = 4
"""How often a waiter that is not pinned yields its core before it sleeps: a compromise between idle and busy machines;
see the figures in docs/performance.md."""
SPIN_AT, PATIENCE_AT, LATE_AT = 16, 20, 24
"""Bytes from the start of the control line: nanoseconds for which a waiter of this node spins, and for which it spins
and yields in all before it sleeps, 0 if units are not pinned; and how many waiters have been woken too late."""

READY, ENDED, ABORTED, TIMED_OUT, BROKEN, LOST, GARBLED, FAILED = range(8)
"""How a wait, a run of steps or a link ended; ``BROKEN``: an activation or mean is no longer
finite; ``FAILED``: an operation failed."""


def packed_size(count: int, kind: int) -> int:
    """Bytes of ``count`` numbers of a message dtype, in whole 8-byte words; ``INT8`` has one more, for the scale."""
    if kind == FLOAT64:
        return 8 * count
    if kind == INT8:
        return 8 + (count + 7) // 8 * 8
    if kind == FLOAT32:
        return (count + 1) // 2 * 8
    return (count + 3) // 4 * 8 if kind == BFLOAT16 else (count + 63) // 64 * 8
