"""From a spec to a running executor: the checks of the spec, and the start of its units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.spec.check import check_run
from teamnet.spec.check_launch import check_launch, check_no_link, check_where
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team.address import cluster_address
from teamnet.team.executor import Executor
from teamnet.team.limits import available_memory
from teamnet.team.partition import block_size
from teamnet.team.pinning import check_pin
from teamnet.team.placement import check_placement
from teamnet.team.resources import check_memory
from teamnet.team.rule_check import check_rules

Progress = Callable[[str], None]


def check_specs(spec: RunSpec, launch: LaunchSpec) -> None:
    """Refuse a run that is invalid with any task and on any machine.

    Raises:
        SpecError: naming the field.
    """
    check_run(spec)
    check_launch(launch)
    check_where(spec, launch)
    block_size(launch.grain)
    check_placement(launch.placement)
    check_pin(launch.pin)


def start_exchange(
    launch: LaunchSpec, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
    noise: Sequence[np.ndarray] | None = None, *, free_running: bool = False,
    say: Progress = lambda message: None,
) -> Executor:
    """Start all units as ``launch`` specifies.

    Args:
        launch: backend, transport, granularity and cluster.
        teams: the layers of every team.
        units: all units in canonical order.
        noise: recorded noise for every unit, instead of their own streams.
        free_running: whether the units run without a common tick, which only the board supports.
        say: called with progress messages.

    Raises:
        ResourceError: the machine cannot hold the actors that are asked for.
        SpecError: a user's rule cannot run; see :func:`teamnet.team.rule_check.check_rules`.
    """
    check_rules(teams, compiled=not launch.interpret)
    address = cluster_address(launch.address) if launch.backend == "ray" else ""
    if launch.backend == "local" or not address:  # on a shared cluster the reservation asks for memory
        check_memory(teams, len(units) if launch.backend == "ray" else 0, available_memory())
    if launch.backend == "local":
        check_no_link(launch)
        from teamnet.team.local import LocalExecutor  # imported here: importing a backend compiles its kernels

        return LocalExecutor(teams, units, noise, interpret=launch.interpret)
    from teamnet.team.ray_start import start_on_ray  # Ray is imported only when it is used

    return start_on_ray(launch, address, teams, units, noise, free_running=free_running, say=say)
