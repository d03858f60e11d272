"""Starting a team on Ray: a private cluster on this machine, or places reserved on the nodes of a shared one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from teamnet.board.handshake import new_key
from teamnet.board.link import Emulation
from teamnet.errors import SpecError
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.spec.run import LaunchSpec
from teamnet.team.board_exchange import BoardExchange
from teamnet.team.call_exchange import CallExchange, CallWorker
from teamnet.team.exchange import Exchange
from teamnet.team.free_exchange import FreeExchange
from teamnet.team.node import Node
from teamnet.team.nodes import Nodes
from teamnet.team.ray_cluster import connect, disconnect
from teamnet.team.ray_crew import RayCrew
from teamnet.team.ray_placement import Reservation, reserve
from teamnet.team.worker import BoardWorker, FreeWorker

Say = Callable[[str], None]


def start_on_ray(
    launch: LaunchSpec, address: str, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
    noise: Sequence[np.ndarray] | None, *, free_running: bool, say: Say,
) -> Exchange:
    """Start an actor for each unit.

    Args:
        launch: transport and placement.
        address: of a cluster; empty for a private one.
        teams: the layers of every team.
        units: all units in canonical order.
        noise: recorded noise for every unit, instead of their own streams.
        free_running: whether the units run without a common tick.
        say: called with what is being done.

    Raises:
        ResourceError: nothing answers at the address, or the cluster cannot hold the run.
    """
    say(f"starting Ray for {len(units)} actors")
    worker: Any = FreeWorker if free_running else BoardWorker
    kernel: tuple[str, str] = ("teamnet.team.phase", "do_phase") if launch.transport == "ray" else worker.kernel
    with ThreadPoolExecutor(1) as compiler:  # both take seconds the first time: compile while Ray starts
        compiled = compiler.submit(native, *kernel, "ii")
        connected = connect(address)
        compiled.result()
    reservation = reserve(launch.placement, teams, units, launch.wait, say) if address else None

    def at_end() -> None:
        if reservation:
            reservation.release()
        if connected:
            disconnect()

    def started(count: int) -> None:
        say(f"{count} of {len(units)} actors started")

    workers = [(teams, unit, block) for unit, block in zip(units, noise or [None] * len(units), strict=True)]
    options = [reservation.of_unit(number) for number in range(len(units))] if reservation else None
    nodes: Nodes | None = None
    try:
        if launch.transport == "board" and reservation and len(reservation.hosts) > 1:
            if free_running:
                raise SpecError(
                    "placement", expected="one node for a team that runs free", found=f"{len(reservation.hosts)} nodes",
                    mend="Use --placement pack on a node that can hold it, or leave out --free-running.",
                )
            nodes = _start_nodes(launch, reservation, teams, units, kernel)
        crew = RayCrew(
            CallWorker if launch.transport == "ray" else worker, workers, options, at_end=at_end, started=started
        )
    except BaseException:
        if nodes:
            nodes.close()
        at_end()
        raise
    if launch.transport == "ray":
        return CallExchange(teams, units, crew)
    return FreeExchange(teams, units, crew) if free_running else BoardExchange(teams, units, crew, nodes)


def _start_nodes(
    launch: LaunchSpec, reservation: Reservation, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
    kernel: tuple[str, str],
) -> Nodes:
    """The boards of all nodes: this process has the first, an actor on each of the others has its own."""
    key, slower = new_key(), Emulation(launch.link_latency, launch.link_bandwidth)
    arguments = [
        (teams, units, reservation.places, number, key, host.address, slower)
        for number, host in enumerate(reservation.hosts)
    ]
    others = RayCrew(Node, arguments[1:], [reservation.of_node(number) for number in range(1, len(arguments))])
    try:
        others.results(others.call("compile", [kernel] * others.size))
        return Nodes(Node(*arguments[0]), others)
    except BaseException:
        others.close()
        raise
