"""``teamnet plan --best``: which launch, schedule, message dtype and batch make the most of a cluster."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from teamnet.errors import ResourceError, TeamnetError
from teamnet.kernels.constants import MESSAGE_DTYPES
from teamnet.rules.map_propagation import MapPropagation
from teamnet.spec.change import changed
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.experiment.traffic import pareto
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.curves import KnownCurves
from teamnet.study.plan.factors import FACTORS
from teamnet.study.plan.machine import Machine
from teamnet.study.plan.predict import Prediction, environment_seconds, lay_out, predict
from teamnet.study.rates import ENDLESS, median_rate, timings
from teamnet.training.run import Run
from teamnet.values import check_choice

_BLOCKS = (64, 32, 16, 8)
_PLACEMENTS = ("pack", "by-team", "by-layer", "spread")
_BATCHES = (1, 4, 16)
_SCHEDULES: tuple[dict[str, Any], ...] = (
    {"schedule": "sweeps", "settle_steps": 2}, {"schedule": "descents", "settle_steps": 2},
)
_MOST_UNITS = 4_096
"""Units of a candidate; finer granularities are left out."""


@dataclass(frozen=True)
class Candidate:
    """One candidate.

    Args:
        spec, launch: the run.
        options: of ``teamnet train``, where they differ from those of the request.
        same_results: whether its results are those of the request, bit for bit.
        prediction: of the run.
        measured: environment steps a second; ``None`` if it was not measured.
        known_return: what runs with its spec have reached in the time that the run may take; ``None`` where no such
            run is known.
    """

    spec: RunSpec
    launch: LaunchSpec
    options: Mapping[str, Any]
    same_results: bool
    prediction: Prediction
    measured: float | None = None
    known_return: float | None = None

    @property
    def bytes_per_env_step(self) -> float:
        """Bytes for one step of one environment, so that batches can be compared."""
        return self.prediction.bytes_per_step / self.spec.num_envs

    @property
    def rate(self) -> float:
        """Environment steps a second: as measured, or else as predicted."""
        return self.measured or self.prediction.env_steps_per_second


def candidates(
    spec: RunSpec, launch: LaunchSpec, machine: Machine, cluster: Cluster, factors: Sequence[str],
    environment: Callable[[RunSpec], float] = environment_seconds,
) -> list[Candidate]:
    """Predictions of all combinations of the factors that the cluster can hold, the request itself first.

    Args:
        spec, launch: the request.
        machine: the costs of every node.
        cluster: the nodes.
        factors: some of ``FACTORS``; the others stay as requested.
        environment: seconds of a step of all environments of a run.

    Raises:
        SpecError: a factor is unknown.
        ResourceError: none fits into the memory of the nodes.
        TeamnetError: the request itself would be refused.
    """
    for name in factors:
        check_choice("vary", name, FACTORS)
    seconds: dict[int, float] = {}

    def predicted(spec: RunSpec, launch: LaunchSpec) -> Prediction:
        if spec.num_envs not in seconds:
            seconds[spec.num_envs] = environment(spec)
        return predict(spec, launch, machine, cluster, seconds[spec.num_envs])

    found = [Candidate(spec, launch, {}, True, predicted(spec, launch))]
    for options in _combinations(spec, launch, cluster, factors):
        other, other_launch = _apply(spec, launch, options)
        try:
            lay_out(other, other_launch, cluster)
        except TeamnetError:  # it does not fit the cluster, or the factors do not fit each other
            continue
        changes = {"schedule", "message_dtype", "num_envs"} | ({"grain"} if _has_scales(spec) else set())
        same = not changes & options.keys()
        options |= _of_teams(spec, options)
        found.append(Candidate(other, other_launch, options, same, predicted(other, other_launch)))
    fitting = [each for each in found if each.prediction.memory <= cluster.memory]
    if not fitting:
        least = min(each.prediction.memory for each in found)
        raise ResourceError(
            "node_memory", expected=f"{least} bytes, which the smallest candidate needs", found=str(cluster.memory),
            remedy="Give nodes with more memory, or a smaller network.",
        )
    return fitting


def _of_teams(spec: RunSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of teams that have a rule of their own, which stays as it is when the run's rule changes."""
    return {
        f"{name}.{setting}": value for name, team in spec.teams.items() if team.rule
        for setting, value in team.rule.settings().items() if setting in options
    }


def kinds_of_run(spec: RunSpec, launch: LaunchSpec, factors: Sequence[str]) -> list[tuple[RunSpec, LaunchSpec]]:
    """Runs that together have all operations and all costs of waiting of the candidates."""
    on_ray = replace(launch, backend="ray") if "backend" in factors else launch
    rules: dict[Any, RunSpec] = {}
    for schedule in _values("schedule", spec, launch, Cluster()) if "schedule" in factors else [{}]:
        other = changed(spec, **schedule)
        for feedback in _values("feedback", other, launch, Cluster()) if "feedback" in factors else [{}]:
            variant = changed(other, **feedback)
            rules.setdefault(variant.rule, variant)
    return [(each, on_ray) for each in rules.values()]


def _has_scales(spec: RunSpec) -> bool:
    """Whether messages have a scale, which depends on the neurons that share a message."""
    return spec.messages.message_dtype == "int8"


def _combinations(
    spec: RunSpec, launch: LaunchSpec, cluster: Cluster, factors: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The options of each combination but the request itself, without repetitions that change nothing."""
    values = {name: list(_values(name, spec, launch, cluster)) if name in factors else [{}] for name in FACTORS}
    for parts in itertools.product(*values.values()):
        options = {name: value for part in parts for name, value in part.items()}
        local = options.get("backend", launch.backend) == "local"
        nodes = 1 if local else options.get("max_nodes", cluster.nodes)
        needless = (local and {"grain", "placement", "max_nodes", "feedback"} & options.keys()) or (
            nodes == 1 and "placement" in options
        )
        if options and not needless:
            yield options


def _values(name: str, spec: RunSpec, launch: LaunchSpec, cluster: Cluster) -> Iterator[dict[str, Any]]:
    yield {}  # as requested
    if name == "backend":
        yield {"backend": "ray" if launch.backend == "local" else "local"}
    elif name == "grain":
        widest = max(spec.hidden, default=1)
        blocks = [size for size in _BLOCKS if size < widest and sum(spec.hidden) // size < _MOST_UNITS]
        grains = ["layer", *(f"block:{size}" for size in blocks)]
        yield from ({"grain": grain} for grain in grains if grain != launch.grain)
    elif name == "placement" and cluster.nodes > 1:
        yield from ({"placement": placement} for placement in _PLACEMENTS if placement != launch.placement)
    elif name == "nodes":
        counts = {min(2**power, cluster.nodes) for power in range(cluster.nodes.bit_length())}
        yield from ({"max_nodes": count} for count in sorted(counts - {cluster.nodes}))
    elif name == "feedback" and isinstance(spec.rule, MapPropagation) and spec.rule.can_recompute:
        yield {"feedback": "recomputed"}
    elif name == "schedule" and isinstance(spec.rule, MapPropagation):
        yield from (values for values in _SCHEDULES if values["schedule"] != spec.rule.schedule)
    elif name == "message_dtype":
        yield from ({name: dtype} for dtype in MESSAGE_DTYPES if dtype != spec.messages.message_dtype)
    elif name == "batch":
        yield from ({"num_envs": factor * spec.num_envs} for factor in _BATCHES[1:])


_OF_LAUNCH = ("backend", "grain", "placement", "max_nodes")


def _apply(spec: RunSpec, launch: LaunchSpec, options: Mapping[str, Any]) -> tuple[RunSpec, LaunchSpec]:
    of_launch = {name: value for name, value in options.items() if name in _OF_LAUNCH}
    of_spec = {name: value for name, value in options.items() if name not in _OF_LAUNCH}
    return changed(spec, **of_spec), replace(launch, **of_launch)


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates for which no other makes as many steps/s with as few bytes, the fastest first."""
    points = {(each.bytes_per_env_step, each.prediction.env_steps_per_second): each for each in reversed(found)}
    return [points[point] for point in reversed(pareto(list(points)))]


def with_returns(found: Sequence[Candidate], curves: KnownCurves, seconds: float) -> list[Candidate]:
    """The candidates with the returns that runs of their specs have reached in as many steps as they do in some time.

    Args:
        found: the candidates.
        curves: of finished runs.
        seconds: the time that the run may take after its start.
    """
    return [replace(each, known_return=curves.after(each.spec, seconds * each.rate)) for each in found]


def ranked(found: Sequence[Candidate], objective: str) -> list[Candidate]:
    """The candidates from the best on.

    Args:
        found: the candidates.
        objective: ``steps``, by steps/s and then by bytes; ``bytes``, the other way round; ``return``, by the known
            return first.
    """

    def key(each: Candidate) -> tuple[float, ...]:
        rate, size = -each.rate, each.bytes_per_env_step
        known = -math.inf if each.known_return is None else each.known_return
        return {"steps": (rate, size), "bytes": (size, rate), "return": (-known, rate, size)}[objective]

    return sorted(found, key=key)


def measured(candidate: Candidate, seconds: float, repeats: int) -> Candidate:
    """The candidate with its measured rate.

    Raises:
        TeamnetError: the run failed.
    """
    launch = replace(candidate.launch, link_latency=0.0, link_bandwidth=0.0)  # the links are there, not emulated
    run = Run(replace(candidate.spec, env_steps=ENDLESS, episodes=None), launch)
    try:
        return replace(candidate, measured=median_rate(timings(run, seconds, repeats)))
    finally:
        run.close()
