"""The tables of the report, in Markdown. Rows are of methods that have runs; what is not there is a dash."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from teamnet.study.experiment.statistics import Difference, Spread, holm, spread, welch
from teamnet.study.paper.methods import Method
from teamnet.study.paper.published import PUBLISHED, PUBLISHED_REMARKS, Published
from teamnet.study.paper.results import Result
from teamnet.study.paper.tasks import TASKS, StudyTask

NOTHING = "-"
Shown = TypeVar("Shown", Published, str)
_DIGEST_CHARACTERS = 8


@dataclass(frozen=True)
class Cells:
    """The results of a study by task and method.

    Args:
        results: all finished runs.
        methods: all known ones, in the order of the tables.
        shortened: tasks whose runs have fewer episodes than the paper's, so that no published number is beside them.
    """

    results: Sequence[Result]
    methods: Mapping[str, Method]
    shortened: Collection[str] = ()

    def results_of(self, task: str, method: str) -> list[Result]:
        """The finished runs of a cell, by seed."""
        return [its for its in self.results if (its.task, its.method) == (task, method)]

    def spread_of(self, task: str, method: str) -> Spread | None:
        """The average returns of a cell over its seeds."""
        return spread([its.average_return for its in self.results_of(task, method)], f"{task}/{method}")

    def published_for(self, task: str, method: str) -> Published | None:
        """The published number that is compared with a cell; ``None`` if there is none or the cell is empty."""
        return self._published(PUBLISHED, task, method)

    def remark_for(self, task: str, method: str) -> str | None:
        """What was published as a remark on a cell; ``None`` likewise."""
        return self._published(PUBLISHED_REMARKS, task, method)

    def _published(self, table: Mapping[str, Mapping[str, Shown]], task: str, method: str) -> Shown | None:
        if task in self.shortened or not self.results_of(task, method):
            return None
        return table.get(task, {}).get(self.methods[method].compared_with)

    def methods_of(self, task: str) -> list[str]:
        """The methods that have runs on the task."""
        return [name for name in self.methods if self.results_of(task, name)]

    @property
    def tasks(self) -> list[StudyTask]:
        """The tasks that have runs."""
        return [task for task in TASKS.values() if self.methods_of(task.name)]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, task: StudyTask) -> str:
    """A return: two decimals, three for the rewards of a single-step task."""
    return NOTHING if value is None else f"{value:,.{3 if task.single_step else 2}f}"


def mean_and_std(its: Spread | Published | None, task: StudyTask) -> str:
    """``mean (standard deviation)``, the mean alone of a single run, a dash for none."""
    if its is None:
        return NOTHING
    return f"{number(its.mean, task)} ({number(its.std, task)})" if its.n > 1 else number(its.mean, task)


def overview(cells: Cells) -> str:
    """Average return of every method on every task, mean (standard deviation), the published one below ours."""
    rows, tasks = [], cells.tasks
    for name, method in cells.methods.items():
        if any(cells.results_of(task.name, name) for task in tasks):
            rows.append([f"`{name}`", *(mean_and_std(cells.spread_of(task.name, name), task) for task in tasks)])
            beside = [mean_and_std(cells.published_for(task.name, name), task) for task in tasks]
            if set(beside) != {NOTHING}:
                rows.append([f"published `{method.compared_with}`", *beside])
    return markdown(["", *(task.title for task in tasks)], rows)


def _reached(episodes: Sequence[int | None]) -> str:
    """The median episode, where a run that never came there counts as later than all others, and how many did."""
    if not episodes:
        return NOTHING
    count = sum(episode is not None for episode in episodes)
    median = statistics.median(float("inf") if episode is None else episode for episode in episodes)
    return f"{f'{median:g}' if median < float('inf') else 'never'} ({count} of {len(episodes)})"


def task_table(cells: Cells, task: StudyTask) -> str:
    """What the seeds of each method come to on one task."""
    scores = ["first million", "at the end"]
    if not task.single_step:
        scores = [f"episodes to first {task.solved:g}", "episodes to solved", "last 100 episodes"]
    names = cells.methods_of(task.name)
    published = [
        cells.remark_for(task.name, name) or mean_and_std(cells.published_for(task.name, name), task) for name in names
    ]
    rows = []
    for name in names:
        found, ours = cells.results_of(task.name, name), cells.spread_of(task.name, name)
        interval = f"{number(ours.low, task)} to {number(ours.high, task)}" if ours and ours.n > 1 else NOTHING
        row = [f"`{name}`", str(len(found)), mean_and_std(ours, task), interval]
        final = mean_and_std(spread([its.final_return for its in found], "final"), task)
        if task.single_step:
            early = [its.early_return for its in found if its.early_return is not None]
            row += [mean_and_std(spread(early, "early"), task), final]
        else:
            row += [
                _reached([its.episodes_to_perfect for its in found]),
                _reached([its.episodes_to_solved for its in found]), final,
            ]
        rows.append(row)
    header = ["method", "runs", "average return", "95 % interval", *scores]
    if set(published) != {NOTHING}:
        header, rows = [*header, "published"], [[*row, its] for row, its in zip(rows, published, strict=True)]
    return markdown(header, rows)


def differences(cells: Cells) -> dict[tuple[str, str], Difference]:
    """The test of every cell that has a published number and enough runs, by task and method."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for task in cells.tasks:
        for name in cells.methods_of(task.name):
            ours, published = cells.spread_of(task.name, name), cells.published_for(task.name, name)
            p = welch(ours, published) if ours and published else None
            if ours and published and p is not None:
                found[task.name, name] = (ours.mean - published.mean, p)
    adjusted = holm([p for _, p in found.values()])
    return {
        key: Difference(difference, p, its) for (key, (difference, p)), its in zip(found.items(), adjusted, strict=True)
    }


def difference_table(cells: Cells) -> str:
    """Ours and the published numbers, with the test of each difference; empty where there is none to test."""
    rows = []
    for (task, name), its in differences(cells).items():
        about, ours = TASKS[task], cells.spread_of(task, name)
        rows.append([
            f"{about.title}, `{name}`", str(ours.n if ours else 0), mean_and_std(ours, about),
            mean_and_std(cells.published_for(task, name), about), f"{its.difference:+,.2f}", f"{its.p:.2g}",
            f"{its.adjusted:.2g}", its.verdict,
        ])
    header = ["cell", "runs", "ours", "published", "difference", "p", "p, Holm", "verdict"]
    return markdown(header, rows) if rows else ""


def run_table(cells: Cells) -> str:
    """Seeds, times and digests of all runs."""
    rows = []
    for task in cells.tasks:
        for name in cells.methods_of(task.name):
            found = cells.results_of(task.name, name)
            digests = " ".join(f"`{(its.digest or 'none')[:_DIGEST_CHARACTERS]}`" for its in found)
            seconds = statistics.mean(its.seconds for its in found)
            rates = [its.env_steps_per_second for its in found if its.env_steps_per_second]
            rows.append([
                f"{task.name} `{name}`", " ".join(str(its.seed) for its in found), f"{seconds:,.0f}",
                f"{statistics.mean(rates):,.0f}" if rates else NOTHING, digests,
            ])
    return markdown(["cell", "seeds", "seconds a run", "steps/s", "digests, in the order of the seeds"], rows)
