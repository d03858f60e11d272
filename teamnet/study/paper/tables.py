"""The tables of the report, in Markdown. An empty cell is a dash; nothing here fails because a cell is empty."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teamnet.study.paper.methods import Method
from teamnet.study.paper.published import PUBLISHED, PUBLISHED_REMARKS, Published
from teamnet.study.paper.results import Result
from teamnet.study.paper.statistics import Difference, Spread, holm, spread, welch
from teamnet.study.paper.tasks import TASKS, StudyTask

NOTHING = "-"
_DIGEST_CHARACTERS = 8


@dataclass(frozen=True)
class Cells:
    """The results of a study by task and method."""

    results: Sequence[Result]
    methods: Mapping[str, Method]

    def results_of(self, task: str, method: str) -> list[Result]:
        """The finished runs of a cell, by seed."""
        return [its for its in self.results if (its.task, its.method) == (task, method)]

    def spread_of(self, task: str, method: str) -> Spread | None:
        """The average returns of a cell over its seeds."""
        return spread([its.average_return for its in self.results_of(task, method)], f"{task}/{method}")

    def published_for(self, task: str, method: str) -> Published | None:
        """The published number that stands beside a cell."""
        return PUBLISHED.get(task, {}).get(self.methods[method].compared_with)

    def methods_of(self, task: str) -> list[str]:
        """The methods that have a row in the task's tables: those with a run or a published number."""
        return [
            name for name, method in self.methods.items()
            if task in method.tasks and (self.results_of(task, name) or self.published_for(task, name))
        ]


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
    rows = []
    for name, method in cells.methods.items():
        if any(cells.results_of(task, name) for task in TASKS):
            rows.append([f"`{name}`", *(mean_and_std(cells.spread_of(its, name), TASKS[its]) for its in TASKS)])
            beside = [mean_and_std(cells.published_for(its, name), TASKS[its]) for its in TASKS]
            if set(beside) != {NOTHING}:
                rows.append([f"published `{method.compared_with}`", *beside])
    return markdown(["", *(task.title for task in TASKS.values())], rows)


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
    rows = []
    for name in cells.methods_of(task.name):
        found, ours = cells.results_of(task.name, name), cells.spread_of(task.name, name)
        interval = f"{number(ours.low, task)} to {number(ours.high, task)}" if ours and ours.n > 1 else NOTHING
        row = [f"`{name}`", str(len(found)), mean_and_std(ours, task), interval]
        final = mean_and_std(spread([its.final_return for its in found], "final"), task)
        if task.single_step:
            early = [its.early_return for its in found if its.early_return is not None]
            row += [mean_and_std(spread(early, "early"), task), final]
            row.append(PUBLISHED_REMARKS.get(task.name, {}).get(cells.methods[name].compared_with, NOTHING))
        else:
            row += [
                _reached([its.episodes_to_perfect for its in found]),
                _reached([its.episodes_to_solved for its in found]), final,
                mean_and_std(cells.published_for(task.name, name), task),
            ]
        rows.append(row)
    return markdown(["method", "runs", "average return", "95 % interval", *scores, "published"], rows)


def differences(cells: Cells) -> dict[tuple[str, str], Difference]:
    """The test of every cell that has a published number and enough runs, by task and method."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for task in TASKS:
        for name in cells.methods_of(task):
            ours, published = cells.spread_of(task, name), cells.published_for(task, name)
            p = welch(ours, published) if ours and published else None
            if ours and published and p is not None:
                found[task, name] = (ours.mean - published.mean, p)
    adjusted = holm([p for _, p in found.values()])
    return {
        key: Difference(difference, p, its) for (key, (difference, p)), its in zip(found.items(), adjusted, strict=True)
    }


def difference_table(cells: Cells) -> str:
    """Ours beside the published numbers, with the test of each difference."""
    rows = []
    for (task, name), its in differences(cells).items():
        about, ours = TASKS[task], cells.spread_of(task, name)
        rows.append([
            f"{about.title}, `{name}`", str(ours.n if ours else 0), mean_and_std(ours, about),
            mean_and_std(cells.published_for(task, name), about), f"{its.difference:+,.2f}", f"{its.p:.2g}",
            f"{its.adjusted:.2g}", its.verdict,
        ])
    header = ["cell", "runs", "ours", "published", "difference", "p", "p, Holm", "verdict"]
    return markdown(header, rows) if rows else "No cell has both a published number and two runs or more."


def run_table(cells: Cells) -> str:
    """Seeds, times and digests of all runs."""
    rows = []
    for task in TASKS:
        for name in cells.methods:
            found = cells.results_of(task, name)
            if found:
                digests = " ".join(f"`{(its.digest or 'none')[:_DIGEST_CHARACTERS]}`" for its in found)
                seconds = statistics.mean(its.seconds for its in found)
                rates = [its.env_steps_per_second for its in found if its.env_steps_per_second]
                rows.append([
                    f"{task} `{name}`", " ".join(str(its.seed) for its in found), f"{seconds:,.0f}",
                    f"{statistics.mean(rates):,.0f}" if rates else NOTHING, digests,
                ])
    return markdown(["cell", "seeds", "seconds a run", "steps/s", "digests, in the order of the seeds"], rows)
