"""The costs of a machine: the numbers that calibration measures, and the file that stores them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from teamnet.dataflow.layers import UnitSpec
from teamnet.errors import SpecError
from teamnet.spec.check import check_folder
from teamnet.study.plan.origin import Origin
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import check_writable


class Cost(NamedTuple):
    """Seconds of an operation: ``fixed``, and for each product, weight and value that it processes.

    A unit of ``size`` neurons with ``rows`` environments has ``rows * size`` values, ``rows * size`` times its inputs
    or its outputs as products, and a weight for each synapse of its own and each one that it mirrors.
    """

    fixed: float = 0.0
    inputs: float = 0.0
    outputs: float = 0.0
    weights: float = 0.0
    values: float = 0.0


PARTS = WAITING, CALLS, WIDE, LINKS = "waiting", "calls", "wide", "links"
"""Parts of a calibration beside the operations: waiting and waking, actor calls, arrays beyond the caches, and sending
between nodes."""


def amounts(unit: UnitSpec) -> Cost:
    """The numbers of products, weights and values that a unit processes in an operation."""
    layer, values = unit.layer, float(unit.layer.rows * unit.size)
    mirrored = layer.fan_out if layer.rule.mirrors(layer) else 0
    weights = (layer.fan_in + 1 + mirrored) * unit.size
    return Cost(1.0, layer.fan_in * values, mirrored * values, float(weights), values)


@dataclass(frozen=True)
class Machine:
    """One machine; all times in seconds.

    A quick calibration measures what the first predictions need, and later ones add what they lack; a full one
    measures everything, with more runs. Costs of parts that were not measured are guesses, or 0.

    Args:
        origin: the processor and the versions that it was calibrated with.
        full: whether the calibration was a full one.
        parts: what has been measured: some of ``PARTS``.
        quick: the operations that a quick calibration has measured.
        operations: the cost of each operation of a unit in one process.
        far: its cost where nearly all arrays of a node are read from memory, because the caches are too small.
        cache: bytes of a node's arrays of which its caches hold half.
        turn: between one operation and the next in one process.
        coordinator: of a step, without the environment.
        cold: extra time of an operation when every unit is a process of its own.
        jitter: the largest deviation of an operation's time, as a share of it.
        switch: of a switch from one process to another on a core.
        idle: extra time of a switch on a core that slept.
        sleep: to sleep and to continue, for a process that waits for long.
        look: between two queries of a waiting process, where no other process queues for its core.
        publish: of a publication.
        wake: of a publication, for each process that waits for it.
        send, receive: of a message between two nodes, at its two ends.
        call: of an operation by actor call.
        startup, startup_actor: until a run on Ray begins, and for each actor on a core.
        memory, memory_actor: bytes of Ray and the coordinator, and of an actor's process.
    """

    origin: Origin
    full: bool
    parts: tuple[str, ...]
    quick: tuple[str, ...]
    operations: Mapping[str, Cost]
    far: Mapping[str, Cost]
    cache: int
    turn: float
    coordinator: float
    cold: float
    jitter: float
    switch: float
    idle: float
    sleep: float
    look: float
    publish: float
    wake: float
    send: float
    receive: float
    call: float
    startup: float
    startup_actor: float
    memory: int
    memory_actor: int

    def seconds(self, operation: str, unit: UnitSpec, working_set: int = 0) -> float:
        """Time of an operation of a unit, in one process, on a node whose units have arrays of ``working_set`` bytes.

        Every step reads all of these arrays; the larger they are, the smaller is the share that caches hold.

        Raises:
            SpecError: the operation has not been measured.
        """
        if operation not in self.operations:
            raise SpecError(
                "machine", expected="a calibration with the operations of the run", found=f"none of {operation!r}",
                remedy="Calibrate anew: teamnet plan TASK --calibrate.",
            )
        amount = amounts(unit)
        near = _dot(self.operations[operation], amount)
        if not working_set or operation not in self.far:
            return near
        cached = self.cache / (self.cache + working_set)
        return cached * near + (1.0 - cached) * max(near, _dot(self.far[operation], amount))


def _dot(costs: Cost, amount: Cost) -> float:
    return sum(cost * count for cost, count in zip(costs, amount, strict=True))


_OF_FULL, _OF_QUICK = 0.2, 0.35


def uncertainty(machine: Machine, operations: Iterable[str]) -> float:
    """The median error of the predicted rates of runs with these operations, as a share."""
    return _OF_FULL if machine.full and not {*operations} & {*machine.quick} else _OF_QUICK


def check_place(path: Path) -> None:
    """Refuse a file that calibration could not write, before calibration starts.

    Raises:
        SpecError: it is a file that calibration did not write, or there is no folder for it.
    """
    check_folder("machine", path)
    check_writable(path.parent, "machine")
    _owned(path).check([path.name])


def save_machine(machine: Machine, path: Path) -> None:
    """Write the result of a calibration.

    Raises:
        SpecError: see :func:`check_place`.
    """
    check_place(path)
    _owned(path).write(path.name, (json.dumps(asdict(machine), indent=1) + "\n").encode())


def _owned(path: Path) -> OwnedFiles:
    return OwnedFiles(path.parent, "machine", "machine")


_NO_NUMBERS = ("operations", "far", "origin", "full", "parts", "quick")


def load_machine(path: Path) -> Machine:
    """Read the result of a calibration.

    Raises:
        SpecError: the file does not describe a machine.
    """
    try:
        read = json.loads(path.read_text())
        values = {field.name: read.pop(field.name) for field in fields(Machine)}
        values["origin"] = Origin(**values["origin"])
        values["parts"], values["quick"] = tuple(values["parts"]), tuple(values["quick"])
        numbers = [value for name, value in values.items() if name not in _NO_NUMBERS]
        for table in ("operations", "far"):
            values[table] = {name: Cost(*map(float, costs)) for name, costs in values[table].items()}
            numbers += [value for costs in values[table].values() for value in costs]
        known = set(values["parts"]) <= set(PARTS) and isinstance(values["full"], bool)
        if read or not known or not all(math.isfinite(value) and value >= 0.0 for value in numbers):
            raise ValueError("it has other fields, or numbers that are not times")
        return Machine(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SpecError(
            "machine", expected=f"the result of a calibration, at {path}", found=f"{type(error).__name__}: {error}",
            remedy="Give another --machine, or move the file elsewhere: teamnet plan then calibrates this machine.",
        ) from None
