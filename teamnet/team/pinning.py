"""Units pinned to processors: who shares a core, and how waiters wait there.

A message is handed over in 0.04 microseconds where both ends spin on cores of their own, in about one by a yield on a
shared core, and in ten where a sleeper on another core has to be woken. So units with a core each spin; units that
share a core with those they exchange with yield at once; all sleep in the end. Where another process takes a core,
pinned units would wait for it at every yield: then all units of the node are unpinned, until the cores are free again
(:mod:`teamnet.team.core_watch`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from teamnet.dataflow.layers import UnitSpec
from teamnet.errors import SpecError, nearest
from teamnet.kernels.constants import PATIENCE_AT, SPIN_AT
from teamnet.team.core_watch import CoreWatch
from teamnet.team.cores import Claim, usable_cores
from teamnet.team.limits import processors

_ALONE, _SHARING = (200_000, 200_000), (0, 20_000)
"""Nanoseconds for which waiters spin, and for which they spin and yield, before they sleep: with cores of their own,
and with shared ones, where those that wait longer than some exchanges take only slow down the others."""
_CROWD = 16
"""Units on a core above which they are not pinned: a yield may have to pass all of them."""
_MANY = 100_000
"""Products that take about as long as waking a sleeper on another core, ten microseconds."""


def check_pin(pin: str) -> None:
    """Refuse what is neither ``auto`` nor ``none`` nor a map of teams or layers to processors.

    Raises:
        SpecError: naming the part of the map.
    """
    if pin in ("auto", "none"):
        return
    for part in pin.split(","):
        group, _, core = part.partition("=")
        team, _, number = group.partition(".")
        digits = core.isascii() and core.isdigit() and len(core) < 5
        if team not in ("actor", "critic") or (number and not number.isdigit()) or not digits:
            raise SpecError(
                "pin", expected="auto, none, or TEAM=CPU or TEAM.LAYER=CPU, with actor or critic as the team",
                found=repr(part[:40]), remedy="Write, for instance, actor=0,critic=1,critic.3=0.",
            )


def share_out(units: Sequence[UnitSpec], cores: Sequence[int], spare: int) -> list[int]:
    """A core for each unit of a node; empty if there is no choice, or if too many units would yield to each other.

    Each unit gets a core of its own if there are enough. Otherwise each team gets some: its units take them in turn, so
    that layers alternate, if they compute for longer than it takes to wake a sleeper on another core; else all have the
    first one. Teams that get none share.

    Args:
        units: of the node, in canonical order.
        cores: in order.
        spare: cores that are left to others, as the coordinator, if there are enough.
    """
    if len(cores) < 2 or len(units) > _CROWD * len(cores):
        return []
    if len(cores) >= len(units) + spare:
        return list(cores[: len(units)])
    teams = list(dict.fromkeys(unit.layer.team for unit in units))
    parts = {team: [*cores[place :: len(teams)]] or [cores[0]] for place, team in enumerate(teams)}
    counts = dict.fromkeys(teams, 0)
    found = []
    for unit in units:
        team = unit.layer.team
        found.append(parts[team][counts[team] % len(parts[team])])
        counts[team] += max(_products(other) for other in units if other.layer.team == team) > _MANY
    return found


def _products(unit: UnitSpec) -> int:
    """Multiplications of a unit in one exchange."""
    return unit.layer.rows * unit.layer.fan_in * unit.size


def mapped(pin: str, units: Sequence[UnitSpec], run: Sequence[UnitSpec], allowed: set[int]) -> dict[int, int]:
    """The processors of the units that a map names, by the unit's place.

    Args:
        pin: the map.
        units: of a node.
        run: all units of the run.
        allowed: processors that may be used on the node.

    Raises:
        SpecError: a team or a layer does not exist in the run, or a processor on the node.
    """
    wanted = {group: int(core) for group, _, core in (part.partition("=") for part in pin.split(","))}
    known = {name for unit in run for name in _names(unit)}
    for group in wanted:
        if group not in known:
            raise SpecError(
                "pin", expected=f"some of {', '.join(sorted(known))}", found=group, remedy=nearest(group, known)
            )
    found = {}
    for place, unit in enumerate(units):
        core = next((wanted[name] for name in _names(unit) if name in wanted), None)
        if core is None:
            continue
        if core not in allowed:
            raise SpecError(
                "pin", expected=f"processors that this process may use: {', '.join(map(str, sorted(allowed)))}",
                found=str(core), remedy="Choose one of them, or use --pin auto.",
            )
        found[place] = core
    return found


def _names(unit: UnitSpec) -> tuple[str, str]:
    """What a map can call a unit: its layer, and its team."""
    return f"{unit.layer.team}.{unit.layer.number}", unit.layer.team


class Pinning:
    """The units of a node on their cores.

    Args:
        pin: ``auto``, ``none``, or a map of teams and layers to processors.
        units: of the node, in canonical order.
        run: all units of the run.
        threads: of the units of the node, by their numbers in the operating system.
        control: the control line of the node's board, uint32.
        spare: cores that are left to others if there are enough.

    Raises:
        SpecError: a map does not fit the run or the machine.
    """

    def __init__(
        self, pin: str, units: Sequence[UnitSpec], run: Sequence[UnitSpec], threads: Sequence[int],
        control: np.ndarray, spare: int,
    ) -> None:
        self._control, self._watch = control, None
        self._allowed, self._claim = os.sched_getaffinity(0), Claim([], 0)
        self._cores: Mapping[int, int] = {}
        self._spins = False
        if pin == "auto":
            self._share(units, threads, spare)
        elif pin != "none":
            self._cores = {threads[place]: core for place, core in mapped(pin, units, run, self._allowed).items()}
            self._spins = len(set(self._cores.values())) == len(units)
        if self._cores:
            self.pin()
            self._watch = CoreWatch(self._cores, self)

    def _share(self, units: Sequence[UnitSpec], threads: Sequence[int], spare: int) -> None:
        """Claim cores, and keep those that units get; with a core for each unit also the spare ones."""
        needed = len(units) + spare
        self._claim = Claim(usable_cores(), min(needed, processors()))
        shared = share_out(units, self._claim.cores, spare)
        self._spins = len(self._claim.cores) >= needed
        if CoreWatch.possible(threads):
            self._cores = dict(zip(threads, shared, strict=False))
        if not self._spins or not self._cores:
            self._claim.release(but=set(self._cores.values()))

    def pin(self) -> None:
        """Move all units to their cores."""
        for thread, core in self._cores.items():
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, {core})
        spin, patience = _ALONE if self._spins else _SHARING
        self._control[SPIN_AT // 4], self._control[PATIENCE_AT // 4] = spin, patience

    def unpin(self) -> set[int]:
        """Let units run on other processors than their cores if there are as many, else on any; returns which."""
        self._control[PATIENCE_AT // 4] = self._control[SPIN_AT // 4] = 0
        own = set(self._cores.values())
        others = self._allowed - own
        allowed = others if len(others) >= len(own) else self._allowed
        for thread in self._cores:
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, allowed)
        return allowed

    def describe(self) -> str:
        """What was chosen, and how often units were unpinned because another process used a core."""
        if not self._cores or not self._watch:
            return "none"
        cores = ", ".join(map(str, sorted(set(self._cores.values()))))
        waiting = "spin" if self._spins else "yield"
        times = f", unpinned {self._watch.times} x" if self._watch.times else ""
        return f"{len(self._cores)} units on cores {cores}, {waiting}{times}"

    def close(self) -> None:
        """Unpin the units, and let other runs have their cores."""
        watch, self._watch = self._watch, None
        if watch:
            watch.close()
            self.unpin()
        self._claim.release()
