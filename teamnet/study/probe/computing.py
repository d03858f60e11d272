"""One core's memory bandwidth and arithmetic, beside ``memmove`` and NumPy, and its speed on a usual team."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable

import numpy as np

from teamnet.board.segment import private_memory
from teamnet.kernels.native import native
from teamnet.spec.presets import preset
from teamnet.spec.resolve import build_teams
from teamnet.study.interfaces import INTERFACES
from teamnet.study.probe.figures import Rate
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all

COPIED = (32 << 10, 1 << 20, 64 << 20)
"""Bytes of an array that is copied: within a core's first cache, its second, and beyond all caches."""
MULTIPLIED = ((1, 64, 32), (16, 256, 256), (128, 512, 512))
"""Rows, inputs and outputs of the products."""
_REPEATS, _SECONDS = 5, 0.02
_STEPS = 500
_KERNELS = "teamnet.study.probe.kernels"


def measure_copies() -> tuple[Rate, ...]:
    """Bytes per second that are copied, by the size of the array."""
    copied = native(_KERNELS, "copy_words")

    def rate(size: int) -> Rate:
        source, target = private_memory(size), private_memory(size)  # aligned: else memmove is up to 12 times slower
        places = source.ctypes.data, target.ctypes.data

        def plain(count: int) -> None:
            for _ in range(count):
                ctypes.memmove(places[1], places[0], size)

        seconds = _seconds(lambda count: copied(*places, size // 8, count), plain)
        return Rate(_bytes(size), *(size / taken for taken in seconds))

    return tuple(rate(size) for size in COPIED)


def measure_products() -> tuple[Rate, ...]:
    """Floating-point operations per second of matrix products, two for each product of two numbers."""
    multiply = native(_KERNELS, "multiply")

    def rate(rows: int, depth: int, columns: int) -> Rate:
        out, inputs, weights = np.zeros((rows, columns)), np.ones((rows, depth)), np.ones((depth, columns))
        places = out.ctypes.data, inputs.ctypes.data, weights.ctypes.data

        def plain(count: int) -> None:
            for _ in range(count):
                np.matmul(inputs, weights, out=out)

        seconds = _seconds(lambda count: multiply(*places, rows, depth, columns, count), plain)
        return Rate(f"{rows} x {depth} x {columns}", *(2 * rows * depth * columns / taken for taken in seconds))

    return tuple(rate(*shapes) for shapes in MULTIPLIED)


def measure_steps() -> float:
    """Steps per second of the teams of ``teamnet train cartpole`` in this process, without the environment."""
    teams = build_teams(preset("cartpole"), INTERFACES["cartpole"])
    executor = LocalExecutor(teams, divide_all(teams, "layer", 0))
    observation, delta, trace_mask = np.zeros((1, 4)), np.zeros(1), np.ones(1)

    def steps() -> None:
        for _ in range(_STEPS):
            executor.act(observation, trace_mask)
            executor.learn(delta)

    steps()
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        steps()
        times.append(time.perf_counter() - begun)
    return _STEPS / statistics.median(times)


def _seconds(work: Callable[[int], object], plain: Callable[[int], object]) -> tuple[float, float]:
    """Median seconds of two functions, which repeat what they do as often as they are told; timed alternately."""
    counts, times = [], ([], [])
    for function in (work, plain):
        function(1)
        count = 1
        while _timed(function, count) < _SECONDS / 2:
            count *= 2
        counts.append(count)
    for _ in range(_REPEATS):
        for function, count, found in zip((work, plain), counts, times, strict=True):
            found.append(_timed(function, count) / count)
    return statistics.median(times[0]), statistics.median(times[1])


def _timed(function: Callable[[int], object], count: int) -> float:
    begun = time.perf_counter()
    function(count)
    return time.perf_counter() - begun


def _bytes(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
