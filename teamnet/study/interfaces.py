"""The interfaces of the tasks, available without an environment."""

from __future__ import annotations

from functools import cache

from teamnet.spec.presets import ENVIRONMENTS, preset
from teamnet.spec.resolve import Interface
from teamnet.spec.run import RunSpec
from teamnet.training.make_task import make_task
from teamnet.training.registry import check_installed

INTERFACES = {
    "cartpole": Interface(4, 2, "categorical"), "acrobot": Interface(6, 3, "categorical"),
    "lunarlander": Interface(8, 4, "categorical"), "mountaincar": Interface(2, 1, "gaussian"),
    "multiplexer": Interface(37, 2, "categorical", single_step=True),
    "regression": Interface(8, 1, "gaussian", single_step=True),
}


def interface_of(spec: RunSpec) -> Interface:
    """The interface of a spec's task; an environment is made, and closed, only if it is not that of a preset.

    Raises:
        EnvironmentRefused: a package of the task is not installed, or a team cannot act in its environment.
    """
    for name, environment in ENVIRONMENTS.items():
        if spec.task in (name, environment) and not (spec.wrappers or spec.env_kwargs):
            check_installed(name)
            return INTERFACES[name]
    task = make_task(spec)
    task.close()
    return task.interface


@cache
def interface_of_task(name: str) -> Interface:
    """The same for a task alone; none is made for a task of the paper, nor twice.

    Raises:
        EnvironmentRefused: it cannot be made, or a team cannot act in it.
    """
    return INTERFACES.get(name) or interface_of(preset(name))
