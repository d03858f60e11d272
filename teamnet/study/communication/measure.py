"""The measurement of one configuration: its rate, its ledger, and the share of time that its units wait."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from teamnet.rules.loading import reference_of
from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Configuration
from teamnet.study.communication.waits import Participants, hidden_environment, lost_times
from teamnet.study.memory import session_bytes
from teamnet.study.rates import Precision, median_rate, timings
from teamnet.team.address import cluster_address
from teamnet.team.ledger import COORDINATOR_NODE
from teamnet.training.run import Run

_TRACED = 30
"""Steps from which the critical path is found, one after the other."""


def measure(
    task: str, configuration: Configuration, launch: LaunchSpec, precision: Precision,
    inspect: Callable[[Participants], None] = lambda participants: None,
) -> dict[str, Any]:
    """Run one configuration; returns its record in ``comm.jsonl``.

    Args:
        task: a preset's name.
        configuration: of the run.
        launch: backend and cluster.
        precision: of the timings.
        inspect: called with the participants of some traced steps, unless units run without a common tick.

    Raises:
        TeamnetError: the configuration is refused or failed.
    """
    run = Run(*configuration.specs(task, launch))
    try:
        found = timings(run, precision.seconds, precision.repeats)
        ledger = run.ledger().as_plain()
        losses = None if run.spec.rule.runs_free else _losses(run, inspect)
        actors = len(ledger["units"]) if run.launch.backend == "ray" else 0
        private = actors > 0 and not cluster_address(launch.address)  # its processes all descend from this one
        return {
            "task": task, **asdict(configuration), "backend": launch.backend, "rule": reference_of(type(run.spec.rule)),
            "link_latency": launch.link_latency, "link_bandwidth": launch.link_bandwidth, "actors": actors,
            "nodes": len({COORDINATOR_NODE, *(unit["node"] for unit in ledger["units"])}),
            "env_steps_per_second": median_rate(found),
            "rates": [timing.rate for timing in found],
            "stolen": statistics.median(timing.stolen for timing in found),
            "startup_seconds": run.startup_seconds, "memory": session_bytes() if private else None,
            "waiting": waiting_share(ledger["units"]), "losses": losses, "ledger": ledger,
        }
    finally:
        run.close()


def _losses(run: Run, inspect: Callable[[Participants], None]) -> dict[str, Any]:
    """What the critical path of a step spends its time on."""
    trace, _ = run.trace(_TRACED)
    participants = Participants(run.flow, run.units, trace)
    inspect(participants)
    environment, hidden = hidden_environment(participants)
    return {
        "environment_seconds": environment, "environment_hidden": hidden,
        "critical_path": [loss._asdict() for loss in lost_times(participants)],
    }


def waiting_share(units: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of an average unit's time that it waits; ``None`` where no unit waits."""
    if any(unit["waited"] is None for unit in units):
        return None
    busy = sum(unit["computed"] + unit["published"] for unit in units)
    waited = sum(unit["waited"] for unit in units)
    return waited / (busy + waited)
