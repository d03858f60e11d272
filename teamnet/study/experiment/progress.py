"""The progress display of a study: runs finished, runs in progress, and the time left."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from teamnet.study.experiment.invocations import clock
from teamnet.study.experiment.results import Result
from teamnet.study.experiment.study import Planned, brief

_PRINT_EVERY = 20.0
_NAMED = 4


class StudyProgress:
    """A live line on a terminal, else a line every twenty seconds, on the standard error.

    ``at_once`` is the largest number of simultaneous runs.

    Args:
        runs: the runs to execute, indexed by the numbers that ``waiting`` receives.
        before: the number of requested runs that were finished before.
        finished: results of other runs, from whose durations the time left is estimated.
        now: a monotonic clock in seconds.
    """

    def __init__(
        self, runs: Sequence[Planned], before: int, finished: Sequence[Result],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._runs, self._before, self._now = runs, before, now
        self._durations = [(result.task, result.method, result.seconds) for result in finished]
        self._begun: dict[int, float] = {}
        self._ended: set[int] = set()
        self._running: list[int] = []
        self.at_once, self._next_print = 0, now()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"), console=self._console,
        )
        self._task = self._bar.add_task("runs", total=before + len(runs), completed=before, text="")
        if self._console.is_terminal:
            self._bar.start()

    @property
    def _done(self) -> int:
        return self._before + len(self._ended)

    def waiting(self, running: list[int]) -> None:
        """Show that these runs are running."""
        now = self._now()
        for number in running:
            self._begun.setdefault(number, now)
        self._running, self.at_once = running, max(self.at_once, len(running))
        self._bar.update(self._task, completed=self._done, text=self.text())
        if not self._console.is_terminal and now >= self._next_print:
            self._next_print = now + _PRINT_EVERY
            self._print(f"{self._done} of {self._before + len(self._runs)} runs finished; {self.text()}")

    def ended(self, number: int, error: str) -> None:
        """Count a run that has ended. A failure stays visible."""
        self._ended.add(number)
        run, now = self._runs[number], self._now()
        if error:
            self._print(f"{run.label} failed: {brief(error)}")
        else:
            self._durations.append((run.task, run.method, now - self._begun.get(number, now)))

    def text(self) -> str:
        """The runs in progress, and the time left."""
        running = ", ".join(self._runs[number].label for number in self._running[:_NAMED])
        running += f" and {len(self._running) - _NAMED} more" if len(self._running) > _NAMED else ""
        left = self.seconds_left()
        return f"{running or 'starting'}" + (f"; about {clock(left)} left" if left is not None else "")

    def seconds_left(self) -> float | None:
        """Expected seconds until all runs have ended, ``None`` as long as no run has ended."""
        total, now = 0.0, self._now()
        for number, run in enumerate(self._runs):
            if number in self._ended:
                continue
            if not self._durations:
                return None
            elapsed = now - self._begun.get(number, now)
            # a run that takes longer than expected will not end at once
            total += max(self._expected(run) - elapsed, elapsed / 4)
        return total / max(1, len(self._running))

    def _expected(self, run: Planned) -> float:
        """Expected seconds of a run: the mean over runs of its task and method, else of its task, else over all."""
        same_task = [duration for duration in self._durations if duration[0] == run.task]
        same_cell = [duration for duration in same_task if duration[1] == run.method]
        return statistics.mean(duration[2] for duration in same_cell or same_task or self._durations)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """End the display."""
        self._bar.update(self._task, completed=self._done, text="")
        if self._console.is_terminal:
            self._bar.stop()
        else:
            self._print(f"{self._done} of {self._before + len(self._runs)} runs ended")
