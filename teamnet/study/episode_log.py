"""A log of finished episodes with their times, for comparing learners."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from teamnet.training.learning_curve import WINDOW
from teamnet.values import check_count


class EpisodeLog:
    """Counts, averages and times the episodes of one learner, and decides when its run ends.

    ``lines`` has one entry for each episode, in the format of ``metrics.jsonl``; ``seconds_to_threshold`` is ``None``
    as long as the threshold is not reached.

    Args:
        wanted: number of episodes of the run.
        threshold: the mean return of the last 100 episodes to reach; ``None`` for none.
        stop_there: whether that mean ends the run.
        clock: a monotonic clock in seconds.

    Raises:
        SpecError: the number of episodes is not positive.
    """

    def __init__(
        self, wanted: int, *, threshold: float | None = None, stop_there: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        check_count("episodes", wanted, 1)
        self.wanted, self._threshold, self._stop_there, self._clock = wanted, threshold, stop_there, clock
        self.lines: list[dict[str, Any]] = []
        self.seconds_to_threshold: float | None = None
        self._seconds, self._begun = 0.0, clock()

    def begin(self) -> None:
        """Set the time to 0: earlier time is start-up."""
        self._begun = self._clock()

    def ended(self, env_steps: int, total: float, length: int) -> bool:
        """Add an episode that has just ended; returns whether it was the last one.

        Args:
            env_steps: environment steps of the whole run so far.
            total: the return, undiscounted and unclipped.
            length: environment steps of the episode.
        """
        self._seconds = self._clock() - self._begun
        self.lines.append({
            "env_steps": env_steps, "episode": len(self.lines) + 1, "return": total, "length": length,
            "seconds": round(self._seconds, 3),
        })
        if self.seconds_to_threshold is None and self._threshold is not None and len(self.lines) >= WINDOW:
            newest_sum = sum(line["return"] for line in self.lines[-WINDOW:])
            if newest_sum / WINDOW >= self._threshold:
                self.seconds_to_threshold = self._seconds
        return self.over

    @property
    def over(self) -> bool:
        """Whether the run has all its episodes, or has reached the mean that ends it."""
        reached = self._stop_there and self.seconds_to_threshold is not None
        return reached or len(self.lines) >= self.wanted

    def summary(self) -> dict[str, Any]:
        """Totals and means of the episodes, as JSON types; times in seconds."""
        env_steps = self.lines[-1]["env_steps"] if self.lines else 0
        return {
            "env_steps": env_steps, "episodes": len(self.lines),
            "mean_return": sum(line["return"] for line in self.lines) / len(self.lines) if self.lines else None,
            "seconds": round(self._seconds, 3),
            "env_steps_per_second": round(env_steps / self._seconds, 1) if self._seconds else None,
        }
