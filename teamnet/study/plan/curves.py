"""Learning curves of finished runs: what a run with the same spec has learned after some environment steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import SpecError
from teamnet.spec.files import to_plain
from teamnet.spec.resolve import fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.interfaces import interface_of
from teamnet.study.report.collect import collect
from teamnet.study.report.found import FoundRun

_OWN = ("seed", "env_steps", "episodes", "divergence_retries")
"""Fields of a spec in which runs of the same curve may differ."""


class KnownCurves:
    """The finished runs in some folders, by their specs.

    Args:
        folders: that ``train`` or ``paper`` wrote to; subfolders are searched.

    Raises:
        SpecError: there is no finished run.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._runs: dict[str, list[FoundRun]] = {}
        for run in collect(folders).runs:
            if len(run.curve.position):
                self._runs.setdefault(_key(run.spec), []).append(run)
        if not self._runs:
            raise SpecError(
                "curves", expected="folders with finished runs", found=", ".join(map(str, folders)) or "none",
                remedy="Give what teamnet train or paper wrote.",
            )

    def after(self, spec: RunSpec, env_steps: float) -> float | None:
        """The mean return of the last 100 episodes at an environment step, averaged over the runs of a spec.

        Of a run that is shorter, its last value counts.

        Args:
            spec: of the runs, whatever their seeds and their ends.
            env_steps: the step.

        Returns:
            ``None`` if there is no such run.
        """
        runs = self._runs.get(_key(to_plain(fit_depth(spec, interface_of(spec)))), [])
        values = [np.interp(env_steps, run.curve.position, run.curve.value) for run in runs]
        return float(np.mean(values)) if values else None


def _key(spec: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in spec.items() if name not in _OWN}, sort_keys=True)
