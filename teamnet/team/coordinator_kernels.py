"""The coordinator's operations on the board, compiled."""

from __future__ import annotations

from teamnet.board.round_counters import publish, store_release, wait, wake
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import READY
from teamnet.kernels.memory import integers

_NAPS = 20
"""Naps of the coordinator's wait before it checks the workers: about one second."""


@kernel
def publish_alone(word: int, target: int) -> int:
    """Publish round ``target`` of a counter that only the coordinator writes."""
    publish(word, target, 1)
    return 0


@kernel
def set_control(address: int, value: int) -> int:
    """Store a word of the control line."""
    store_release(address, value)
    return 0


@kernel
def wake_all(round_counters: int, count: int) -> int:
    """Wake all threads that sleep on the counters whose addresses are listed at ``round_counters``."""
    listed = integers(round_counters, count)
    for number in range(count):
        wake(listed[number])
    return 0


@kernel
def wait_for_all(round_counters: int, rounds: int, count: int, steps: int, control: int) -> int:
    """Wait until every listed counter has published all its ``rounds`` of the first ``steps`` steps.

    Args:
        round_counters, rounds: addresses of ``count`` int64 each: counters, and their publications in one step.
        count: of counters.
        steps: environment steps.
        control: address of the control line.

    Returns:
        The status of the first wait that fails, else ``READY``.
    """
    listed, published = integers(round_counters, count), integers(rounds, count)
    for number in range(count):
        status = wait(listed[number], steps * published[number], control, -1, _NAPS)
        if status != READY:
            return status
    return READY
