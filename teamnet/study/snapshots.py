"""What checkpoints cost a run on Ray."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.rates import ENDLESS, advance
from teamnet.training.run import Run
from teamnet.training.writer import Writer

EVERY = 1_000
"""Environment steps between two checkpoints."""
_TURNS = (True, False), (False, True)
"""Which of two thousands of steps saves: not always the first, as units draw their noise for 2,048 steps at a time."""


class SnapshotCost(NamedTuple):
    """What checkpoints cost, as shares of a thousand environment steps without one.

    Args:
        whole: how much longer a thousand steps take with one, whatever it is that takes longer.
        stopped: how long the team waits for one.
        seconds: the same in seconds.
    """

    whole: float
    stopped: float
    seconds: float


def snapshot_cost(repeats: int, method: str) -> SnapshotCost:
    """CartPole, an actor for each layer: medians of thousands of steps, with a checkpoint and without in turn.

    Args:
        repeats: checkpoints.
        method: the name of a preset.
    """
    run = Run(replace(preset("cartpole", method), env_steps=ENDLESS, episodes=None), LaunchSpec())
    writer, clock = Writer(), time.perf_counter
    stopped, with_one, without = [], [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            advance(run, 4 * EVERY)
            for number in range(repeats):
                for saves in _TURNS[number % 2]:
                    begun = clock()
                    if saves:
                        run.save(Path(folder), writer=writer)
                        stopped.append(clock() - begun)
                    advance(run, EVERY)
                    (with_one if saves else without).append(clock() - begun)
            writer.close()
    finally:
        run.close()
    plain, pause = statistics.median(without), statistics.median(stopped)
    return SnapshotCost(statistics.median(with_one) / plain - 1.0, pause / plain, pause)
