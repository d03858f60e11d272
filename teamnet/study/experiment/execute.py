"""One run of a study, from its spec to the content of its files, on any node of a cluster that has room."""

from __future__ import annotations

from typing import Any

from teamnet.spec.files import to_plain
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.baselines import BaselineSpec, train_baseline
from teamnet.study.kept_run import content_of_run
from teamnet.training.run import Run
from teamnet.training.run_files import digests_of


def execute(spec: RunSpec | BaselineSpec) -> dict[str, bytes]:
    """Execute one run in this process, without Ray; returns the content of its files.

    Raises:
        TeamnetError: the run is refused or failed.
    """
    if isinstance(spec, BaselineSpec):
        return train_baseline(spec)
    launch = LaunchSpec(backend="local")
    run = Run(spec, launch)
    lines: list[dict[str, Any]] = []
    try:
        while not run.done:
            lines += [
                {"env_steps": ended.env_steps, "episode": ended.episode, "return": ended.total, "length": ended.length}
                for ended in run.advance()
            ]
        return content_of_run(to_plain(run.spec), lines, run.summary(), launch=to_plain(launch), **digests_of(run.spec))
    finally:
        run.close()
