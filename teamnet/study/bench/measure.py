"""Timings of a configuration, each after a timing of its reference."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from teamnet.kernels.constants import TIMED_EVERY
from teamnet.spec.presets import preset
from teamnet.spec.resolve import build_teams
from teamnet.study.bench.cases import Case
from teamnet.study.interfaces import INTERFACES
from teamnet.study.memory import session_bytes
from teamnet.study.rates import ENDLESS, rate
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.training.run import Run


@dataclass(frozen=True)
class Result:
    """Medians of one case; rates in environment steps a second, memory in megabytes (of all processes, unique).

    Args:
        name, title: of the case.
        against: what it is compared with.
        actors: of the run.
        rate, reference: medians of the rates.
        ratio: the median of the ratios of adjacent timings.
        startup_seconds: until the first step.
        megabytes: at the end, without those of the reference.
        growth: of memory, from the end of the warm-up to the end of the measurement.
    """

    name: str
    title: str
    against: str
    actors: int
    rate: float
    reference: float
    ratio: float
    startup_seconds: float
    megabytes: float
    growth: float


def _spin() -> None:
    while os.getppid() != 1:
        for _ in range(100_000):
            pass


@contextmanager
def _busy_core(busy: bool) -> Iterator[None]:
    if not busy:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def measure(name: str, case: Case, repeats: int) -> Result:
    """Time one case and its reference alternately."""
    alone = session_bytes()
    with closing(case.reference()) as reference:
        of_reference = session_bytes() - alone
        begun = time.perf_counter()
        run = Run(replace(case.spec, env_steps=ENDLESS, episodes=None), case.launch)
        started = time.perf_counter() - begun
        try:
            rate(run, max(case.spec.num_envs, case.env_steps // 10))
            before = session_bytes() / 2**20
            rates, references = [], []
            for _ in range(repeats):
                references.append(reference.rate())
                with _busy_core(case.busy_core):
                    rates.append(rate(run, case.env_steps))
            megabytes = session_bytes() / 2**20
            held = megabytes - of_reference / 2**20
            ratios = [rate / reference for rate, reference in zip(rates, references, strict=True)]
            actors = run.summary()["actors"]
        finally:
            run.close()
    return Result(
        name, case.title, case.against, actors, statistics.median(rates), statistics.median(references),
        statistics.median(ratios), started, held, megabytes - before,
    )


def ledger_cost(repeats: int, steps: int) -> float:
    """Cost of timing every 64th step: the median share of the processor time of CartPole's teams in this process.

    The same units run with and without it alternately. Both count messages, which is one addition per publication.
    """
    teams = build_teams(preset("cartpole"), INTERFACES["cartpole"])
    executor = LocalExecutor(teams, divide_all(teams, "layer", 0))
    observation, delta, trace_mask = np.zeros((1, 4)), np.zeros(1), np.ones(1)

    def seconds(mask: int) -> float:
        for unit in executor.units:
            unit.record["timed_mask"] = mask
        begun = time.process_time()
        for _ in range(steps):
            executor.act(observation, trace_mask)
            executor.learn(delta)
        return time.process_time() - begun

    seconds(-1)
    ratios = []
    for number in range(repeats):  # alternate the order, because other parts of a run are periodic too
        first, second = (TIMED_EVERY - 1, -1) if number % 2 else (-1, TIMED_EVERY - 1)
        times = {first: seconds(first), second: seconds(second)}
        ratios.append(times[TIMED_EVERY - 1] / times[-1])
    return statistics.median(ratios) - 1.0
