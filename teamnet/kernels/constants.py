"""Numbers that compiled and plain code share."""

from __future__ import annotations

GAUSSIAN, CATEGORICAL = range(2)
FAMILIES = ("gaussian", "categorical")

FLOAT64, FLOAT32, BFLOAT16, INT8 = range(4)
DTYPES = ("float64", "float32", "bfloat16", "int8")
"""Of messages."""
BYTES_OF_NUMBER: dict[str, int] = dict(zip(DTYPES, (8, 4, 2, 1), strict=True))
NUMBER_BYTES = BYTES_OF_NUMBER["float64"]
"""Of one number on a board."""
"""Of one number in a message; ``int8`` has a scale of 8 bytes beside them."""

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
    return (count + 1) // 2 * 8 if kind == FLOAT32 else (count + 3) // 4 * 8
