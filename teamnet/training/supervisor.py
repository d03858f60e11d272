"""Progress display, checkpoints and recovery of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from teamnet.errors import ActorLost, Diverged, LinkLost, LinkRefused, ResourceError, TeamnetError
from teamnet.spec.run import LaunchSpec, RunSpec, slowed
from teamnet.training.callback import Callbacks
from teamnet.training.checkpoint import checkpoints_in, newest_checkpoint
from teamnet.training.export import exporter
from teamnet.training.metrics import MetricsFile, extent_of
from teamnet.training.outputs import Observer, ProgressLine
from teamnet.training.replay_check import ReplayRecord
from teamnet.training.run import Run
from teamnet.training.run_files import write_spec, write_summary
from teamnet.training.saving import Saving
from teamnet.training.task import Episode
from teamnet.training.tensorboard import TensorBoardEvents
from teamnet.training.trace_request import answer
from teamnet.training.writer import Writer

_SHOWN_EVERY = 0.2
_EXPORTED_EVERY = 5.0
"""Seconds between two exports of the ledger to Ray, each of which queries every unit."""
PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)
"""Seconds before each attempt to start a new team."""

_LOSSES = ActorLost, LinkLost, LinkRefused
"""Errors from which a run recovers; its nodes refuse each other only if one of them fails during a handshake."""

_TIMES_IN_PLACE = 2
"""A second unit may die while the first is being replaced."""

Say = Callable[[str], None]


def start(
    spec: RunSpec, launch: LaunchSpec, path: Path | None, say: Say, pauses: Sequence[float] = PAUSES,
    passing: tuple[type[TeamnetError], ...] = _LOSSES, former: RunSpec | None = None,
) -> tuple[Run, dict[str, Any]]:
    """A new team at a checkpoint, or at the first step; after ``passing`` errors the start is retried.

    The checkpoint is of the spec ``former``, if that is given.
    """
    for left, pause in zip(reversed(range(len(pauses))), pauses, strict=True):
        time.sleep(pause)
        run = None
        try:
            run = Run(spec, launch, say=say)
            return run, run.load(path, former) if path else {}
        except passing as error:
            if run:
                close_lost(run)
            if not left:
                raise
            say(f"{error.where}: {error.found} while it started; retrying")
        except BaseException:
            if run:
                close_lost(run)
            raise
    raise AssertionError("there is at least one attempt")


def close_lost(run: Run) -> None:
    """Close a run whose team is lost, as far as possible."""
    with suppress(TeamnetError):
        run.close()


class Supervisor:
    """Trains a run to its end.

    Args:
        run: at its first step, or at a checkpoint, and known to the callbacks.
        about: the JSON of that checkpoint; empty for the first step.
        out: the run's folder; ``None`` saves nothing, and a run that loses units ends.
        saving: how it is saved and recovered.
        say: called for each recovery.
        callbacks: called while the run trains.
    """

    def __init__(
        self, run: Run, about: dict[str, Any], out: Path | None, saving: Saving, say: Say, callbacks: Callbacks
    ) -> None:
        self.run, self._out, self._saving, self._say, self._callbacks = run, out, saving, say, callbacks
        run.describe = self._describe
        self._recoveries: list[dict[str, Any]] = about.get("recoveries", [])
        self._replay = ReplayRecord(run.spec.task, say, enabled=out is not None and saving.replay_check)
        self._writer = Writer()
        self._observers: list[Observer] = []
        self._metrics: MetricsFile | None = None
        if out:
            run.owns_folder = True
            write_spec(out, run.identity, run.spec, run.launch)
            self._metrics = MetricsFile(out, extent_of(about) if about else None)
            self._observers += [self._metrics, TensorBoardEvents(out, run)]
        self._progress = ProgressLine(run, run.spec.task)
        self._observers.append(self._progress)
        self._export = exporter(run)

    def train(self) -> dict[str, Any]:
        """Train to the spec's end, or until :meth:`stop`; returns the summary.

        Raises:
            TeamnetError: the run failed, and did not recover.
        """
        in_a_row, furthest = 0, -1
        while True:
            try:
                self._loop()
                return self._finish()
            except _LOSSES as error:
                reached = self.run.task.env_steps
                in_a_row = 1 if reached > furthest else in_a_row + 1
                furthest = max(furthest, reached)
                if not self._out or in_a_row > self._saving.recoveries:
                    raise
                self._recover(self._out, error)
            except Diverged as error:
                if not self._out or not self.run.spec.divergence_retries:
                    raise
                self._recover(self._out, error)

    def stop(self) -> None:
        """End after the current step."""
        self.run.stop_asked = True

    def _loop(self) -> None:
        run = self.run
        next_save = run.task.env_steps + self._saving.every if self._out else math.inf
        export_at = 0.0
        while not run.done and not run.stop_asked:
            show_at = time.perf_counter() + _SHOWN_EVERY
            due = min(next_save, self._callbacks.due)
            episodes = run.advance(
                lambda show_at=show_at, due=due: time.perf_counter() >= show_at or run.task.env_steps >= due
            )
            if self._out and not run.done:
                episodes += answer(self._out, run)
            for observer in self._observers:
                observer.episodes(episodes)
            self._progress.show()
            self._call_back(episodes)
            if run.task.env_steps >= next_save and not run.done:
                self._save()
                if time.perf_counter() >= export_at:
                    self._export()
                    export_at = time.perf_counter() + _EXPORTED_EVERY
                next_save = run.task.env_steps + self._saving.every

    def _call_back(self, episodes: list[Episode]) -> None:
        try:
            self._callbacks.progress(self.run, episodes)
        except Exception:  # a callback can raise anything: what was learned is saved first
            with suppress(TeamnetError):  # of the disk: the exception of the callback is the one that is reported
                self._save(last=True)
                self._writer.wait()
            raise

    def _save(self, *, last: bool = False) -> None:
        if self._out and self._metrics:
            self._replay.begin(self.run.check_replay)
            self._replay.look(wait=last)
            path = self.run.save(self._out, self._about(), self._saving.keep, self._writer)
            self._callbacks.checkpoint(self.run, path)

    def _about(self) -> dict[str, Any]:
        """What a checkpoint in the run's folder has beside the run's own content."""
        metrics = {"metrics": self._metrics.extent().as_plain()} if self._metrics else {}
        return {**metrics, "recoveries": list(self._recoveries), "replayable": self._replay.replayable}

    def _describe(self) -> dict[str, Any]:
        """The same for a checkpoint that a callback saves; one that is being written has its number first."""
        self._writer.wait()
        return self._about()

    def _finish(self) -> dict[str, Any]:
        self._export()
        self._save(last=True)
        self._writer.wait()
        resumable = self._out is not None and self._replay.replayable is not False
        summary = self.run.summary() | {"resumable": resumable, "recoveries": self._recoveries}
        if self._out and self._metrics:
            write_summary(self._out, self.run.identity, summary, self._metrics.extent())
        return summary

    def _recover(self, out: Path, error: TeamnetError) -> None:
        """Return to the newest checkpoint: with new units in place of the lost ones, else with a new team.

        A run that has diverged continues with smaller steps.
        """
        begun, lost_at = time.perf_counter(), self.run.task.env_steps
        self._writer.wait()
        path = self._newest(out)
        self._say(f"{error.where}: {error.found}; returning to {path.name if path else 'the beginning'}")
        about, how = self._slow_down(out, path) if isinstance(error, Diverged) else self._replace(path)
        for observer in self._observers:
            observer.rewind(self.run, about)
        self._callbacks.rewind(self.run)
        seconds = round(time.perf_counter() - begun, 3)
        steps = lost_at - self.run.task.env_steps
        self._recoveries.append({
            "found": error.found, "how": how, "seconds": seconds, "env_steps": lost_at, "replayed_env_steps": steps,
        })
        self._say(f"continuing after {seconds:.1f} s with {how}; {steps} environment steps are done again")

    def _newest(self, out: Path) -> Path | None:
        """The newest checkpoint of this run; ``None`` if it has none yet."""
        if not [saved for saved in checkpoints_in(out) if saved.run == self.run.identity]:
            return None
        return newest_checkpoint(out, self._say, self.run.identity)

    def _replace(self, path: Path | None) -> tuple[dict[str, Any], str]:
        if path:
            for _ in range(_TIMES_IN_PLACE):
                with suppress(*_LOSSES):
                    return self.run.repair(path)
        return self._start_anew(self.run.spec, path), "a new team"

    def _slow_down(self, out: Path, path: Path | None) -> tuple[dict[str, Any], str]:
        about = self._start_anew(slowed(self.run.spec), path)
        if path:  # replaces that checkpoint, so that a resumed run has the smaller steps too
            kept = {name: about[name] for name in ("metrics", "recoveries", "replayable") if name in about}
            self.run.save(out, kept, keep=self._saving.keep)
        write_spec(out, self.run.identity, self.run.spec, self.run.launch)
        return about, "half the step size and half the learning rates"

    def _start_anew(self, spec: RunSpec, path: Path | None) -> dict[str, Any]:
        old = self.run
        close_lost(old)
        passing = (*_LOSSES, ResourceError)  # a cluster takes a while to detect that a node is dead
        self.run, about = start(spec, old.launch, path, self._say, passing=passing, former=old.spec)
        for name in ("identity", "owns_folder", "folder", "describe"):
            setattr(self.run, name, getattr(old, name))
        if old.stop_asked:
            self.stop()
        self._export = exporter(self.run)
        return about

    def close(self) -> None:
        """End the run, and close its files."""
        with ExitStack() as until_end:  # the run ends last, even if closing a file raises
            until_end.callback(self.run.close)
            for observer in self._observers:
                until_end.callback(observer.close)
            until_end.callback(self._writer.close)
            until_end.callback(self._replay.close)
            until_end.callback(self._callbacks.end, self.run)
