"""From a spec to a running exchange: which units there are, and where they start."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from teamnet.kernels.native import native
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
    from teamnet.team.board_exchange import BoardExchange  # Ray is imported only when it is asked for
    from teamnet.team.call_exchange import CallExchange, CallWorker
    from teamnet.team.free_exchange import FreeExchange
    from teamnet.team.ray_cluster import connect
    from teamnet.team.ray_crew import RayCrew
    from teamnet.team.worker import BoardWorker, FreeWorker

    say(f"starting Ray for {len(units)} actors")
    board_worker = FreeWorker if free_running else BoardWorker
    kernel = ("teamnet.team.phase", "do_phase") if launch.transport == "ray" else board_worker.kernel
    with ThreadPoolExecutor(1) as compiler:  # both take seconds the first time: compile while Ray starts
        compiled = compiler.submit(native, *kernel, "ii")
        connected = connect(address)
        compiled.result()

    def started(count: int) -> None:
        say(f"{count} of {len(units)} actors started")

    blocks = noise or [None] * len(units)
    if launch.transport == "ray":
        workers = [(teams, unit, block) for unit, block in zip(units, blocks, strict=True)]
        crew = RayCrew(CallWorker, workers, beside_driver=False, owns_ray=connected, started=started)
        return CallExchange(teams, units, crew)
    peers = Counter((unit.layer.team, unit.layer.number) for unit in units)
    arguments = [
        (teams, unit, peers[unit.layer.team, unit.layer.number], block)
        for unit, block in zip(units, blocks, strict=True)
    ]
    crew = RayCrew(board_worker, arguments, beside_driver=True, owns_ray=connected, started=started)
    return (FreeExchange if free_running else BoardExchange)(teams, units, crew)
