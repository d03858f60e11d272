"""Observers that record the episodes of a run, and the progress display on a terminal."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from teamnet.training.learning_curve import WINDOW
from teamnet.training.run import Run
from teamnet.training.task import Episode


class Observer(Protocol):
    """Receives every finished episode."""

    def episodes(self, episodes: list[Episode]) -> None:
        """Record episodes that have just ended."""
        ...

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """Discard the records after the checkpoint, with this JSON, to which ``run`` has returned."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...


class ProgressLine:
    """Episodes, running return, steps/s and time left: a live line on a terminal, else a line every ten seconds."""

    def __init__(self, run: Run, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._run = run
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._begun, self._first = time.perf_counter(), run.task.env_steps
        self._next_print = self._begun + 10
        self._bar = Progress(
            TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[text]}"), TimeRemainingColumn(), console=self._console,
        )
        self._task = self._bar.add_task(label, total=1.0, text="")
        if self._live:
            self._bar.start()

    def episodes(self, episodes: list[Episode]) -> None:
        """See :class:`Observer`."""
        self._recent.extend(episode.total for episode in episodes)

    def rewind(self, run: Run, about: Mapping[str, Any]) -> None:
        """See :class:`Observer`."""
        self._run = run

    def show(self) -> None:
        """Update the display."""
        text = self._text()
        self._bar.update(self._task, completed=self._share(), text=text)
        if not self._live and time.perf_counter() >= self._next_print:
            self._next_print += 10
            self._console.print(f"{100 * self._share():3.0f} %  {text}", highlight=False)

    def _share(self) -> float:
        task = self._run.task
        shares = [
            done / end for done, end in zip((task.env_steps, task.episodes), self._run.ends, strict=True) if end
        ]
        return min(1.0, max(shares, default=0.0))

    def _text(self) -> str:
        task = self._run.task
        recent = f"return {sum(self._recent) / len(self._recent):.2f}  " if self._recent else ""
        rate = (task.env_steps - self._first) / max(1e-9, time.perf_counter() - self._begun)
        return f"{task.episodes:,} episodes  {recent}{rate:,.0f} steps/s"

    def close(self) -> None:
        """See :class:`Observer`."""
        self.show()
        if self._live:
            self._bar.stop()
        else:
            self._console.print(f"{100 * self._share():3.0f} %  {self._text()}", highlight=False)
