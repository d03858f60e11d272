"""A run from its folder's point of view: train with outputs, save on the way, and resume."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from teamnet.errors import SpecError
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.checkpoint import newest_checkpoint
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

_SHOWN_EVERY = 0.2


def train(
    spec: RunSpec, launch: LaunchSpec, out: Path | None, *, save_every: int, resume_from: Path | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> tuple[dict[str, Any], bool]:
    """Train to the spec's end and leave everything in ``out``; returns the summary and whether it was interrupted.

    Args:
        spec: the run.
        launch: where its units are.
        out: the run's folder; ``None`` keeps nothing.
        save_every: environment steps between checkpoints.
        resume_from: a checkpoint to go on from.
        say: called with what is being done while it starts.
    """
    if save_every < 1:
        raise SpecError("save_every", expected="1 or more", found=str(save_every), mend="Give environment steps.")
    if out:
        _take_folder(out, new=resume_from is None)
    run = Run(spec, launch, say=say)
    observers: list[Observer] = []
    try:
        about = run.load(resume_from) if resume_from else {}
        metrics = None
        if out:
            write_spec(out, run)
            metrics = MetricsFile(out, about.get("metrics_bytes", 0))
            observers += [metrics, TensorBoardEvents(out)]
        progress = ProgressLine(run, spec.task)
        observers.append(progress)
        export = _exporter(run)
        with _StoppingOnInterrupt(run):
            _loop(run, observers, progress, out, metrics, save_every, export)
        summary = run.summary()
        export()
        if out and metrics:
            run.save(out, {"metrics_bytes": metrics.size()})
            write_summary(out, summary)
    finally:
        for observer in observers:
            observer.close()
        run.close()
    if out:
        draw_learning_curve(out, f"{spec.task}, {spec.rule}, seed {spec.seed}")
    return summary, not run.done


def _exporter(run: Run) -> Callable[[], None]:
    """Shows the run's ledger as Ray metrics, if it is on Ray."""
    if run.launch.backend != "ray":
        return lambda: None
    from teamnet.team.ray_metrics import RayMetrics

    spec = run.spec
    metrics = RayMetrics({"task": spec.task, "rule": spec.rule, "seed": str(spec.seed)})
    return lambda: metrics.show(run.ledger())


def _take_folder(out: Path, *, new: bool) -> None:
    """Make the run's folder; a new run removes what an older one left there, so that the two never mix.

    Raises:
        SpecError: it cannot be written to.
    """
    make_folder(out, without=("checkpoint-*", "tensorboard/events.out.*", "metrics.jsonl") if new else ())


def _loop(
    run: Run, observers: list[Observer], progress: ProgressLine, out: Path | None, metrics: MetricsFile | None,
    save_every: int, export: Callable[[], None],
) -> None:
    next_save = run.task.env_steps + save_every if out else math.inf
    while not run.done and not run.stop_asked:
        show_at = time.perf_counter() + _SHOWN_EVERY
        episodes = run.advance(
            lambda show_at=show_at, save_at=next_save: (
                time.perf_counter() >= show_at or run.task.env_steps >= save_at
            )
        )
        for observer in observers:
            observer.episodes(episodes)
        progress.show()
        if out and metrics and run.task.env_steps >= next_save and not run.done:
            run.save(out, {"metrics_bytes": metrics.size()})
            export()
            next_save = run.task.env_steps + save_every if out else math.inf


class _StoppingOnInterrupt:
    """Ctrl-C once ends the run after the step in hand; twice, at once."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._run.stop_asked:
            raise KeyboardInterrupt
        self._run.stop_asked = True

    def __exit__(self, *raised: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def resume(
    folder: Path, *, env_steps: int | None, episodes: int | None, save_every: int,
    launch_changes: dict[str, str] | None = None, say: Callable[[str], None] = lambda message: None,
) -> tuple[dict[str, Any], bool]:
    """Go on from a folder's newest checkpoint, bit for bit as if the run had never ended.

    Args:
        folder: what ``train`` wrote to.
        env_steps, episodes: a new end, if given.
        save_every: environment steps between checkpoints.
        launch_changes: another backend, transport, grain or address.
        say: called with what is being done while it starts.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
    """
    checkpoint = newest_checkpoint(folder)
    spec, launch = spec_of_checkpoint(checkpoint)
    if env_steps is not None or episodes is not None:
        spec = replace(spec, env_steps=env_steps, episodes=episodes)
    launch = replace(launch, **(launch_changes or {}))
    return train(spec, launch, folder, save_every=save_every, resume_from=checkpoint, say=say)
