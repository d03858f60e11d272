"""Placement groups: the resources that a run reserves on the nodes of a shared Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import available_resources_per_node  # the public call sums over the nodes
from ray.exceptions import RayError
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import ResourceError
from teamnet.spec.run import LaunchSpec
from teamnet.team.placement import Host, Need, asked_of, needs, place, within
from teamnet.team.ray_session import Lease

_NODE = "ray.io/node-id"
"""The label that Ray sets on every node."""
_RESERVE_SECONDS = 30.0
_RELEASE_SECONDS = 3.0
"""Time for Ray to report as free what another run of this user has just released."""
_LOOK_EVERY = 0.5


def hosts() -> list[Host]:
    """The nodes that are alive, with their free resources: this process's first, then by address and name."""
    here = ray.get_runtime_context().get_node_id()
    free = available_resources_per_node()
    found = [
        Host(node["NodeID"], node["NodeManagerAddress"], Need(amounts.get("CPU", 0.0), int(amounts.get("memory", 0))))
        for node in ray.nodes()
        if node["Alive"] and (amounts := free.get(node["NodeID"]))
    ]
    return sorted(found, key=lambda host: (host.name != here, host.address, host.name))


@dataclass(frozen=True)
class Reservation:
    """The resources reserved for a run.

    Args:
        hosts: the hosts that it uses, the coordinator's first, even if no unit is there.
        places: the host of each unit.
        needed: the resources of each unit.
        group: Ray's placement group, with a bundle for each host with units.
        bundles: the bundle of each host; none for a host without units.
        lease: on the connection with which it was made.
    """

    hosts: tuple[Host, ...]
    places: tuple[int, ...]
    needed: tuple[Need, ...]
    group: Any
    bundles: dict[int, int]
    lease: Lease

    def of_unit(self, number: int) -> dict[str, Any]:
        """Ray's options for a unit's actor."""
        need = self.needed[number]
        return {"num_cpus": need.cpus, "memory": need.memory, **self._at(self.places[number])}

    def of_node(self, number: int) -> dict[str, Any]:
        """Ray's options for the actor of a host; it is idle except for its relay, whose work belongs to the units."""
        return {"num_cpus": 0, **self._at(number)}

    def _at(self, host: int) -> dict[str, Any]:
        return {"scheduling_strategy": PlacementGroupSchedulingStrategy(self.group, self.bundles[host])}

    def release(self) -> None:
        """Release the reservation; if the connection has ended, Ray has already done so."""
        if self.lease.valid:
            with suppress(RayError):  # the cluster is gone, and the group with it
                remove_placement_group(self.group)


def reserve(
    lease: Lease, launch: LaunchSpec, teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec],
    say: Callable[[str], None] = lambda message: None,
) -> Reservation:
    """Choose nodes for all units and reserve their resources there.

    Args:
        lease: on the connection to the cluster.
        launch: its placement (see :func:`teamnet.team.placement.place`), how many nodes it may use, and how many
            seconds to wait until the cluster can hold them; meanwhile its autoscaler may add nodes.
        teams: the layers of every team.
        units: all units in canonical order.
        say: called with a message about the resources that it waits for.

    Raises:
        ResourceError: the cluster cannot hold the run: what is requested, and what it has.
        SpecError: the placement names an address that no node has.
        ActorLost: the connection has ended.
    """
    needed, waited = needs(teams, units), False
    deadline = time.monotonic() + _RELEASE_SECONDS
    while True:
        try:
            with lease.using():
                known = within(hosts(), launch.max_nodes)
                return _take(lease, known, place(launch.placement, units, needed, known), needed)
        except ResourceError as error:
            if launch.wait and not waited:
                say(f"waiting up to {launch.wait:g} s: {error}")
                deadline, waited = time.monotonic() + launch.wait, True
                _await_room(lease, needed, deadline)
                deadline = max(deadline, time.monotonic() + _RELEASE_SECONDS)
            elif time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_EVERY)


def _await_room(lease: Lease, needed: Sequence[Need], deadline: float) -> None:
    """Wait until Ray has placed a group, for which an autoscaler adds nodes; it is removed again."""
    with lease.using():
        group = placement_group([_bundle(need) for need in needed], strategy="PACK")
    try:
        placed = False
        while not placed and time.monotonic() < deadline:
            with lease.using():
                placed = group.wait(_LOOK_EVERY)
    finally:
        if lease.valid:
            remove_placement_group(group)


def _bundle(need: Need) -> dict[str, float]:
    return {"CPU": round(need.cpus, 4), "memory": need.memory}


def _take(lease: Lease, known: Sequence[Host], places: Sequence[int], needed: Sequence[Need]) -> Reservation:
    asked = asked_of(places, needed)
    used = [0, *sorted(set(places) - {0})]
    numbers = {host: number for number, host in enumerate(used)}
    bundles = {numbers[host]: bundle for bundle, host in enumerate(asked)}
    group = placement_group(
        [_bundle(need) for need in asked.values()],
        strategy="PACK", bundle_label_selector=[{_NODE: known[host].name} for host in asked],
    )
    try:
        if not group.wait(_RESERVE_SECONDS):
            raise ResourceError(
                "the cluster", expected=f"{sum(asked.values(), Need())} to be reserved within {_RESERVE_SECONDS:g} s",
                found="they were taken by other jobs meanwhile",
                remedy="Try again, or let the run wait with --wait SECONDS.",
            )
    except BaseException:
        remove_placement_group(group)
        raise
    return Reservation(
        tuple(known[host] for host in used), tuple(numbers[host] for host in places), tuple(needed), group, bundles,
        lease,
    )
