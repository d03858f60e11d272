"""Evaluate the policy while the run trains, and keep the best one."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path
from typing import Any

from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.run import SINGLE_STEP_TASKS
from teamnet.training.atomic import having_room, write_atomically
from teamnet.training.callback import Callback
from teamnet.training.episodes import MOST_STEPS, Episodes, play
from teamnet.training.run import Run
from teamnet.training.run_folder import BEST, evaluations_of
from teamnet.values import check_count, check_number


class Evaluation(Callback):
    """Lets the policy act in an environment of its own every some steps, and keeps the best policy.

    ``FOLDER/evaluations-RUN.jsonl`` gets a line for each evaluation: ``env_steps``, ``mean_return``, ``std_return`` and
    ``returns``; ``FOLDER/best`` has a checkpoint of the policy with the highest mean, which
    :meth:`teamnet.TrainedPolicy.load`, :meth:`teamnet.TeamAgent.load` and ``teamnet eval`` take. Training is not
    changed by a bit.

    Args:
        every: environment steps of training between two evaluations.
        episodes: of an evaluation.
        greedy: take means and the most probable actions instead of samples.
        seed: of the environment and the samples; the same for each evaluation.
        folder: for the files; without it that of the run, and nothing is written if the run has none.
        stop_at: the mean return at which the run ends; never if left out.
        max_steps: environment steps after which an episode is cut.

    Attributes:
        results: the evaluations so far: environment steps of training, and the episodes.
        best: the highest mean return so far.
    """

    def __init__(
        self, every: int = 10_000, episodes: int = 10, *, greedy: bool = False, seed: int = 0,
        folder: str | Path | None = None, stop_at: float | None = None, max_steps: int = MOST_STEPS,
    ) -> None:
        for name, number, least in (
            ("every", every, 1), ("episodes", episodes, 1), ("seed", seed, 0), ("max_steps", max_steps, 1)
        ):
            check_count(name, number, least)
        if stop_at is not None:
            check_number("stop_at", stop_at, "a finite number", True, "Leave it out to train to the end.")
        self.every = every
        self._episodes, self._greedy, self._seed, self._max_steps = episodes, greedy, seed, max_steps
        self._folder, self._stop_at = None if folder is None else Path(folder).absolute(), stop_at
        self.results: list[tuple[int, Episodes]] = []
        self.best = -math.inf

    def on_start(self, run: Run) -> None:
        """Find the folder, and the best policy that an earlier part of the run left there."""
        if run.spec.task in SINGLE_STEP_TASKS:
            raise SpecError(
                "callback", expected="a task with an environment", found=f"Evaluation of {run.spec.task}",
                remedy="Leave the evaluation out: every batch is one.",
            )
        self._folder = self._folder or run.folder
        self.on_rewind(run)

    def on_rewind(self, run: Run) -> None:
        """Drop the evaluations after the present step, which are done again."""
        steps = run.task.env_steps
        self.results = [(step, found) for step, found in self.results if step <= steps]
        means = [found.mean for _, found in self.results]
        if self._folder and (log := evaluations_of(self._folder, run.identity)).exists():
            kept = [line for line in _whole_lines(log) if line["env_steps"] <= steps]
            write_atomically(log, "".join(f"{json.dumps(line)}\n" for line in kept).encode(), run.identity)
            means += [line["mean_return"] for line in kept]
        self.best = max(means, default=-math.inf)

    def on_step(self, run: Run) -> None:
        """Evaluate."""
        with closing(run.make_environment()) as environment:
            found = play(
                environment, run.policy(self._seed), episodes=self._episodes, seed=self._seed, greedy=self._greedy,
                max_steps=self._max_steps,
            )
        self.results.append((run.task.env_steps, found))
        if self._folder:
            self._write(self._folder, run, found)
        self.best = max(self.best, found.mean)
        if self._stop_at is not None and found.mean >= self._stop_at:
            run.stop(f"the mean return of an evaluation reached {self._stop_at:g}")

    def _write(self, folder: Path, run: Run, found: Episodes) -> None:
        line = {
            "env_steps": run.task.env_steps, "mean_return": found.mean, "std_return": found.std,
            "returns": found.returns,
        }
        with having_room(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with evaluations_of(folder, run.identity).open("a") as log:
                log.write(json.dumps(line) + "\n")
        if found.mean > self.best:
            run.save(folder / BEST, keep=1)


def _whole_lines(log: Path) -> list[dict[str, Any]]:
    """The evaluations in a file, without a last one that was not completely written."""
    *whole, _ = log.read_text().split("\n")
    try:
        return [json.loads(line) for line in whole]
    except ValueError as error:
        raise CheckpointError(
            str(log), expected="a JSON object a line", found=str(error), remedy="Move the file away.",
        ) from None
