"""From a spec to a running exchange: which units there are, and where they start."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.spec.run import LaunchSpec
from teamnet.team.exchange import Exchange
from teamnet.team.resources import available_memory, check_memory

Progress = Callable[[str], None]


def start_exchange(
    launch: LaunchSpec, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
    noise: Sequence[np.ndarray] | None = None, *, free_running: bool = False,
    say: Progress = lambda message: None,
) -> Exchange:
    """Start all units where ``launch`` says.

    Args:
        launch: backend, transport, grain and cluster.
        teams: the layers of every team.
        units: all units in canonical order.
        noise: recorded noise for every unit, instead of their own streams.
        free_running: whether the units run without a common tick, which they can on the board only.
        say: called with what is being done.

    Raises:
        ResourceError: the machine cannot hold the actors that are asked for.
    """
    address = launch.address or os.environ.get("RAY_ADDRESS", "")
    own_actors = len(units) if launch.backend == "ray" and not address else 0
    check_memory(teams, own_actors, available_memory())
    if launch.backend == "local":
        from teamnet.team.local import LocalExchange  # imported here: importing a backend compiles its kernels

        return LocalExchange(teams, units, noise)
    from teamnet.team.ray_start import start_on_ray  # Ray is imported only when it is asked for

    return start_on_ray(launch, address, teams, units, noise, free_running=free_running, say=say)
