"""Traces of the run in a folder: by the process that trains it, or by a team at its newest checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from teamnet.dataflow.graph import Dataflow
from teamnet.errors import SpecError
from teamnet.spec.files import from_plain
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.communication.waits import Participants
from teamnet.study.plan.predict import check_tick, teams_of
from teamnet.study.rates import ENDLESS, advance
from teamnet.team.partition import divide_all
from teamnet.training.beginning import find_beginning
from teamnet.training.run_files import SPEC, read_object
from teamnet.training.run_folder import FolderLock
from teamnet.training.supervisor import start
from teamnet.training.trace_request import ask

_WARM_UP = 200
"""Environment steps before a trace, in which processors and caches reach their usual state."""
_SECONDS = 60.0
"""That the process of a running run has to answer."""


def trace_folder(
    folder: Path, steps: int, changes: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[Participants, int]:
    """Trace steps of the run in a folder, which changes nothing of it.

    Args:
        folder: that ``train`` wrote to.
        steps: of the whole batch.
        changes: fields of the launch that differ, for a run that no process trains.
        say: called with progress messages.

    Returns:
        The participants of the traced steps, and the number of the first step.

    Raises:
        SpecError: the folder has no run, free-running units, or a running run and changes.
        TeamnetError: the run does not answer, or a team cannot be started.
    """
    if _is_running(folder):
        return _ask(folder, steps, changes, say)
    beginning = find_beginning(folder, say=say)
    check_tick(beginning.spec)
    spec = replace(beginning.spec, env_steps=ENDLESS, episodes=None)
    run, _ = start(spec, replace(beginning.launch, **changes), beginning.checkpoint, say, pauses=(0.0,))
    try:
        advance(run, _WARM_UP * spec.num_envs)
        trace, _ = run.trace(steps)
        return Participants(run.flow, run.units, trace), trace.first
    finally:
        run.close()


def _is_running(folder: Path) -> bool:
    if not (folder / SPEC).is_file():
        return False
    try:
        with FolderLock() as lock:
            lock.take(folder)
    except SpecError:
        return True
    return False


def _ask(
    folder: Path, steps: int, changes: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[Participants, int]:
    if changes:
        raise SpecError(
            next(iter(changes)), expected="none, as the run is running", found="one",
            remedy="Leave it out, or wait for the end of the run.",
        )
    written = read_object(folder / SPEC)
    spec, launch = from_plain(RunSpec, written.get("spec")), from_plain(LaunchSpec, written.get("launch"))
    check_tick(spec)
    say(f"the run in {folder} is running: asking its process")
    teams = teams_of(spec)
    units = divide_all(teams, launch.grain, spec.seed)
    trace = ask(folder, steps, _SECONDS)
    return Participants(Dataflow(teams), units, trace), trace.first
