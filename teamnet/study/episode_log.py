"""Episodes as they end, with their times: what a comparison of learners needs to know of each of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from teamnet.errors import SpecError
from teamnet.training.learning_curve import WINDOW


class EpisodeLog:
    """Counts, averages and times the episodes of one learner, and says when it has had enough of them.

    ``lines`` has one entry for each episode, as ``metrics.jsonl`` is to have it.

    Args:
        episodes: how many there are to be.
        threshold: the mean return of the newest hundred that is waited for; ``None`` for none.
        stop_there: whether that mean ends the run.
        clock: seconds, going on steadily.

    Raises:
        SpecError: the number of episodes is not positive.
    """

    def __init__(
        self, episodes: int, *, threshold: float | None = None, stop_there: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if episodes < 1:
            raise SpecError("episodes", expected="1 or more", found=str(episodes), mend="Give such a number.")
        self._wanted, self._threshold, self._stop_there, self._clock = episodes, threshold, stop_there, clock
        self._newest: deque[float] = deque(maxlen=WINDOW)
        self.lines: list[dict[str, Any]] = []
        self._begun = clock()
        self.episodes = self.env_steps = 0
        self.return_sum = self.seconds = 0.0
        self.seconds_to_threshold: float | None = None

    def begin(self) -> None:
        """Set the time to 0: what came before was start-up."""
        self._begun = self._clock()

    def ended(self, env_steps: int, total: float, length: int) -> bool:
        """Take note of an episode that has just ended; returns whether it was the last one.

        Args:
            env_steps: environment steps of the whole run so far.
            total: the return, undiscounted and unclipped.
            length: environment steps of the episode.
        """
        self.seconds = self._clock() - self._begun
        self.env_steps = env_steps
        self.episodes += 1
        self.return_sum += total
        self._newest.append(total)
        self.lines.append({
            "env_steps": env_steps, "episode": self.episodes, "return": total, "length": length,
            "seconds": round(self.seconds, 3),
        })
        if self.seconds_to_threshold is None and self._reached():
            self.seconds_to_threshold = self.seconds
        return self.over

    def _reached(self) -> bool:
        full = len(self._newest) == WINDOW
        return full and self._threshold is not None and sum(self._newest) / WINDOW >= self._threshold

    @property
    def over(self) -> bool:
        """Whether there are enough episodes, or the mean that ends the run is reached."""
        reached = self._stop_there and self.seconds_to_threshold is not None
        return reached or self.episodes >= self._wanted

    def summary(self) -> dict[str, Any]:
        """What the episodes come to, as JSON types; times in seconds."""
        return {
            "env_steps": self.env_steps, "episodes": self.episodes,
            "mean_return": self.return_sum / self.episodes if self.episodes else None,
            "seconds": round(self.seconds, 3),
            "env_steps_per_second": round(self.env_steps / self.seconds, 1) if self.seconds else None,
        }
