"""Where a run begins: at its first step, or at a checkpoint in its folder. This module changes no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from teamnet.errors import CheckpointError, SpecError, shown
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.resolve import Interface, fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec, at_end, slowed
from teamnet.training.checkpoint import (
    check_same_rules,
    check_same_spec,
    checkpoints_in,
    load_checkpoint,
    newest_checkpoint,
)
from teamnet.training.metrics import METRICS, check_metrics, extent_of
from teamnet.training.run_files import SPEC, changed_by_hand, read_object, read_run_files, run_of
from teamnet.training.run_folder import contents_of

Say = Callable[[str], None]
_ENDS = "env_steps", "episodes"


@dataclass(frozen=True)
class Beginning:
    """The parameters with which a run is started.

    Args:
        spec: the run.
        launch: where its units are.
        checkpoint: the JSON file that it continues from; ``None`` for its first step.
        about: the content of that file; empty without it.
        overwrite: whether a run in the folder is replaced.
    """

    spec: RunSpec
    launch: LaunchSpec
    checkpoint: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False


def find_beginning(
    folder: Path, *, env_steps: int | None = None, episodes: int | None = None, say: Say = lambda message: None
) -> Beginning:
    """The newest whole checkpoint of the folder's run, and the specs with which it continues.

    Args:
        folder: that ``train`` or ``TeamAgent.save`` wrote to.
        env_steps, episodes: a new end; that of ``spec.json`` if both are left out, or else the checkpoint's.
        say: called for each damaged checkpoint that is skipped, and if earlier metrics are missing.

    Raises:
        CheckpointError: there is no whole checkpoint of the run, or the metrics are not those it records.
        SpecError: ``spec.json`` was changed by hand, or the folder holds files that no run has written.
    """
    run = run_of(folder / SPEC)
    path = newest_checkpoint(folder, say, run or None)
    about = load_checkpoint(path)[1]
    spec, launch = from_plain(RunSpec, about["spec"]), from_plain(LaunchSpec, about["launch"])
    if altered := changed_by_hand(folder):
        raise _changed_by_hand(folder, altered, to_plain(spec))
    if (env_steps, episodes) != (None, None):
        spec = replace(spec, env_steps=env_steps, episodes=episodes)
    elif run:
        written = read_object(folder / SPEC).get("spec", {})
        spec = replace(spec, **{name: written.get(name) for name in _ENDS})
    extent, path_of_metrics = extent_of(about), folder / METRICS
    if "metrics" not in about and path_of_metrics.exists() and path_of_metrics.stat().st_size:
        raise CheckpointError(
            str(path), expected="a checkpoint that records the metrics in its folder", found="one that an agent saved",
            remedy=f"Restore {SPEC} of the run that wrote {METRICS}, or move that file away.",
        )
    check_metrics(path_of_metrics, extent)
    if extent.bytes and not path_of_metrics.exists():
        say(f"{METRICS} is missing: a new file begins, without the episodes before {path.name}")
    contents_of(folder, about["run"])
    return Beginning(spec, launch, path, about)


def _changed_by_hand(folder: Path, altered: dict[str, Any], written: dict[str, Any]) -> SpecError:
    found: dict[str, Any] = altered["spec"] if isinstance(altered.get("spec"), dict) else {}
    names = [name for name in written if found and found.get(name) != written[name]]
    changes = ", ".join(f"{name} = {shown(found.get(name))} instead of {written[name]!r}" for name in names)
    options = " ".join(f"--{name.replace('_', '-')} {found[name]}" for name in names if name in _ENDS and name in found)
    return SpecError(
        str(folder / SPEC), expected="what the run wrote", found=changes or "other content",
        remedy=f"Restore it, and give a new end as an option: teamnet resume {folder} {options or '--env-steps N'}. "
        "The spec itself cannot be changed in a run.",
    )


def continuation(folder: Path, spec: RunSpec, launch: LaunchSpec, say: Say = lambda message: None) -> Beginning | None:
    """How a run of a spec continues in a folder that holds a run; ``None`` if that one has no checkpoint yet.

    Args:
        folder: holds a run.
        spec: must be the run's, except for its end.
        launch: where its units are to be.
        say: see :func:`find_beginning`.

    Raises:
        SpecError, CheckpointError: the run has another spec; or see :func:`find_beginning`.
    """
    run = run_of(folder / SPEC)
    if run:
        check_same_rules(folder / SPEC, spec, read_object(folder / SPEC).get("spec"))
    if not [saved for saved in checkpoints_in(folder) if not run or saved.run == run]:
        contents = contents_of(folder)
        if contents.runs != {run}:
            raise SpecError(
                "out", expected=f"the folder of one run with its {SPEC}",
                found=f"files of {', '.join(sorted(contents.runs))}",
                remedy="Give another --out, or --overwrite to replace all of them.",
            )
        if altered := changed_by_hand(folder):
            raise _changed_by_hand(folder, altered, {})
        found = from_plain(RunSpec, read_object(folder / SPEC).get("spec"), str(folder / SPEC))
        _check_alike(folder, _as_often_slowed(spec, found), found)
        return None
    found = find_beginning(folder, env_steps=spec.env_steps, episodes=spec.episodes, say=say)
    assert found.checkpoint
    expected = _as_often_slowed(fit_depth(spec, Interface(**found.about["interface"])), found.spec)
    check_same_spec(found.checkpoint, to_plain(expected), to_plain(found.spec))
    return replace(found, launch=launch)


def _as_often_slowed(spec: RunSpec, found: RunSpec) -> RunSpec:
    """The spec after as many divergence retries as ``found``: a run that diverged continues with smaller steps."""
    same = spec
    while same.divergence_retries > found.divergence_retries:
        same = slowed(same)
    return same if same.divergence_retries == found.divergence_retries else spec


def _check_alike(folder: Path, spec: RunSpec, found: RunSpec) -> None:
    """Refuse another run; the teams' values are not compared, as they are fitted to the environment."""
    for known in fields(RunSpec):
        if known.name not in (*_ENDS, "actor", "critic"):
            expected, value = getattr(found, known.name), getattr(spec, known.name)
            if expected != value:
                raise SpecError(
                    known.name, expected=f"{expected!r}, as in the run in {folder}", found=repr(value),
                    remedy="Give another --out, or --overwrite to replace the run.",
                )


def stopped_summary(folder: Path, spec: RunSpec) -> dict[str, Any] | None:
    """The summary of a run of a spec that a callback has ended before its end; ``None`` for any other run.

    Args:
        folder: holds a run.
        spec: a run that ended before other ends than these is not finished.
    """
    try:
        files = read_run_files(folder)
    except CheckpointError:
        return None
    written = files.about.get("spec", {})
    same = all(written.get(name) == getattr(spec, name) for name in _ENDS)
    return files.summary if same and files.summary and "stopped" in files.summary else None


def finished_summary(folder: Path, beginning: Beginning) -> dict[str, Any] | None:
    """The summary of a run that has reached its end; ``None`` if it has not, or if there is no summary."""
    task, spec = beginning.about["task"], beginning.spec
    if not at_end(task, env_steps=spec.env_steps, episodes=spec.episodes):
        return None
    try:
        summary = read_run_files(folder).summary
    except CheckpointError:
        return None
    return summary if summary and summary.get("env_steps") == task["env_steps"] else None
