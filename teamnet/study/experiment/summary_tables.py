"""The tables of a study's report, in Markdown. Rows are methods that have runs; a missing value is a dash."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from teamnet.study.experiment.cells import BASE, Cells
from teamnet.study.experiment.results import Result
from teamnet.study.experiment.statistics import LEVEL, Published, Spread, holm, spread, welch
from teamnet.study.experiment.table import ABSENT, markdown, shown
from teamnet.study.experiment.tasks import StudyTask

_DIGEST_CHARACTERS = 8


def number(value: float | None, task: StudyTask) -> str:
    """A return: two decimals, three for the rewards of a single-step task."""
    return shown(value, "{:,.3f}" if task.single_step else "{:,.2f}")


def _signed(difference: float, task: StudyTask) -> str:
    """A difference of returns, with as many decimals and with its sign."""
    return ("+" if difference >= 0 else "") + number(difference, task)


def mean_and_std(spread: Spread | Published | None, task: StudyTask) -> str:
    """``mean (standard deviation)``, the mean alone of a single run, a dash for none."""
    if spread is None:
        return ABSENT
    return number(spread.mean, task) + (f" ({number(spread.std, task)})" if spread.n > 1 else "")


def overview(cells: Cells) -> str:
    """Average return of every method on every task, mean (standard deviation), the published one in the row below."""
    rows, tasks = [], cells.tasks
    for name, method in cells.present.items():
        rows.append([f"`{name}`", *(mean_and_std(cells.spread_of(task.name, name), task) for task in tasks)])
        published = [mean_and_std(cells.published_for(task.name, name), task) for task in tasks]
        if set(published) != {ABSENT}:
            rows.append([f"published `{method.compared_with}`", *published])
    return markdown(["", *(task.title for task in tasks)], rows)


def _reached(episodes: Sequence[int | None]) -> str:
    """The median episode, where a run that never reached it counts as later than all others, and how many did."""
    count = sum(episode is not None for episode in episodes)
    median = statistics.median(float("inf") if episode is None else episode for episode in episodes)
    return f"{f'{median:g}' if median < float('inf') else 'never'} ({count} of {len(episodes)})"


def task_table(cells: Cells, task: StudyTask) -> str:
    """The scores of each method on one task."""
    scores = ["first million", "at the end"]
    if not task.single_step:
        reached = [] if task.solved is None else [f"episodes to first {task.solved:g}", "episodes to solved"]
        scores = [*reached, "last 100 episodes"]
    rows, published = [], []
    for name, results in cells.on(task.name).items():
        average = cells.spread_of(task.name, name)
        interval = average and average.n > 1
        rows.append([
            f"`{name}`", str(len(results)), mean_and_std(average, task),
            f"{number(average.low, task)} to {number(average.high, task)}" if average and interval else ABSENT,
            *_scores(results, task), mean_and_std(spread([result.final_return for result in results], "final"), task),
        ])
        published.append(
            cells.remark_for(task.name, name) or mean_and_std(cells.published_for(task.name, name), task)
        )
    header = ["method", "runs", "average return", "95 % interval", *scores]
    if set(published) != {ABSENT}:
        header, rows = [*header, "published"], [[*row, cell] for row, cell in zip(rows, published, strict=True)]
    return markdown(header, rows)


def _scores(results: Sequence[Result], task: StudyTask) -> list[str]:
    if task.single_step:
        early = [result.early_return for result in results if result.early_return is not None]
        return [mean_and_std(spread(early, "early"), task)]
    return [] if task.solved is None else [
        _reached([result.episodes_to_perfect for result in results]),
        _reached([result.episodes_to_solved for result in results]),
    ]


class _Comparison(NamedTuple):
    task: StudyTask
    method: str
    ours: Spread
    reference: Spread
    p: float

    @property
    def difference(self) -> float:
        return self.ours.mean - self.reference.mean

    @property
    def family(self) -> tuple[str, int, float, float, float]:
        """What tells it from the other tests of a family."""
        return self.task.name, self.ours.n, self.ours.mean, self.reference.mean, self.p

    def columns(self, published: Published | None = None) -> list[str]:
        """Both means with their standard deviations (of the reference as it was published), the difference, and p."""
        means = [mean_and_std(spread, self.task) for spread in (self.ours, published or self.reference)]
        return [*means, _signed(self.difference, self.task), f"{self.p:.2g}"]


def _comparisons(cells: Cells, reference_for: Callable[[str, str], Spread | None]) -> Iterator[_Comparison]:
    """The tests of all cells that have a reference and enough runs."""
    for task in cells.tasks:
        for name in cells.on(task.name):
            ours, reference = cells.spread_of(task.name, name), reference_for(task.name, name)
            if ours and reference and (p := welch(ours, reference)) is not None:
                yield _Comparison(task, name, ours, reference, p)


def verdict(difference: float, p: float) -> str:
    """The result of the unadjusted test at the 5 % level: the stricter choice for a claim of being no worse."""
    if p >= LEVEL:
        return "not below beyond chance"
    return "above" if difference > 0 else "below"


def published_differences(cells: Cells) -> str:
    """The study's and the published numbers, with the test of each difference; empty if there is none to test."""

    def published(task: str, method: str) -> Spread | None:
        found = cells.published_for(task, method)
        return found.spread if found else None

    tests = list(_comparisons(cells, published))
    family = dict.fromkeys(test.family for test in tests)  # the test of runs that two methods have is one test
    adjusted = dict(zip(family, holm([p for *_, p in family]), strict=True))
    rows = [
        [
            f"{test.task.title}, `{test.method}`", str(test.ours.n),
            *test.columns(cells.published_for(test.task.name, test.method)), f"{adjusted[test.family]:.2g}",
            verdict(test.difference, test.p),
        ]
        for test in tests
    ]
    header = ["cell", "runs", "ours", "published", "difference", "p", "p, Holm", "verdict"]
    return markdown(header, rows) if rows else ""


def own_differences(cells: Cells) -> str:
    """Every cell compared with this study's ``map``: Welch's test where both have two runs or more, else empty."""
    rows = []
    for test in _comparisons(cells, lambda task, method: None if method == BASE else cells.spread_of(task, BASE)):
        result = "no difference beyond chance" if test.p >= LEVEL else "higher" if test.difference > 0 else "lower"
        rows.append([f"{test.task.title}, `{test.method}`", str(test.ours.n), *test.columns(), result])
    return markdown(["cell", "runs", "it", "`map`", "difference", "p", "verdict"], rows) if rows else ""


def differences_of(cells: Cells, method: str, references: Sequence[str]) -> str:
    """A method compared with others on every task, with Holm's p over the table; empty if there is none to test."""

    def only(reference: str) -> Callable[[str, str], Spread | None]:
        return lambda task, name: cells.spread_of(task, reference) if name == method else None

    tests = [(name, test) for name in references for test in _comparisons(cells, only(name))]
    rows = [
        [
            f"{test.task.title}, `{name}`", f"{test.ours.n}, {test.reference.n}", *test.columns(), f"{adjusted:.2g}",
        ]
        for (name, test), adjusted in zip(tests, holm([test.p for _, test in tests]), strict=True)
    ]
    return markdown(["compared with", "runs", f"`{method}`", "it", "difference", "p", "p, Holm"], rows) if rows else ""


def run_table(cells: Cells) -> str:
    """Seeds, times and digests of all runs."""
    rows = []
    for task in cells.tasks:
        for name, results in cells.on(task.name).items():
            rates = [result.env_steps_per_second for result in results if result.env_steps_per_second]
            rows.append([
                f"{task.name} `{name}`", " ".join(str(result.seed) for result in results),
                f"{statistics.mean(result.seconds for result in results):,.0f}",
                f"{statistics.mean(rates):,.0f}" if rates else ABSENT,
                " ".join(f"`{(result.digest or 'none')[:_DIGEST_CHARACTERS]}`" for result in results),
            ])
    return markdown(["cell", "seeds", "seconds a run", "steps/s", "digests, in the order of the seeds"], rows)
