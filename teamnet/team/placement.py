"""Placement: a strategy and the nodes of a cluster determine the node of each unit. Independent of Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import ResourceError, SpecError, nearest
from teamnet.team.resources import ACTOR_BYTES, unit_bytes

STRATEGIES = ("pack", "spread", "by-team", "by-layer")


@dataclass(frozen=True)
class Need:
    """CPUs and bytes of memory."""

    cpus: float = 0.0
    memory: int = 0

    def __add__(self, other: Need) -> Need:
        return Need(self.cpus + other.cpus, self.memory + other.memory)

    def fits(self, free: Need) -> bool:
        """Whether ``free`` is enough for it."""
        return self.cpus <= free.cpus + 1e-6 and self.memory <= free.memory

    def __str__(self) -> str:
        return f"{self.cpus:.4g} CPUs and {self.memory / 2**30:.2f} GiB"


@dataclass(frozen=True)
class Host:
    """A node of the cluster: its Ray node ID, its address, and its free resources."""

    name: str
    address: str
    free: Need


def needs(teams: Sequence[Sequence[LayerSpec]], units: Sequence[UnitSpec]) -> list[Need]:
    """The resources that each unit needs.

    The layers of a team mostly wait for each other, so a team keeps about one CPU busy, however many units it has: its
    units share one CPU. Memory is that of an actor's process and of the unit's arrays.
    """
    counts = {team[0].team: sum(unit.layer.team == team[0].team for unit in units) for team in teams}
    return [
        Need(
            round(1.0 / counts[unit.layer.team] - 5e-5, 4) if counts[unit.layer.team] > 1 else 1.0,
            ACTOR_BYTES + unit_bytes(unit),
        )
        for unit in units
    ]


def check_placement(placement: str) -> None:
    """Refuse a placement that is neither a strategy nor a map of teams or layers to addresses.

    Raises:
        SpecError: naming the nearest strategy, or the invalid part of the map.
    """
    if "=" not in placement:
        if placement not in STRATEGIES:
            raise SpecError(
                "placement", expected=f"one of {', '.join(STRATEGIES)}, or a map such as actor=ADDRESS",
                found=repr(placement), remedy=nearest(placement, STRATEGIES),
            )
        return
    for part in placement.split(","):
        group, _, address = part.partition("=")
        team, _, number = group.partition(".")
        if team not in ("actor", "critic") or (number and not number.isdigit()) or not address:
            raise SpecError(
                "placement", expected="TEAM=ADDRESS or TEAM.LAYER=ADDRESS, with actor or critic as the team",
                found=repr(part), remedy="Write, for instance, actor=10.0.0.1,critic=10.0.0.2,critic.3=10.0.0.1",
            )


def within(hosts: Sequence[Host], most: int) -> list[Host]:
    """The hosts that a run may use: the coordinator's, and of those with free CPUs the first ``most``; 0 for all."""
    usable = [host for host in hosts if host.free.cpus > 0][: most or None]
    return [host for number, host in enumerate(hosts) if number == 0 or not most or host in usable]


def place(placement: str, units: Sequence[UnitSpec], needed: Sequence[Need], hosts: Sequence[Host]) -> list[int]:
    """The host of each unit.

    Args:
        placement: ``pack`` fills one host after the other, ``spread`` assigns units round-robin, ``by-team`` and
            ``by-layer`` assign each team or layer to the next host; or a map of teams and layers to addresses: units
            that it does not name stay on the coordinator's host. Strategies leave out hosts without a free CPU.
        units: all units in canonical order.
        needed: the resources of each unit.
        hosts: the coordinator's host first.

    Raises:
        ResourceError: a host has less than is requested of it.
        SpecError: a map names an address that no host has.
    """
    if placement == "pack":
        return _pack(needed, hosts)
    if "=" in placement:
        places = _by_map(placement, units, hosts)
    else:
        groups: dict[object, int] = {}
        usable = [number for number, host in enumerate(hosts) if host.free.cpus > 0] or [0]
        places = [
            usable[groups.setdefault(_group(placement, number, unit), len(groups)) % len(usable)]
            for number, unit in enumerate(units)
        ]
    asked = asked_of(places, needed)
    if not all(need.fits(hosts[host].free) for host, need in asked.items()):
        raise _too_little(asked, hosts)
    return places


def _group(placement: str, number: int, unit: UnitSpec) -> object:
    """The group of a unit; all units of a group have the same host."""
    layer = unit.layer
    return {"spread": number, "by-team": layer.team, "by-layer": (layer.team, layer.number)}[placement]


def asked_of(places: Sequence[int], needed: Sequence[Need]) -> dict[int, Need]:
    """The resources requested of each host."""
    asked: dict[int, Need] = {}
    for host, need in zip(places, needed, strict=True):
        asked[host] = asked.get(host, Need()) + need
    return asked


def _pack(needed: Sequence[Need], hosts: Sequence[Host]) -> list[int]:
    places: list[int] = []
    host, taken = 0, Need()
    for need in needed:
        while not (taken + need).fits(hosts[host].free):
            host, taken = host + 1, Need()
            if host == len(hosts):
                raise _too_little({0: sum(needed, Need())}, hosts)
        taken += need
        places.append(host)
    return places


def _by_map(placement: str, units: Sequence[UnitSpec], hosts: Sequence[Host]) -> list[int]:
    numbers = {host.address: number for number, host in reversed(list(enumerate(hosts)))}
    wanted: dict[str, int] = {}
    for part in placement.split(","):
        group, _, address = part.partition("=")
        if address not in numbers:
            raise SpecError(
                "placement", expected=f"addresses of nodes: {', '.join(numbers)}", found=address,
                remedy="ray status lists the nodes of the cluster.",
            )
        wanted[group] = numbers[address]
        known = {name for unit in units for name in (unit.layer.team, f"{unit.layer.team}.{unit.layer.number}")}
        if group not in known:
            raise SpecError(
                "placement", expected=f"some of {', '.join(sorted(known))}", found=group, remedy=nearest(group, known)
            )
    return [
        wanted.get(f"{unit.layer.team}.{unit.layer.number}", wanted.get(unit.layer.team, 0)) for unit in units
    ]


def _too_little(asked: Mapping[int, Need], hosts: Sequence[Host]) -> ResourceError:
    def listed(amounts: Mapping[int, Need]) -> str:
        return "; ".join(f"{need} at {hosts[host].address}" for host, need in amounts.items())

    alone = len(asked) == 1 and len(hosts) > 1
    return ResourceError(
        "the cluster", expected=str(next(iter(asked.values()))) + " free" if alone else f"free: {listed(asked)}",
        found=listed({number: host.free for number, host in enumerate(hosts)}),
        remedy="Add nodes, choose another --placement or a coarser --grain, or let the run wait with --wait SECONDS.",
    )

