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


def snapshot_cost(repeats: int, method: str) -> tuple[float, float]:
    """CartPole, an actor for each layer: a checkpoint after every thousand steps.

    Args:
        repeats: checkpoints.
        method: the name of a preset.

    Returns:
        The median seconds of taking and writing one, as a share of the median seconds of a thousand steps, and those
        median seconds. (Their difference with and without would drown in what a shared machine does meanwhile.)
    """
    spec = replace(preset("cartpole", method), env_steps=ENDLESS, episodes=None)
    stepping, saving = [], []
    run = Run(spec, LaunchSpec())
    try:
        with tempfile.TemporaryDirectory() as folder:
            rate(run, EVERY)
            for _ in range(repeats):
                begun = time.perf_counter()
                rate(run, EVERY)
                advanced = time.perf_counter()
                run.save(Path(folder))
                stepping.append(advanced - begun)
                saving.append(time.perf_counter() - advanced)
    finally:
        run.close()
    return statistics.median(saving) / statistics.median(stepping), statistics.median(saving)
