"""The progress display of the command line as a callback of ``learn``."""

from __future__ import annotations

import time

from teamnet.training.callback import Callback
from teamnet.training.outputs import ProgressLine
from teamnet.training.run import Run
from teamnet.training.task import Episode

_SECONDS = 0.2
"""Between two updates of the display."""


class ProgressBar(Callback):
    """Shows episodes, the running return, steps/s and the time left on the standard error."""

    def __init__(self) -> None:
        self._line: ProgressLine | None = None
        self._shown = self._steps = 0.0

    def on_start(self, run: Run) -> None:
        """Begin the display."""
        self._line = ProgressLine(run, run.spec.task)
        self._shown, self._steps = time.perf_counter(), run.task.env_steps

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Record the return."""
        assert self._line
        self._line.episodes([episode])

    def on_step(self, run: Run) -> None:
        """Update the display, some five times in a second."""
        assert self._line
        now, steps = time.perf_counter(), run.task.env_steps
        rate = (steps - self._steps) / max(1e-6, now - self._shown)
        self.every = max(1, round(rate * _SECONDS))
        self._shown, self._steps = now, steps
        self._line.show()

    def on_end(self, run: Run) -> None:
        """End the display."""
        if self._line:
            self._line.close()
