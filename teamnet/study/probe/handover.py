"""From one process to another on the same node: by the round counters of a board, beside a byte through a pipe.

This module is also the program of the other process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from teamnet.board.segment import create_segment, map_segment, path_of
from teamnet.errors import ActorLost
from teamnet.kernels.constants import LINE, PATIENCE_AT, READY, SPIN_AT
from teamnet.kernels.native import native
from teamnet.study.probe.figures import Handover, percentiles
from teamnet.study.probe.other_process import other_process
from teamnet.team.cores import pairs_of_cores

_LONG = 1_000_000_000
_POLICIES = {"spin": (_LONG, _LONG), "yield": (0, _LONG), "sleep": (0, 1)}
"""Nanoseconds for which a waiting process spins, and for which it spins and yields in all before it sleeps."""
_WARM_UP, _ROUNDS, _PIPE_ROUNDS = 200, 2000, 1000
_KERNEL = "teamnet.study.probe.kernels", "bounce"
_CONTROL, _FIRST, _SECOND = 0, LINE, 2 * LINE
_BYTES = 3 * LINE
"""Of the segment: the control line and two round counters."""


def measure_handovers() -> tuple[Handover, ...]:
    """Measure handovers between two processes on one core, on two, and on two sockets if there are as many.

    Raises:
        ActorLost: the other process does not answer.
        ResourceError: there is no shared memory.
    """
    return tuple(found for place, cores in pairs_of_cores().items() for found in _measure(place, *cores))


def _measure(place: str, own: int, other: int) -> list[Handover]:
    policies = [name for name in _POLICIES if not (own == other and name == "spin")]  # it would keep the core
    rounds = len(policies) * (_WARM_UP + _ROUNDS)
    handle = create_segment(_BYTES)
    inwards, outwards = os.pipe(), os.pipe()
    try:
        memory = map_segment(path_of(handle))
        theirs = outwards[0], inwards[1]
        with other_process(__name__, (path_of(handle), other, rounds, *theirs), theirs), _on_core(own):
            found = {name: _bounce(memory, number * (_WARM_UP + _ROUNDS), name) for number, name in enumerate(policies)}
            pipe = _through_pipes(inwards[0], outwards[1])
    finally:
        for end in (handle, *inwards, *outwards):
            os.close(end)
    return [Handover(place, name, percentiles(times, 0.5), pipe) for name, times in found.items()]


def _bounce(memory: np.ndarray, done: int, policy: str) -> np.ndarray:
    control = memory[:LINE].view(np.uint32)
    control[SPIN_AT // 4], control[PATIENCE_AT // 4] = _POLICIES[policy]
    times, start = np.zeros(_WARM_UP + _ROUNDS, np.int64), memory.ctypes.data
    lines = start + _FIRST, start + _SECOND
    if native(*_KERNEL)(*lines, start + _CONTROL, done, len(times), times.ctypes.data, 1) != READY:
        raise ActorLost(
            "probe", expected="an answer of the other process of this node", found="none",
            remedy="Try again; other work on the node may have slowed it down.",
        )
    return times[_WARM_UP:]


def _through_pipes(inwards: int, outwards: int) -> float:
    times = np.zeros(_PIPE_ROUNDS, np.int64)
    for k in range(_PIPE_ROUNDS):
        begun = time.perf_counter_ns()
        os.write(outwards, b".")
        os.read(inwards, 1)
        times[k] = time.perf_counter_ns() - begun
    return percentiles(times, 0.5).p50


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Pin this thread."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _answer(path: Path, core: int, rounds: int, inwards: int, outwards: int) -> None:
    """The other process: answer all rounds, and then every byte."""
    os.sched_setaffinity(0, {core})
    memory, times = map_segment(path), np.zeros(rounds, np.int64)
    start = memory.ctypes.data
    if native(*_KERNEL)(start + _SECOND, start + _FIRST, start + _CONTROL, 0, rounds, times.ctypes.data, 0) == READY:
        for _ in range(_PIPE_ROUNDS):
            os.read(inwards, 1)
            os.write(outwards, b".")


if __name__ == "__main__":
    _answer(Path(sys.argv[1]), *map(int, sys.argv[2:]))
