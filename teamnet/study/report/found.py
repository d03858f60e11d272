"""What the search of folders finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from teamnet.study.experiment.records import Record
from teamnet.study.experiment.results import Curve


@dataclass(frozen=True)
class FoundRun:
    """One finished run.

    Args:
        name: its folder, relative to the requested folder.
        label: the method of a study's folder, else its rule and schedule.
        summary, spec: the objects of ``summary.json`` and of ``spec.json``.
        returns: of each episode, or of each hundred batches of a task of one step; float64 ``(lines,)``.
        curve: of the mean return of the last 100 episodes (of a task of one step, the mean reward of 100 batches) by
            environment step.
    """

    name: str
    label: str
    summary: Mapping[str, Any]
    spec: Mapping[str, Any]
    returns: np.ndarray
    curve: Curve

    @property
    def mean_return(self) -> float | None:
        """Over all episodes; ``None`` if none had ended."""
        value = self.summary["mean_return"]
        return None if value is None else float(value)

    @property
    def ledger(self) -> Mapping[str, Any]:
        """The traffic of a step; empty if it was not counted."""
        return self.summary.get("communication") or {}


@dataclass
class Found:
    """The results of a search.

    Args:
        runs: those that are finished.
        unfinished: the progress of the others, by folder.
        grids, scalings: the records of communication grids and of scaling experiments, by folder.
        traces: of a step, in Chrome's format, by path.
        repeated: what was found before, by the path of what is left out.
        unreadable: why a file could not be read, by its path.
    """

    runs: list[FoundRun] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    grids: dict[str, list[Record]] = field(default_factory=dict)
    scalings: dict[str, list[Record]] = field(default_factory=dict)
    traces: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    repeated: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing could be read."""
        return not (self.runs or self.unfinished or self.grids or self.scalings or self.traces)
