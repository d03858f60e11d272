"""``teamnet bench``: speed and memory, each compared with a plain NumPy implementation timed in the same run.

Every configuration is started once; then, ``repeats`` times, the NumPy reference and the configuration are timed one
after the other. Medians and the median of the ratios are printed. Start-up and compilation are measured
separately.
"""

from __future__ import annotations

import json as json_format
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import gymnasium
import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.kernels.constants import TIMED_EVERY
from teamnet.rules.map_propagation import MapPropagation
from teamnet.spec.presets import preset
from teamnet.spec.resolve import build_teams
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.interfaces import INTERFACES
from teamnet.study.memory import session_bytes
from teamnet.study.rates import ENDLESS, rate
from teamnet.study.reference import ReferenceTeam
from teamnet.study.snapshots import EVERY, snapshot_cost
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.training.run import Run
from teamnet.units.streams import initial_weights
from teamnet.values import check_choice, check_count

_LEDGER, _SNAPSHOTS = "ledger", "snapshots"


@dataclass(frozen=True)
class Case:
    """One configuration to time: its spec and launch, its environment steps, and the reference to compare it with."""

    name: str
    spec: RunSpec
    launch: LaunchSpec
    env_steps: int
    reference: str = "cartpole"
    busy_core: bool = False


@dataclass(frozen=True)
class Result:
    """Medians of one case; rates in environment steps a second, memory in megabytes (of all processes, unique).

    ``growth`` is the growth of memory from the end of the warm-up to the end of the measurement.
    """

    name: str
    actors: int
    rate: float
    reference: float
    ratio: float
    startup_seconds: float
    megabytes: float
    growth: float


def _reference_team(layers: list[LayerSpec]) -> ReferenceTeam:
    weights = [initial_weights(layer, layer.number, layer.fan_in, layer.size, 0) for layer in layers]
    return ReferenceTeam(layers, weights, [np.zeros(layer.size) for layer in layers])


def _reference_step(
    teams: list[ReferenceTeam], observation: np.ndarray, generator: np.random.Generator, step: int
) -> np.ndarray:
    delta = trace_mask = np.ones(len(observation))
    outputs = []
    for team in teams:
        noise = [
            generator.random((len(observation), 1)) if layer.family == "categorical"
            else generator.standard_normal((len(observation), layer.size))
            for layer in team.layers
        ]
        outputs.append(team.act(observation, noise))
        team.learn(delta, step)
        team.settle()
        team.trace(trace_mask)
    return outputs[0]


def reference_rate(num_envs: int, steps: int) -> float:
    """CartPole environment steps a second of the NumPy reference, actor and critic, ``num_envs`` environments."""
    spec = replace(preset("cartpole"), num_envs=num_envs)
    teams = [_reference_team(layers) for layers in build_teams(spec, INTERFACES["cartpole"])]
    environments = [gymnasium.make("CartPole-v1") for _ in range(num_envs)]
    observation = np.array([environment.reset(seed=0)[0] for environment in environments], np.float64)
    generator = np.random.default_rng(0)
    begun = time.perf_counter()
    for step in range(steps):
        output = _reference_step(teams, observation, generator, step)
        for row, environment in enumerate(environments):
            observation[row], _, terminated, truncated, _ = environment.step(int(output[row].argmax()))
            if terminated or truncated:
                observation[row] = environment.reset()[0]
    return num_envs * steps / (time.perf_counter() - begun)


def reference_sample_rate(steps: int) -> float:
    """Multiplexer samples a second of the NumPy reference, batches of 128."""
    spec = preset("multiplexer")
    team = _reference_team(build_teams(spec, INTERFACES["multiplexer"])[0])
    generator = np.random.default_rng(0)
    begun = time.perf_counter()
    for step in range(steps):
        inputs = 2.0 * generator.integers(0, 2, (spec.num_envs, 37)) - 1.0
        _reference_step([team], inputs, generator, step)
    return spec.num_envs * steps / (time.perf_counter() - begun)


_REFERENCES: dict[str, Callable[[], float]] = {
    "cartpole": lambda: reference_rate(1, 600),
    "cartpole, 16 environments": lambda: reference_rate(16, 100),
    "multiplexer": lambda: reference_sample_rate(20),
}


def _spin() -> None:
    while os.getppid() != 1:
        for _ in range(100_000):
            pass


@contextmanager
def _busy_core() -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def measure(case: Case, repeats: int) -> Result:
    """Time one case and its reference alternately."""
    begun = time.perf_counter()
    run = Run(replace(case.spec, env_steps=ENDLESS, episodes=None), case.launch)
    started = time.perf_counter() - begun
    try:
        rate(run, max(case.spec.num_envs, case.env_steps // 10))
        before = session_bytes() / 2**20
        rates, references = [], []
        for _ in range(repeats):
            references.append(_REFERENCES[case.reference]())
            if case.busy_core:
                with _busy_core():
                    rates.append(rate(run, case.env_steps))
            else:
                rates.append(rate(run, case.env_steps))
        megabytes = session_bytes() / 2**20
        ratios = [rate / reference for rate, reference in zip(rates, references, strict=True)]
        actors = run.summary()["actors"]
    finally:
        run.close()
    return Result(
        case.name, actors, statistics.median(rates), statistics.median(references), statistics.median(ratios), started,
        megabytes, megabytes - before,
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


def cases(steps: int) -> dict[str, Case]:
    """All configurations by the name that ``--only`` takes; ``steps`` environment steps for the fast ones."""
    cartpole, ray = preset("cartpole"), LaunchSpec()
    local = LaunchSpec(backend="local")
    return {
        "local": Case("local, one core", cartpole, local, steps),
        "local-16": Case(
            "local, 16 environments", replace(cartpole, num_envs=16), local, 4 * steps, "cartpole, 16 environments"
        ),
        "multiplexer": Case("multiplexer, batch 128", preset("multiplexer"), local, 20 * steps, "multiplexer"),
        "ray-layer": Case("ray, board, layer", cartpole, ray, steps),
        "ray-layer-busy": Case("the same, one core busy", cartpole, ray, steps, busy_core=True),
        "ray-block": Case("ray, board, block:8", cartpole, replace(ray, grain="block:8"), steps),
        "ray-calls": Case("ray calls, layer", cartpole, replace(ray, transport="ray"), max(20, steps // 250)),
        "ray-neuron": Case("ray, board, neuron", cartpole, replace(ray, grain="neuron"), max(20, steps // 20)),
    }


def bench(
    repeats: int = 5, steps: int = 5000, only: tuple[str, ...] = (), neuron: bool = False, json: bool = False
) -> int:
    """Measure speed and memory, compared with plain NumPy timed in the same run.

    Args:
        repeats: how often each configuration and its reference are timed.
        steps: environment steps of a fast configuration in one timing.
        only: names of configurations (local, local-16, multiplexer, ray-layer, ray-layer-busy, ray-block, ray-calls,
            ray-neuron, ledger, snapshots); all but ray-neuron if left out.
        neuron: also measure neuron granularity, which needs 13 GiB and some minutes.
        json: print one JSON object a line instead of a table.

    Raises:
        SpecError: a name is not known, or a number too small.
    """
    check_count("repeats", repeats, 1)
    check_count("steps", steps, 1)
    known = cases(steps)
    chosen = only or (*(name for name in known if neuron or name != "ray-neuron"), _LEDGER, _SNAPSHOTS)
    for name in chosen:
        check_choice("only", name, (*known, _LEDGER, _SNAPSHOTS))
    if not json:
        print(
            f"{'configuration':26} {'actors':>6} {'steps/s':>9} {'NumPy':>9} {'ratio':>7} {'start':>7} {'memory':>9}"
            f" {'growth':>8}"
        )
    for name in chosen:
        print(f"measuring {name}", file=sys.stderr)
        if name == _LEDGER:
            cost = ledger_cost(3 * repeats, steps)
            plain = json_format.dumps({"name": name, "cost": cost})
            print(plain if json else f"ledger: {100 * cost:.2f} % of the processor time")
            continue
        if name == _SNAPSHOTS:
            for method in (MapPropagation.name, "frugal"):
                cost = snapshot_cost(12 * repeats, method)
                plain = json_format.dumps({"name": name, "method": method, **cost._asdict()})
                shown = (
                    f"snapshots, {method}: {EVERY:,} steps with one take {100 * cost.whole:.1f} % longer, the team "
                    f"waits {100 * cost.stopped:.1f} % or {cost.seconds:.4f} s"
                )
                print(plain if json else shown, flush=True)
            continue
        result = measure(known[name], repeats)
        if json:
            print(json_format.dumps(result.__dict__), flush=True)
        else:
            print(
                f"{result.name:26} {result.actors:6} {result.rate:9,.1f} {result.reference:9,.1f} {result.ratio:6.2f}x"
                f" {result.startup_seconds:5.1f} s {result.megabytes:6.0f} MB {result.growth:5.1f} MB", flush=True,
            )
    return 0
