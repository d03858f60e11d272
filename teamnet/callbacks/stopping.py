"""End a run early: at a mean return, or once it no longer improves."""

from __future__ import annotations

import math
from collections import deque

from teamnet.training.callback import Callback
from teamnet.training.run import Run
from teamnet.training.task import Episode
from teamnet.values import check_count, check_number


class _MeanReturn(Callback):
    """Keeps the mean return of the newest episodes.

    Args:
        episodes: their number.
    """

    def __init__(self, episodes: int) -> None:
        check_count("episodes", episodes, 1)
        self._recent: deque[float] = deque(maxlen=episodes)

    def _mean(self, episode: Episode) -> float | None:
        """The mean with another episode; ``None`` before there are enough."""
        self._recent.append(episode.total)
        return sum(self._recent) / len(self._recent) if len(self._recent) == self._recent.maxlen else None

    def on_rewind(self, run: Run) -> None:
        """Begin anew: the episodes after the checkpoint are done again."""
        self._recent.clear()


class StopAtReturn(_MeanReturn):
    """Ends the run once the mean return of the newest episodes reaches a value.

    Args:
        value: of the mean return.
        episodes: over which it is taken.
    """

    def __init__(self, value: float, episodes: int = 100) -> None:
        check_number("value", value, "a finite number", True, "Give the return that is enough.")
        super().__init__(episodes)
        self._value = value

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Compare the mean."""
        mean = self._mean(episode)
        if mean is not None and mean >= self._value:
            run.stop(f"the mean return of {self._recent.maxlen} episodes reached {self._value:g}")


class StopWithoutImprovement(_MeanReturn):
    """Ends the run once the mean return of the newest episodes has had no new maximum for some episodes.

    Args:
        patience: episodes since the last maximum.
        episodes: over which the mean is taken.
        least: by how much the mean has to exceed the last maximum to count as a new one.
    """

    def __init__(self, patience: int, episodes: int = 100, least: float = 0.0) -> None:
        check_count("patience", patience, 1)
        check_number("least", least, "0 or more", least >= 0, "Use 0 for any improvement.")
        super().__init__(episodes)
        self._patience, self._least = patience, least
        self._best, self._since = -math.inf, 0

    def on_rewind(self, run: Run) -> None:
        """Begin anew: the maximum may be of episodes after the checkpoint."""
        super().on_rewind(run)
        self._best, self._since = -math.inf, 0

    def on_episode(self, run: Run, episode: Episode) -> None:
        """Compare the mean with the best one."""
        mean = self._mean(episode)
        if mean is None:
            return
        if mean > self._best + self._least:
            self._best, self._since = mean, 0
        else:
            self._since += 1
        if self._since >= self._patience:
            run.stop(
                f"the mean return of {self._recent.maxlen} episodes has not exceeded {self._best:g} for "
                f"{self._patience} episodes"
            )
