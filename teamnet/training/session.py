"""A run from its folder's point of view: train with outputs, save on the way, mend what is lost, and resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from teamnet.errors import ActorLost, Diverged, LinkLost, LinkRefused, ResourceError, TeamnetError
from teamnet.spec.run import LaunchSpec, RunSpec, halved
from teamnet.training.beginning import Beginning, continuation, find_beginning, finished_summary
from teamnet.training.checkpoint import checkpoints_in, newest_checkpoint
from teamnet.training.endings import StoppingOnSignals
from teamnet.training.export import exporter
from teamnet.training.launch import check_specs
from teamnet.training.learning_curve import draw_learning_curve
from teamnet.training.metrics import MetricsFile, extent_of
from teamnet.training.outputs import Observer, ProgressLine
from teamnet.training.replay_check import ReplayRecord
from teamnet.training.run import Run
from teamnet.training.run_files import write_spec, write_summary
from teamnet.training.run_folder import check_free, look_into, remove_drafts, take
from teamnet.training.saving import IfPresent, Saving
from teamnet.training.tensorboard import TensorBoardEvents
from teamnet.training.writer import Writer

_SHOWN_EVERY = 0.2
_EXPORTED_EVERY = 5.0
"""Seconds between two showings of the ledger to Ray, which asks every unit."""
_PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)
"""Seconds before each attempt to start anew."""

_LOSSES = ActorLost, LinkLost, LinkRefused
"""What is mended; the nodes of a run refuse each other only where one of them dies in the middle of a handshake."""

_TIMES_IN_PLACE = 2
"""A second unit may die while the first is being replaced."""

Say = Callable[[str], None]


def train(
    spec: RunSpec, launch: LaunchSpec, out: Path | None, *, saving: Saving | None = None,
    if_present: IfPresent = IfPresent.REFUSE, say: Say = lambda message: None,
) -> tuple[dict[str, Any], bool]:
    """Train to the spec's end and leave everything in ``out``; returns the summary and whether it was interrupted.

    Nothing in ``out`` is touched before the run stands at its first step.

    Args:
        spec: the run.
        launch: where its units are.
        out: the run's folder; ``None`` keeps nothing, and a run that loses units ends.
        saving: how it provides against losses.
        if_present: what to do where ``out`` holds a run already: refuse, replace it, or continue it, which has to have
            the same spec but for its end.
        say: called with what is being done while it starts, and with what is recovered.

    Raises:
        SpecError: ``out`` holds a run, files that no run has written, or the run of another spec.
        CheckpointError: see :func:`resume`.
        TeamnetError: the run is refused, or fails.
    """
    saving = saving or Saving()
    if out is None:
        return _run(Beginning(spec, launch), None, saving, say)
    check_specs(spec, launch)
    if if_present is IfPresent.RESUME and look_into(out).runs:
        if beginning := continuation(out, spec, launch, say):
            return _continue(beginning, out, saving, say)
        if_present = IfPresent.OVERWRITE  # it has no checkpoint, and nothing to be continued
    overwrite = if_present is IfPresent.OVERWRITE
    check_free(out, overwrite=overwrite)
    return _run(Beginning(spec, launch, overwrite=overwrite), out, saving, say)


def resume(
    folder: Path, *, env_steps: int | None = None, episodes: int | None = None, saving: Saving | None = None,
    launch_changes: dict[str, Any] | None = None, say: Say = lambda message: None,
) -> tuple[dict[str, Any], bool]:
    """Continue a folder's run from its newest whole checkpoint, bit for bit as if it had never ended.

    Args:
        folder: what ``train`` or ``TeamAgent.save`` wrote to.
        env_steps, episodes: a new end, if given.
        saving: how it provides against losses.
        launch_changes: fields of the launch that differ, such as another backend.
        say: called with what is being done while it starts, and with damaged checkpoints.

    Raises:
        CheckpointError: there is no checkpoint, all are damaged, or the metrics are not the run's.
        SpecError: ``spec.json`` was changed by hand.
    """
    beginning = find_beginning(folder, env_steps=env_steps, episodes=episodes, say=say)
    beginning = replace(beginning, launch=replace(beginning.launch, **(launch_changes or {})))
    return _continue(beginning, folder, saving or Saving(), say)


def _continue(beginning: Beginning, folder: Path, saving: Saving, say: Say) -> tuple[dict[str, Any], bool]:
    if summary := finished_summary(folder, beginning):
        say(f"nothing to do: the run in {folder} is at its end; --env-steps or --episodes set a later one")
        return summary, False
    return _run(beginning, folder, saving, say)


def _run(beginning: Beginning, out: Path | None, saving: Saving, say: Say) -> tuple[dict[str, Any], bool]:
    with StoppingOnSignals() as signals:
        pauses = _PAUSES if out and saving.recoveries else (0.0,)
        run, about = _start(beginning.spec, beginning.launch, beginning.checkpoint, say, pauses)
        try:
            if out and beginning.checkpoint:
                remove_drafts(out, run.identity)
            elif out:
                take(out, overwrite=beginning.overwrite)
            session = _Session(run, about, out, saving, say)
        except BaseException:
            _close(run)
            raise
        try:
            signals.after_step(session.stop)
            summary = session.train()
        finally:
            session.close()
    if out:
        draw_learning_curve(out, run.identity, f"{run.spec.task}, {run.spec.rule}, seed {run.spec.seed}")
    return summary, not session.run.done


def _start(
    spec: RunSpec, launch: LaunchSpec, path: Path | None, say: Say, pauses: Sequence[float] = _PAUSES,
    passing: tuple[type[TeamnetError], ...] = _LOSSES, former: RunSpec | None = None,
) -> tuple[Run, dict[str, Any]]:
    """A new team that stands where a checkpoint says, or at the beginning; ``passing`` errors are tried again.

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
                _close(run)
            if not left:
                raise
            say(f"{error.where}: {error.found} while it started; trying again")
        except BaseException:
            if run:
                _close(run)
            raise
    raise AssertionError("there is at least one attempt")


def _close(run: Run) -> None:
    """Close a run whose team is lost, as far as that goes."""
    with suppress(TeamnetError):
        run.close()


class _Session:
    def __init__(self, run: Run, about: dict[str, Any], out: Path | None, saving: Saving, say: Say) -> None:
        self.run, self._out, self._saving, self._say = run, out, saving, say
        self._recoveries: list[dict[str, Any]] = about.get("recoveries", [])
        self._replay = ReplayRecord(run.spec.task, say, enabled=out is not None and saving.replay_check)
        self._writer = Writer()
        self._observers: list[Observer] = []
        self._metrics: MetricsFile | None = None
        if out:
            write_spec(out, run.identity, run.spec, run.launch)
            self._metrics = MetricsFile(out, extent_of(about) if about else None)
            self._observers += [self._metrics, TensorBoardEvents(out, run.identity)]
        self._progress = ProgressLine(run, run.spec.task)
        self._observers.append(self._progress)
        self._export = exporter(run)

    def train(self) -> dict[str, Any]:
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
                if not self._out or not self.run.spec.halvings:
                    raise
                self._recover(self._out, error)

    def stop(self) -> None:
        self.run.stop_asked = True

    def _loop(self) -> None:
        run = self.run
        next_save = run.task.env_steps + self._saving.every if self._out else math.inf
        export_at = 0.0
        while not run.done and not run.stop_asked:
            show_at = time.perf_counter() + _SHOWN_EVERY
            episodes = run.advance(
                lambda show_at=show_at, save_at=next_save: (
                    time.perf_counter() >= show_at or run.task.env_steps >= save_at
                )
            )
            for observer in self._observers:
                observer.episodes(episodes)
            self._progress.show()
            if run.task.env_steps >= next_save and not run.done:
                self._save()
                if time.perf_counter() >= export_at:
                    self._export()
                    export_at = time.perf_counter() + _EXPORTED_EVERY
                next_save = run.task.env_steps + self._saving.every

    def _save(self, *, last: bool = False) -> None:
        if self._out and self._metrics:
            self._replay.begin(self.run.check_replay)
            about = {
                "metrics": self._metrics.extent().as_plain(), "recoveries": list(self._recoveries),
                "replayable": self._replay.look(wait=last),
            }
            self.run.save(self._out, about, self._saving.keep, self._writer)

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
        """Go back to the newest checkpoint: with new units in the place of the lost ones, else with a new team.

        What has diverged goes back with smaller steps.
        """
        begun, lost_at = time.perf_counter(), self.run.task.env_steps
        self._writer.wait()
        path = self._newest(out)
        self._say(f"{error.where}: {error.found}; going back to {path.name if path else 'the beginning'}")
        about, how = self._slow_down(out, path) if isinstance(error, Diverged) else self._mend(path)
        for observer in self._observers:
            observer.rewind(self.run, about)
        seconds = round(time.perf_counter() - begun, 3)
        steps = lost_at - self.run.task.env_steps
        self._recoveries.append({
            "found": error.found, "how": how, "seconds": seconds, "env_steps": lost_at, "replayed_env_steps": steps,
        })
        self._say(f"going on after {seconds:.1f} s with {how}; {steps} environment steps are done again")

    def _newest(self, out: Path) -> Path | None:
        """The newest checkpoint of this run; ``None`` if it has none yet."""
        if not [saved for saved in checkpoints_in(out) if saved.run == self.run.identity]:
            return None
        return newest_checkpoint(out, self._say, self.run.identity)

    def _mend(self, path: Path | None) -> tuple[dict[str, Any], str]:
        if path:
            for _ in range(_TIMES_IN_PLACE):
                with suppress(*_LOSSES):
                    return self.run.mend(path)
        return self._start_anew(self.run.spec, path), "a new team"

    def _slow_down(self, out: Path, path: Path | None) -> tuple[dict[str, Any], str]:
        about = self._start_anew(halved(self.run.spec), path)
        if path:  # in the place of the same one, so that whoever resumes has the smaller steps too
            kept = {name: about[name] for name in ("metrics", "recoveries", "replayable")}
            self.run.save(out, kept, keep=self._saving.keep)
        write_spec(out, self.run.identity, self.run.spec, self.run.launch)
        return about, "half the step size and half the learning rates"

    def _start_anew(self, spec: RunSpec, path: Path | None) -> dict[str, Any]:
        old = self.run
        _close(old)
        passing = (*_LOSSES, ResourceError)  # a cluster takes a while to know that a node is dead
        self.run, about = _start(spec, old.launch, path, self._say, passing=passing, former=old.spec)
        self.run.identity = old.identity
        if old.stop_asked:
            self.stop()
        self._export = exporter(self.run)
        return about

    def close(self) -> None:
        self._replay.close()
        self._writer.close()
        for observer in self._observers:
            observer.close()
        self.run.close()
