"""The cost of checkpoints for a run on Ray."""

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
"""Whether each of two intervals saves: not always the first, as units draw their noise for 2,048 steps at a time."""


class SnapshotCost(NamedTuple):
    """The cost of a checkpoint, as shares of the time of 1,000 environment steps without one.

    Args:
        whole: how much longer 1,000 steps take with one, whatever the cause.
        stopped: the time that the team waits for one.
        seconds: the same in seconds.
    """

    whole: float
    stopped: float
    seconds: float


def snapshot_cost(repeats: int, method: str) -> SnapshotCost:
    """CartPole, an actor for each layer: medians over intervals of 1,000 steps, each compared with an adjacent one.

    Args:
        repeats: the number of checkpoints.
        method: the name of a preset.
    """
    run = Run(replace(preset("cartpole", method), env_steps=ENDLESS, episodes=None), LaunchSpec())
    writer, clock = Writer(), time.perf_counter
    stopped, plain, longer = [], [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            advance(run, 4 * EVERY)
            for number in range(repeats):
                seconds = {}
                for saves in _TURNS[number % 2]:
                    begun = clock()
                    if saves:
                        run.save(Path(folder), writer=writer)
                        stopped.append(clock() - begun)
                    advance(run, EVERY)
                    seconds[saves] = clock() - begun
                plain.append(seconds[False])
                longer.append(seconds[True] / seconds[False] - 1.0)
            writer.close()
    finally:
        run.close()
    pause = statistics.median(stopped)
    return SnapshotCost(statistics.median(longer), pause / statistics.median(plain), pause)
