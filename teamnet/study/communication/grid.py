"""A grid of configurations: what each says in a step, how fast it is, and how much of the time its units wait."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teamnet.errors import SpecError
from teamnet.spec.check import whole_numbers
from teamnet.spec.presets import SINGLE_STEP_TASKS, preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.memory import session_bytes
from teamnet.study.rates import ENDLESS, median_rate, timings
from teamnet.team.address import cluster_address
from teamnet.training.run import Run


@dataclass(frozen=True)
class Grid:
    """The values of each factor; the first ones together are the configuration that the others are compared with.

    Args:
        methods: presets, which name a rule, its schedule and its hyperparameters.
        grains, transports, placements: of the launch.
        batches: parallel environments.
        hidden: neurons of the hidden layers, such as ``64-32``, which is how depth and width vary.
        settle_steps: ``None`` for the preset's.
    """

    methods: tuple[str, ...] = ("map",)
    grains: tuple[str, ...] = ("layer",)
    transports: tuple[str, ...] = ("board",)
    placements: tuple[str, ...] = ("pack",)
    batches: tuple[int, ...] = (1,)
    hidden: tuple[str, ...] = ("64-32",)
    settle_steps: tuple[int | None, ...] = (None,)

    def configurations(self, *, cross: bool) -> list[dict[str, Any]]:
        """All combinations, or only those in which one factor differs from the first configuration.

        Raises:
            SpecError: a factor has no value.
        """
        factors = vars(self)
        for name, values in factors.items():
            if not values:
                raise SpecError(name, expected="1 value or more", found="none", mend="Give one, or leave it out.")
        if cross:
            return [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
        first = {name: values[0] for name, values in factors.items()}
        others = [first | {name: value} for name, values in factors.items() for value in values[1:]]
        return [first, *others]


def usual_methods(task: str) -> tuple[str, ...]:
    """The presets that are compared on a task unless others are named."""
    single_step = task in SINGLE_STEP_TASKS
    return ("map", "tuned", "frugal", *(() if single_step else ("map-async",)), "backprop", "reinforce")


def specs_of(task: str, configuration: Mapping[str, Any], launch: LaunchSpec) -> tuple[RunSpec, LaunchSpec]:
    """The run of a configuration, without an end, and where it is launched."""
    spec = preset(task, configuration["methods"])
    steps = configuration["settle_steps"]
    spec = replace(
        spec, env_steps=ENDLESS, episodes=None, num_envs=configuration["batches"] * spec.num_envs,
        hidden=sizes_of(configuration["hidden"]), settle_steps=spec.settle_steps if steps is None else steps,
    )
    return spec, replace(
        launch, grain=configuration["grains"], transport=configuration["transports"],
        placement=configuration["placements"],
    )


def sizes_of(hidden: str) -> tuple[int, ...]:
    """The sizes of hidden layers from below, such as ``64-32``; none for the empty text.

    Raises:
        SpecError: it says something else.
    """
    return whole_numbers("hidden", hidden.split("-")) if hidden else ()


def check_timing(seconds: float, repeats: int) -> None:
    """Refuse timings that cannot be taken.

    Raises:
        SpecError: there is none, or it takes no time.
    """
    if not 0.0 < seconds < math.inf:
        raise SpecError("seconds", expected="a number above 0", found=str(seconds), mend="Give such a number.")
    if repeats < 1:
        raise SpecError("repeats", expected="1 or more", found=str(repeats), mend="Give such a number.")


def measure(
    task: str, configuration: Mapping[str, Any], launch: LaunchSpec, *, seconds: float, repeats: int,
    inspect: Callable[[Run], None] = lambda run: None,
) -> dict[str, Any]:
    """Run one configuration and return what it came to, as JSON types.

    Args:
        task: a preset's name.
        configuration: one of :meth:`Grid.configurations`.
        launch: backend and cluster.
        seconds: of each timing, or a little more.
        repeats: timings, of which the median counts; see :func:`teamnet.study.rates.timings`.
        inspect: called with the run before it ends.

    Raises:
        TeamnetError: the configuration is refused or failed.
    """
    run = Run(*specs_of(task, configuration, launch))
    try:
        found = timings(run, seconds, repeats)
        ledger = run.ledger().as_plain()
        inspect(run)
        actors = len(ledger["units"]) if run.launch.backend == "ray" else 0
        private = actors > 0 and not cluster_address(launch.address)  # whose processes all descend from this one
        return {
            "task": task, **configuration, "backend": launch.backend, "rule": run.spec.rule,
            "link_latency": launch.link_latency, "actors": actors, "env_steps_per_second": median_rate(found),
            "rates": [its.rate for its in found], "stolen": statistics.median(its.stolen for its in found),
            "startup_seconds": run.startup_seconds, "memory": session_bytes() if private else None,
            "waiting": waiting_share(ledger["units"]),
            "ledger": ledger,
        }
    finally:
        run.close()


def waiting_share(units: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of an average unit's time that it waits; ``None`` where nobody waits."""
    if any(unit["waited"] is None for unit in units):
        return None
    busy = sum(unit["computed"] + unit["published"] for unit in units)
    waited = sum(unit["waited"] for unit in units)
    return waited / (busy + waited)
