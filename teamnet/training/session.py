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
from teamnet.training.checkpoint import newest_checkpoint
from teamnet.training.endings import StoppingOnSignals
from teamnet.training.outputs import (
    MetricsFile,
    Observer,
    ProgressLine,
    TensorBoardEvents,
    draw_learning_curve,
    make_folder,
    write_spec,
    write_summary,
)
from teamnet.training.run import Run, spec_of_checkpoint
from teamnet.training.saving import Saving
from teamnet.training.writer import Writer

_SHOWN_EVERY = 0.2
_EXPORTED_EVERY = 5.0
"""Seconds between two showings of the ledger to Ray, which asks every unit."""
_PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)
"""Seconds before each attempt to start anew."""

_TRIED = 3
"""The first checkpoints, with which it is tried whether the environments come back."""

_LOSSES = ActorLost, LinkLost, LinkRefused
"""What is mended; the nodes of a run refuse each other only where one of them dies in the middle of a handshake."""

_TIMES_IN_PLACE = 2
"""A second unit may die while the first is being replaced."""

Say = Callable[[str], None]


def train(
    spec: RunSpec, launch: LaunchSpec, out: Path | None, *, saving: Saving | None = None,
    resume_from: Path | None = None, say: Say = lambda message: None,
) -> tuple[dict[str, Any], bool]:
    """Train to the spec's end and leave everything in ``out``; returns the summary and whether it was interrupted.

    Args:
        spec: the run.
        launch: where its units are.
        out: the run's folder; ``None`` keeps nothing, and nothing that is lost is mended.
        saving: how it provides against losses.
        resume_from: a checkpoint to go on from.
        say: called with what is being done while it starts, and with what is mended.
    """
    if out:
        _take_folder(out, new=resume_from is None)
    saving = saving or Saving()
    with StoppingOnSignals() as signals:
        run, about = _start(spec, launch, resume_from, say, _PAUSES if out and saving.recoveries else (0.0,))
        try:
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
        draw_learning_curve(out, f"{spec.task}, {spec.rule}, seed {spec.seed}")
    return summary, not session.run.done


def _take_folder(out: Path, *, new: bool) -> None:
    """Make the run's folder, without drafts that a killed driver left; a new run removes all that an older one left.

    Raises:
        SpecError: it cannot be written to.
    """
    old = ("checkpoint-*", "tensorboard/events.out.*", "metrics.jsonl") if new else ()
    make_folder(out, without=(".*.json.*", ".*.safetensors.*", *old))


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
        self._untried, self._comes_back = _TRIED, True
        self._writer = Writer()
        self._observers: list[Observer] = []
        self._metrics: MetricsFile | None = None
        if out:
            write_spec(out, run)
            self._metrics = MetricsFile(out, about.get("metrics_bytes", 0))
            self._observers += [self._metrics, TensorBoardEvents(out)]
        self._progress = ProgressLine(run, run.spec.task)
        self._observers.append(self._progress)
        self._export = _exporter(run)

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

    def _save(self) -> None:
        if self._out and self._metrics:
            about = {"metrics_bytes": self._metrics.size(), "recoveries": list(self._recoveries)}
            path = self.run.save(self._out, about, self._saving.keep, self._writer)
            self._try_environments(path)

    def _try_environments(self, path: Path) -> None:
        """Say at once, not when all hangs on it, that a checkpoint cannot be taken up."""
        if not self._untried or not self._comes_back:
            return
        self._untried -= 1
        self._comes_back = self.run.comes_back()
        if not self._comes_back:
            self._say(
                f"{path.name}: {self.run.spec.task} does not come back by its generator and actions, so that neither "
                "this run nor `teamnet resume` can take up a checkpoint; `teamnet eval` can"
            )

    def _finish(self) -> dict[str, Any]:
        self._export()
        self._save()
        self._writer.wait()
        resumable = self._out is not None and self._comes_back
        summary = self.run.summary() | {"resumable": resumable, "recoveries": self._recoveries}
        if self._out:
            write_summary(self._out, summary)
        return summary

    def _recover(self, out: Path, error: TeamnetError) -> None:
        """Go back to the newest checkpoint: with new units in the place of the lost ones, else with a new team.

        What has diverged goes back with smaller steps.
        """
        begun, lost_at = time.perf_counter(), self.run.task.env_steps
        self._writer.wait()
        path = newest_checkpoint(out, self._say) if any(out.glob("checkpoint-*.json")) else None
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

    def _mend(self, path: Path | None) -> tuple[dict[str, Any], str]:
        if path:
            for _ in range(_TIMES_IN_PLACE):
                with suppress(*_LOSSES):
                    return self.run.mend(path)
        return self._start_anew(self.run.spec, path), "a new team"

    def _slow_down(self, out: Path, path: Path | None) -> tuple[dict[str, Any], str]:
        about = self._start_anew(halved(self.run.spec), path)
        write_spec(out, self.run)
        if path:  # in the place of the same one, so that whoever resumes has the smaller steps too
            self.run.save(out, {name: about[name] for name in ("metrics_bytes", "recoveries")}, keep=self._saving.keep)
        return about, "half the step size and half the learning rates"

    def _start_anew(self, spec: RunSpec, path: Path | None) -> dict[str, Any]:
        old = self.run
        _close(old)
        passing = (*_LOSSES, ResourceError)  # a cluster takes a while to know that a node is dead
        self.run, about = _start(spec, old.launch, path, self._say, passing=passing, former=old.spec)
        if old.stop_asked:
            self.stop()
        self._export = _exporter(self.run)
        return about

    def close(self) -> None:
        self._writer.close()
        for observer in self._observers:
            observer.close()
        self.run.close()


def _exporter(run: Run) -> Callable[[], None]:
    """Shows the run's ledger as Ray metrics, if it is on Ray."""
    if run.launch.backend != "ray":
        return lambda: None
    from teamnet.team.ray_metrics import RayMetrics

    spec = run.spec
    metrics = RayMetrics({"task": spec.task, "rule": spec.rule, "seed": str(spec.seed)})
    return lambda: metrics.show(run.ledger())


def resume(
    folder: Path, *, env_steps: int | None = None, episodes: int | None = None, saving: Saving | None = None,
    launch_changes: dict[str, Any] | None = None, say: Say = lambda message: None,
) -> tuple[dict[str, Any], bool]:
    """Go on from a folder's newest whole checkpoint, bit for bit as if the run had never ended.

    Args:
        folder: what ``train`` wrote to.
        env_steps, episodes: a new end, if given.
        saving: how it provides against losses.
        launch_changes: fields of the launch that differ, such as another backend.
        say: called with what is being done while it starts, and with damaged checkpoints.

    Raises:
        CheckpointError: there is no checkpoint, or all are damaged.
    """
    checkpoint = newest_checkpoint(folder, say)
    spec, launch = spec_of_checkpoint(checkpoint)
    if env_steps is not None or episodes is not None:
        spec = replace(spec, env_steps=env_steps, episodes=episodes)
    launch = replace(launch, **(launch_changes or {}))
    return train(spec, launch, folder, saving=saving, resume_from=checkpoint, say=say)
