"""How fast a run is."""

from __future__ import annotations

from teamnet.training.run import Run

ENDLESS = 2**40
"""Environment steps of a run that ends when it is told to."""


def rate(run: Run, env_steps: int) -> float:
    """Environment steps a second over the next ``env_steps`` (or a batch more), until every unit is done with them."""
    first, seconds = run.task.env_steps, run.seconds
    while run.task.env_steps < first + env_steps:
        run.advance(lambda: run.task.env_steps >= first + env_steps)
    run.pause()
    return (run.task.env_steps - first) / (run.seconds - seconds)
