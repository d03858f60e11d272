"""The ledger of a run as Ray metrics."""

from __future__ import annotations

from collections.abc import Callable

from teamnet.rules.loading import reference_of
from teamnet.training.run import Run


def exporter(run: Run) -> Callable[[], None]:
    """A function that exports the run's ledger as Ray metrics; it does nothing for a run that is not on Ray."""
    if run.launch.backend != "ray":
        return lambda: None
    from teamnet.team.ray_metrics import RayMetrics

    spec = run.spec
    metrics = RayMetrics({"task": spec.task, "rule": reference_of(type(spec.rule)), "seed": str(spec.seed)})
    return lambda: metrics.show(run.ledger())
