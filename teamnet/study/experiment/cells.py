"""The results of a study by task and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from teamnet.spec.run import USUAL_RULE
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.results import Result
from teamnet.study.experiment.speeds import Speed
from teamnet.study.experiment.statistics import Published, Spread, spread
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.tasks import StudyTask, in_order

BASE = USUAL_RULE
"""The method that the others are compared with."""
Shown = TypeVar("Shown", Published, str)


@dataclass(frozen=True)
class Cells:
    """Results by task and method.

    Args:
        study: the study of the results.
        results: all finished runs.
        speeds: of methods, where they were measured.
    """

    study: Study
    results: Sequence[Result]
    speeds: Sequence[Speed] = ()

    @property
    def methods(self) -> Mapping[str, Method]:
        """All methods of the study, in the order of the tables."""
        return self.study.methods

    @property
    def distinct(self) -> list[Result]:
        """The results without those of a run that an earlier method has too."""
        kept = self.study.distinct([result.key for result in self.results])
        return [result for result in self.results if result.key in kept]

    @property
    def tasks(self) -> list[StudyTask]:
        """The tasks that have runs."""
        return in_order(result.task for result in self.results)

    @property
    def present(self) -> dict[str, Method]:
        """The methods that have runs."""
        used = {result.method for result in self.results}
        return {name: method for name, method in self.methods.items() if name in used}

    def on(self, task: str) -> dict[str, list[Result]]:
        """The finished runs on a task by method, sorted by seed, for the methods that have some."""
        found = {name: [result for result in self.results if result.key[:2] == (task, name)] for name in self.methods}
        return {name: results for name, results in found.items() if results}

    def spread_of(self, task: str, method: str) -> Spread | None:
        """The average returns of a cell over its seeds; ``None`` if it has no runs."""
        results = self.on(task).get(method, [])
        return spread([result.average_return for result in results], f"{task}/{method}")

    def published_for(self, task: str, method: str) -> Published | None:
        """The published number that is compared with a cell; ``None`` if there is none or the cell is empty."""
        return self._published(self.study.experiment.published, task, method)

    def remark_for(self, task: str, method: str) -> str | None:
        """The published remark on a cell; ``None`` if there is none or the cell is empty."""
        return self._published(self.study.experiment.remarks, task, method)

    def _published(self, table: Mapping[str, Mapping[str, Shown]], task: str, method: str) -> Shown | None:
        """Shortened runs are not compared with published values."""
        if task in self.study.lengths or method not in self.on(task):
            return None
        return table.get(task, {}).get(self.methods[method].compared_with)
