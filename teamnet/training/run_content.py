"""What a run shows of itself: in its checkpoints, in its summary, and as a policy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teamnet.rules.loading import reference_of
from teamnet.spec.files import to_plain
from teamnet.team.executor import Executor
from teamnet.team.state import digest
from teamnet.training.checkpoint import checkpoint_path
from teamnet.training.normalisation import frozen
from teamnet.training.trained_policy import TrainedPolicy

if TYPE_CHECKING:
    from teamnet.training.run import Run


def content_of(run: Run) -> dict[str, Any]:
    """What a checkpoint has beside the arrays, as JSON types; ``owned`` tells that its run has a folder."""
    task, actions = run.task, run.task.actions
    return {
        "spec": to_plain(run.spec), "launch": to_plain(run.launch), "task": task.state(),
        "interface": asdict(task.interface), "actions": actions.as_plain() if actions else None,
        "structure": task.structure.as_plain(), "statistics": task.statistics(), "seconds": run.seconds,
        "owned": run.owns_folder,
    }


def place_of(run: Run, folder: Path) -> Path:
    """The path of a checkpoint of the present state, in a folder."""
    task = run.task
    begun = task.env_steps > 0 and not task.interface.single_step and not task.outcome.keep.any()
    return checkpoint_path(folder, run.identity, task.env_steps, begun=begun)


def summary_of(run: Run, executor: Executor) -> dict[str, Any]:
    """The results of a run, as JSON types; times in seconds."""
    task, spec, launch = run.task, run.spec, run.launch
    parameters = digest(run.teams, run.state())
    return {
        "task": spec.task, "rule": reference_of(type(spec.rule)), "backend": launch.backend,
        "transport": launch.transport if launch.backend == "ray" else "none", "grain": launch.grain,
        "seed": spec.seed, "actors": executor.actors, "env_steps": task.env_steps,
        "episodes": task.episodes, "mean_return": task.return_sum / task.episodes if task.episodes else None,
        **({"stopped": run.stopped} if run.stopped else {}),
        "seconds": round(run.seconds, 3), "startup_seconds": round(run.startup_seconds, 3),
        "env_steps_per_second": round(task.env_steps / run.seconds, 1) if run.seconds else None,
        "digest": parameters, "pinning": executor.pinning(), "communication": run.ledger().as_plain(),
    }


def policy_of(run: Run, seed: int) -> TrainedPolicy:
    """The policy with the present parameters; the run is paused for it."""
    task, teams = run.task, run.teams
    means = frozen(run.spec, task.interface.observation_size, task.normalisation.state())
    return TrainedPolicy(teams[0], run.state(), task.actions, seed, task.structure, means)
