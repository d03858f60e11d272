"""What checkpoints cost a run on Ray."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.rates import ENDLESS, rate
from teamnet.training.run import Run

EVERY = 1_000
"""Environment steps between two checkpoints."""


def snapshot_cost(repeats: int) -> tuple[float, float]:
    """CartPole as published, an actor for each layer: a thousand steps with a checkpoint at the end, and without.

    Both end with a pause, so that what a pause takes is not counted.

    Args:
        repeats: pairs, the two in turns.

    Returns:
        By what share a checkpoint makes the thousand steps longer (the median of the pairs), and the median seconds
        of writing one, from the units' answers to the disk.
    """
    spec = replace(preset("cartpole"), env_steps=ENDLESS, episodes=None)
    ratios, writing = [], []
    run = Run(spec, LaunchSpec())
    try:
        with tempfile.TemporaryDirectory() as folder:
            rate(run, EVERY)
            for number in range(repeats):
                seconds = {}
                for saves in (True, False) if number % 2 else (False, True):
                    begun = time.perf_counter()
                    rate(run, EVERY)
                    advanced = time.perf_counter()
                    if saves:
                        run.save(Path(folder))
                        writing.append(time.perf_counter() - advanced)
                    seconds[saves] = time.perf_counter() - begun
                ratios.append(seconds[True] / seconds[False])
    finally:
        run.close()
    return statistics.median(ratios) - 1.0, statistics.median(writing)
