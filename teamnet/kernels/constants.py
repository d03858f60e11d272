"""Numbers that compiled and plain code share."""

from __future__ import annotations

FLOAT64, FLOAT32, BFLOAT16, INT8, BIT, SIGN_BIT = range(6)
MESSAGE_DTYPES = ("float64", "float32", "bfloat16", "int8")
"""Of messages, by choice."""
DTYPES = (*MESSAGE_DTYPES, "bit", "sign")
"""The same, and those of units that have two values: 0 and 1, or -1 and 1."""
_BITS: dict[str, int] = dict(zip(DTYPES, (64, 32, 16, 8, 1, 1), strict=True))
NUMBER_BYTES = 8
"""Of one number on a board."""


def bytes_of(numbers: int, dtype: str) -> int:
    """Bytes of so many numbers in a message; ``int8`` has a scale of 8 bytes beside them."""
    return -(-numbers * _BITS[dtype] // 8)


BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-9
"""Adam's constants."""
CORRECTED_UPDATES = 1000
"""The official code corrects the bias of Adam's updates 1 to 999 only."""

TIMED_EVERY = 64
"""Steps of which one is timed, a power of two."""

LINE = 64
"""Bytes of a round counter: a cache line."""
WHOLE, BELL, NODES, EVERY, PUBLISHED_AT = 3, 4, 5, 6, 7
"""Places of an int64 in that line: how far away the whole slot's counter and the relay's bell are, how many nodes
arrive at that counter, and at which rounds; and when the newest round was complete, in nanoseconds."""

YIELDS = 4
"""Times that a waiter yields its core before it sleeps: the compromise between a quiet machine and a busy core, for
which docs/performance.md has the figures."""

READY, ENDED, ABORTED, TIMED_OUT, BROKEN, LOST, GARBLED, FAILED = range(8)
"""How a wait, a run of steps or a link ended; ``BROKEN``: an activation or mean is no longer
finite; ``FAILED``: an operation could not be done."""


def packed_size(count: int, kind: int) -> int:
    """Bytes of ``count`` numbers of a message dtype, in whole words of 8; ``INT8`` has one more, for the scale."""
    if kind == FLOAT64:
        return 8 * count
    if kind == INT8:
        return 8 + (count + 7) // 8 * 8
    if kind == FLOAT32:
        return (count + 1) // 2 * 8
    return (count + 3) // 4 * 8 if kind == BFLOAT16 else (count + 63) // 64 * 8
