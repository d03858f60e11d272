"""A run for a study: it shows nothing, cannot be resumed, and leaves its spec, metrics and summary only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.metrics import MetricsFile
from teamnet.training.run import Run
from teamnet.training.run_files import write_spec, write_summary


def train_lean(spec: RunSpec, launch: LaunchSpec, out: Path) -> dict[str, Any]:
    """Train to the spec's end; returns the summary.

    Args:
        spec: the run.
        launch: where its units are.
        out: an empty folder, which gets ``spec.json``, ``metrics.jsonl`` and, last, ``summary.json``.

    Raises:
        TeamnetError: the spec, the environment or the machine does not allow it, or the run failed.
    """
    run = Run(spec, launch)
    try:
        write_spec(out, run.identity, run.spec, launch)
        metrics = MetricsFile(out)
        try:
            while not run.done:
                metrics.episodes(run.advance())
            extent = metrics.extent()
        finally:
            metrics.close()
        summary = run.summary()
        write_summary(out, run.identity, summary, extent)
        return summary
    finally:
        run.close()
