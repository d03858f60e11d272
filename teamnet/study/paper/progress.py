"""The study's one progress display: runs finished, what is running, and the time left."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from teamnet.study.paper.provenance import clock
from teamnet.study.paper.results import Result
from teamnet.study.paper.runs import Planned, brief

_PRINT_EVERY = 20.0
_NAMED = 4


class Durations:
    """How long runs take, from those that are finished."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        for result in results:
            self._seconds[result.task, result.method].append(result.seconds)

    def add(self, run: Planned, seconds: float) -> None:
        """Take note of a run that has ended."""
        self._seconds[run.task, run.method].append(seconds)

    def expected(self, run: Planned) -> float | None:
        """Seconds that such a run takes: as runs of its task and method did, else of its task, else any run."""
        same_task = [seconds for (task, _), its in self._seconds.items() if task == run.task for seconds in its]
        every = [seconds for its in self._seconds.values() for seconds in its]
        cell = self._seconds.get((run.task, run.method), [])
        known = cell or same_task or every
        return statistics.mean(known) if known else None


class StudyProgress:
    """A live line on a terminal, else a line every twenty seconds, on the standard error.

    ``at_once`` is the most runs that went on at the same time.

    Args:
        runs: what is to be done, by the numbers that ``waiting`` is called with.
        finished: runs that had been done before.
        durations: of runs, for the time left.
        now: seconds, going on steadily.
    """

    def __init__(
        self, runs: Sequence[Planned], finished: int, durations: Durations,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._runs, self._before, self._durations, self._now = runs, finished, durations, now
        self._begun: dict[int, float] = {}
        self._ended: set[int] = set()
        self._running: list[int] = []
        self.at_once = 0
        self._next_print = now()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"), console=self._console,
        )
        self._task = self._bar.add_task("runs", total=finished + len(runs), completed=finished, text="")
        self._live = self._console.is_terminal
        if self._live:
            self._bar.start()

    def waiting(self, running: list[int]) -> None:
        """Show that these runs are going on."""
        now = self._now()
        for number in running:
            self._begun.setdefault(number, now)
        self._running, self.at_once = running, max(self.at_once, len(running))
        self._bar.update(self._task, completed=self._before + len(self._ended), text=self.text())
        if not self._live and now >= self._next_print:
            self._next_print = now + _PRINT_EVERY
            self._print()

    def ended(self, number: int, error: str) -> None:
        """Take note of a run that has ended. A failure is shown for good."""
        self._ended.add(number)
        if error:
            self._console.print(f"{self._runs[number].label} failed: {brief(error)}", highlight=False)
        else:
            now = self._now()
            self._durations.add(self._runs[number], now - self._begun.get(number, now))

    def text(self) -> str:
        """What is running, and the time left."""
        running = ", ".join(self._runs[number].label for number in self._running[:_NAMED])
        running += f" and {len(self._running) - _NAMED} more" if len(self._running) > _NAMED else ""
        left = self.seconds_left()
        return f"{running or 'starting'}" + (f"; about {clock(left)} left" if left is not None else "")

    def seconds_left(self) -> float | None:
        """Expected seconds until all is done, ``None`` as long as no run has ended."""
        total, now = 0.0, self._now()
        for number, run in enumerate(self._runs):
            if number in self._ended:
                continue
            expected = self._durations.expected(run)
            if expected is None:
                return None
            elapsed = now - self._begun.get(number, now)
            total += max(expected - elapsed, elapsed / 4)  # a run that takes longer than expected will not end at once
        return total / max(1, len(self._running))

    def _print(self) -> None:
        done, total = self._before + len(self._ended), self._before + len(self._runs)
        self._console.print(f"{done} of {total} runs finished; {self.text()}", highlight=False, soft_wrap=True)

    def close(self) -> None:
        """End the display."""
        done = self._before + len(self._ended)
        self._bar.update(self._task, completed=done, text="")
        if self._live:
            self._bar.stop()
        else:
            self._console.print(f"{done} of {self._before + len(self._runs)} runs ended", highlight=False)
