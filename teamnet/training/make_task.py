"""From a spec to its task."""

from __future__ import annotations

from teamnet.errors import SpecError
from teamnet.spec.run import SINGLE_STEP_TASKS, LaunchSpec, RunSpec
from teamnet.training.environment_maker import Maker
from teamnet.training.task import Task


def make_task(
    spec: RunSpec, patience: float = LaunchSpec.env_patience, make: Maker | None = None, workers: int = 0
) -> Task:
    """The task of a run.

    Args:
        spec: of the run.
        patience: seconds that its environments have for every answer; 0 for no limit.
        make: makes its environments, where Python code has given what the spec cannot name.
        workers: processes that step its environments at the same time; 0 for this one.

    Raises:
        EnvironmentRefused: the environment cannot be used.
    """
    if spec.task in SINGLE_STEP_TASKS:
        from teamnet.training.single_step import make_single_step_task

        return make_single_step_task(spec)
    for name, team in (("actor", spec.actor), ("critic", spec.critic)):
        if team is None:
            raise SpecError(name, expected="an actor and a critic", found="none", remedy="Use the preset's.")
    from teamnet.training.environments import Environments

    return Environments(spec, patience, make, workers)
