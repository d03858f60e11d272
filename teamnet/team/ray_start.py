"""Start a team on Ray: on a private cluster on this machine, or on reserved resources of a shared cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np

from teamnet.board.handshake import new_key
from teamnet.board.link import Emulation
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import SpecError, TeamnetError
from teamnet.spec.check_launch import check_no_link
from teamnet.spec.run import LaunchSpec
from teamnet.team.board_executor import BoardExecutor
from teamnet.team.call_executor import CallExecutor, CallWorker
from teamnet.team.executor import Executor
from teamnet.team.free_executor import FreeExecutor
from teamnet.team.node import Node
from teamnet.team.nodes import Nodes
from teamnet.team.ray_placement import Reservation, reserve
from teamnet.team.ray_session import Lease, acquire
from teamnet.team.ray_worker_pool import RayWorkerPool
from teamnet.team.worker import BoardWorker, FreeWorker
from teamnet.units.code import compile_all

Say = Callable[[str], None]


def start_on_ray(
    launch: LaunchSpec, address: str, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
    noise: Sequence[np.ndarray] | None, *, free_running: bool, say: Say,
) -> Executor:
    """Start an actor for each unit.

    Args:
        launch: transport and placement.
        address: of a cluster; empty for a private one.
        teams: the layers of every team.
        units: all units in canonical order.
        noise: recorded noise for every unit, instead of its own streams.
        free_running: whether the units run without a common tick.
        say: called with progress messages.

    Raises:
        ResourceError: nothing answers at the address, or the cluster cannot hold the run.
    """
    say(f"starting Ray for {len(units)} actors")
    worker: Any = FreeWorker if free_running else BoardWorker
    kernel: tuple[str, str] = ("teamnet.team.one_step", "run_step") if launch.transport == "ray" else worker.kernel
    with ThreadPoolExecutor(1) as compiler, ExitStack() as unless_started:
        # takes seconds the first time, as starting Ray does
        compiled = compiler.submit(compile_all, Dataflow(teams, free_running=free_running), *kernel)
        lease = acquire(address)
        unless_started.callback(lease.release)
        lease.check_cluster(launch.address)
        compiled.result()
        chosen = lease.joined is None and _asks_for_nodes(launch)
        reservation = reserve(lease, launch, teams, units, say) if address or chosen else None
        if reservation:
            unless_started.callback(reservation.release)
        spread = reservation if reservation and len(reservation.hosts) > 1 and launch.transport == "board" else None
        _check_spread(launch, spread, free_running=free_running)
        nodes = _start_nodes(lease, launch, spread, teams, units, kernel) if spread else None
        if nodes:
            unless_started.callback(nodes.close)

        def at_end() -> None:
            if reservation:
                reservation.release()
            lease.release()

        def started(count: int) -> None:
            say(f"{count} of {len(units)} actors started")

        workers = [(teams, unit, block) for unit, block in zip(units, noise or [None] * len(units), strict=True)]
        options = [reservation.of_unit(number) for number in range(len(units))] if reservation else None
        pool = RayWorkerPool(
            lease, CallWorker if launch.transport == "ray" else worker, workers, options, at_end=at_end, started=started
        )
        unless_started.pop_all()
    if launch.transport == "ray":
        return CallExecutor(teams, units, pool, reservation.places if reservation else None)
    return FreeExecutor(teams, units, pool) if free_running else BoardExecutor(teams, units, pool, nodes, launch.pin)


def _asks_for_nodes(launch: LaunchSpec) -> bool:
    """Whether it has what only a reservation can fulfil: without one, all units are on the coordinator's node."""
    usual = LaunchSpec()
    return any(getattr(launch, name) != getattr(usual, name) for name in ("placement", "max_nodes", "wait"))


def _check_spread(launch: LaunchSpec, spread: Reservation | None, *, free_running: bool) -> None:
    """Refuse what several nodes do not support, and what only several nodes support."""
    if spread and free_running:
        raise SpecError(
            "placement", expected="one node for a team that runs free", found=f"{len(spread.hosts)} nodes",
            remedy="Use --placement pack on a node that can hold it, or leave out --free-running.",
        )
    if not spread:
        check_no_link(launch)


def _start_nodes(
    lease: Lease, launch: LaunchSpec, reservation: Reservation, teams: Sequence[Sequence[LayerSpec]],
    units: Sequence[UnitSpec], kernel: tuple[str, str],
) -> Nodes:
    """The boards of all nodes: this process has the first; an actor on each of the other nodes has that node's."""
    key, slower = new_key(), Emulation(launch.link_latency, launch.link_bandwidth)
    arguments = [
        (teams, units, reservation.places, number, key, host.address, slower)
        for number, host in enumerate(reservation.hosts)
    ]
    pool = RayWorkerPool(
        lease, Node, arguments[1:], [reservation.of_node(number) for number in range(1, len(arguments))]
    )
    with ExitStack() as unless_started:
        unless_started.callback(pool.close)
        unless_started.callback(_close, pool)
        pool.results(pool.call("compile", [kernel] * pool.size))
        here = Node(*arguments[0])
        unless_started.callback(here.close)
        nodes = Nodes(here, pool, launch.pin)
        unless_started.pop_all()
        return nodes


def _close(pool: RayWorkerPool) -> None:
    """Make the other nodes that are still alive remove their segments."""
    with suppress(TeamnetError):
        pool.results(pool.call("close", [()] * pool.size))
