"""Training in a folder: begin, continue or replace a run, and write its files there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from teamnet.rules.loading import reference_of
from teamnet.spec.functions import with_function_files
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.beginning import Beginning, continuation, find_beginning, finished_summary, stopped_summary
from teamnet.training.callback import Callbacks
from teamnet.training.endings import StoppingOnSignals
from teamnet.training.launch import check_specs
from teamnet.training.learning_curve import draw_learning_curve
from teamnet.training.run_files import SUMMARY, make_folder
from teamnet.training.run_folder import FolderLock, check_free, clear, contents_of, remove_drafts
from teamnet.training.saving import IfPresent, Saving
from teamnet.training.supervisor import PAUSES, Supervisor, close_lost, start

Say = Callable[[str], None]


def train(
    spec: RunSpec, launch: LaunchSpec, out: Path | None, *, saving: Saving | None = None,
    if_present: IfPresent = IfPresent.REFUSE, say: Say = lambda message: None, callbacks: Callbacks | None = None,
) -> tuple[dict[str, Any], bool]:
    """Train to the spec's end and write everything to ``out``; returns the summary and whether it was interrupted.

    Nothing in ``out`` is changed before the run is at its first step.

    Args:
        spec: the run.
        launch: where its units are.
        out: the run's folder; ``None`` saves nothing, and a run that loses units ends.
        saving: how it is saved and recovered.
        if_present: what to do if ``out`` already holds a run: refuse, replace it, or continue it, which must have the
            same spec except for its end.
        say: called with progress messages while it starts, and for each recovery.
        callbacks: called while it trains.

    Raises:
        SpecError: ``out`` holds a run, files that no run has written, or the run of another spec, or is in use.
        CheckpointError: see :func:`resume`.
        TeamnetError: the run is refused, or fails.
    """
    saving, callbacks = saving or Saving(), callbacks or Callbacks()
    with FolderLock() as lock:
        if out is None:
            return _run(Beginning(spec, launch), None, saving, say, lock, callbacks)
        check_specs(spec, launch)
        spec = with_function_files(spec)
        lock.take(out)
        if if_present is IfPresent.RESUME and contents_of(out).runs:
            if summary := stopped_summary(out, spec):
                say(f"nothing to do: {summary['stopped']}; teamnet resume {out} continues it")
                return summary, False
            if beginning := continuation(out, spec, launch, say):
                return _continue(beginning, out, saving, say, lock, callbacks)
            if_present = IfPresent.OVERWRITE  # it has no checkpoint to continue from
        overwrite = if_present is IfPresent.OVERWRITE
        check_free(out, overwrite=overwrite)
        return _run(Beginning(spec, launch, overwrite=overwrite), out, saving, say, lock, callbacks)


def resume(
    folder: Path, *, env_steps: int | None = None, episodes: int | None = None, saving: Saving | None = None,
    launch_changes: dict[str, Any] | None = None, say: Say = lambda message: None, callbacks: Callbacks | None = None,
) -> tuple[dict[str, Any], bool]:
    """Continue a folder's run from its newest whole checkpoint, bit for bit as if uninterrupted.

    Args:
        folder: that ``train`` or ``TeamAgent.save`` wrote to.
        env_steps, episodes: a new end, if given.
        saving: how it is saved and recovered.
        launch_changes: fields of the launch that differ, such as another backend.
        say: called with progress messages while it starts, and for each damaged checkpoint.
        callbacks: called while it trains.

    Raises:
        CheckpointError: there is no checkpoint, all are damaged, or the metrics are not the run's.
        SpecError: ``spec.json`` was changed by hand.
    """
    with FolderLock() as lock:
        lock.take(folder)
        beginning = find_beginning(folder, env_steps=env_steps, episodes=episodes, say=say)
        beginning = replace(beginning, launch=replace(beginning.launch, **(launch_changes or {})))
        return _continue(beginning, folder, saving or Saving(), say, lock, callbacks or Callbacks())


def _continue(
    beginning: Beginning, folder: Path, saving: Saving, say: Say, lock: FolderLock, callbacks: Callbacks
) -> tuple[dict[str, Any], bool]:
    if summary := finished_summary(folder, beginning):
        say(f"nothing to do: the run in {folder} is at its end; --env-steps or --episodes set a later one")
        return summary, False
    return _run(beginning, folder, saving, say, lock, callbacks)


def _run(
    beginning: Beginning, out: Path | None, saving: Saving, say: Say, lock: FolderLock, callbacks: Callbacks
) -> tuple[dict[str, Any], bool]:
    out = out.absolute() if out else None  # code of the user may change the current folder
    with StoppingOnSignals() as signals:
        pauses = PAUSES if out and saving.recoveries else (0.0,)
        run, about = start(beginning.spec, beginning.launch, beginning.checkpoint, say, pauses)
        run.folder = out
        with ExitStack() as unless_started:
            unless_started.callback(close_lost, run)
            if out:
                make_folder(out)
                lock.take(out)
            unless_started.callback(callbacks.end, run)
            callbacks.start(run)  # a callback may refuse the run: before a file of an earlier one is removed
            if out and beginning.checkpoint:
                remove_drafts(out, run.identity)
                (out / SUMMARY).unlink(missing_ok=True)  # the run's own, of the end beyond which it continues
            elif out:
                clear(out, overwrite=beginning.overwrite, own=run.identity)
            session = Supervisor(run, about, out, saving, say, callbacks)
            unless_started.pop_all()
        try:
            signals.after_step(session.stop)
            summary = session.train()
        finally:
            session.close()
    if out:
        title = f"{run.spec.task}, {reference_of(type(run.spec.rule))}, seed {run.spec.seed}"
        draw_learning_curve(out, run.identity, title)
    return summary, not (session.run.done or session.run.stopped)
