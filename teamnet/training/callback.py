"""Callbacks: what user code does while a run trains, without changing a bit of its result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from teamnet.errors import SpecError, shown
from teamnet.training.task import Episode

if TYPE_CHECKING:
    from teamnet.training.run import Run


class Callback:
    """Methods that are called while a run trains; a subclass overrides those that it needs.

    They are called between two steps, in the process of the coordinator. ``run.task.env_steps`` and
    ``run.task.episodes`` tell how far the run is; ``run.stop(reason)`` ends it after this step; ``run.policy()``,
    ``run.make_environment()``, ``run.state()`` and ``run.save(folder)`` have its present state. An exception ends the
    training; the run is saved first if it has a folder.

    Attributes:
        every: environment steps between two calls of :meth:`on_step`: it is called once that many more are done.
    """

    every: int = 1

    def on_start(self, run: Run) -> None:
        """Training begins or continues; ``run.folder`` is the run's folder, ``None`` for none.

        An exception refuses the run: the files of an earlier run in the folder are removed after all callbacks have
        started, and those of a new run are written then.
        """

    def on_step(self, run: Run) -> None:
        """Another ``every`` environment steps are done; the episodes that ended meanwhile are reported before."""

    def on_episode(self, run: Run, episode: Episode) -> None:
        """An episode has ended; ``episode.total`` is its return. Of single-step tasks: a hundred batches."""

    def on_checkpoint(self, run: Run, path: Path) -> None:
        """A checkpoint is being written to ``path``, a JSON file that may not exist yet."""

    def on_rewind(self, run: Run) -> None:
        """The run has returned to an earlier step, after the loss of an actor or a divergence."""

    def on_end(self, run: Run) -> None:
        """Training ends, whether or not the run is at its end; also after an exception."""


class Callbacks:
    """All callbacks of a run.

    Args:
        callbacks: in the order in which they are called.

    Attributes:
        due: the environment step at which the next call of ``on_step`` is due; infinite if none has that method.

    Raises:
        SpecError: one is no callback, or its ``every`` is not a positive whole number.
    """

    def __init__(self, callbacks: Sequence[Callback] = ()) -> None:
        self._all = list(callbacks)
        for callback in self._all:
            if not isinstance(callback, Callback):
                raise SpecError(
                    "callback", expected="objects of classes that are derived from teamnet.callbacks.Callback",
                    found=shown(callback), remedy="Derive its class from Callback, and give an object of it.",
                )
            if not isinstance(callback.every, int) or callback.every < 1:
                raise SpecError(
                    f"{type(callback).__name__}.every", expected="a whole number of environment steps from 1",
                    found=shown(callback.every), remedy="Give such a number.",
                )
        self._stepping = [callback for callback in self._all if type(callback).on_step is not Callback.on_step]
        self._next: dict[int, int] = {}
        self.due = math.inf

    def start(self, run: Run) -> None:
        """Training begins."""
        self._plan(run)
        for callback in self._all:
            callback.on_start(run)

    def _plan(self, run: Run) -> None:
        """Every callback is due at multiples of its number of steps, whether or not the run was resumed."""
        done = run.task.env_steps
        self._next = {
            place: (done // callback.every + 1) * callback.every for place, callback in enumerate(self._stepping)
        }
        self.due = min(self._next.values(), default=math.inf)

    def progress(self, run: Run, episodes: Sequence[Episode]) -> None:
        """Some steps are done, in which episodes have ended."""
        with ExitStack() as calls:  # which are done from the last one on, each also after an exception
            for episode in reversed(episodes):
                for callback in reversed(self._all):
                    calls.callback(callback.on_episode, run, episode)
        done = run.task.env_steps
        if done >= self.due:
            due = [callback for place, callback in enumerate(self._stepping) if done >= self._next[place]]
            self._plan(run)
            for callback in due:
                callback.on_step(run)

    def checkpoint(self, run: Run, path: Path) -> None:
        """A checkpoint is being written."""
        for callback in self._all:
            callback.on_checkpoint(run, path)

    def rewind(self, run: Run) -> None:
        """The run has returned to an earlier step."""
        self._plan(run)
        for callback in self._all:
            callback.on_rewind(run)

    def end(self, run: Run) -> None:
        """Training ends."""
        with ExitStack() as calls:
            for callback in reversed(self._all):
                calls.callback(callback.on_end, run)


def as_list(given: Callback | Sequence[Callback] | None) -> list[Callback]:
    """One callback, several, or none, as a list."""
    if given is None:
        return []
    if isinstance(given, Callback) or not isinstance(given, list | tuple):
        return [given]  # type: ignore[list-item]  # what is no callback is refused when the list is used
    return list(given)
