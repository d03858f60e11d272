"""The coordinator's interface to a team, wherever its units run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from teamnet.board.board import Board
from teamnet.dataflow.layers import UnitSpec
from teamnet.errors import RESUME, ActorLost, Diverged, OperationFailed
from teamnet.kernels.constants import FAILED
from teamnet.team.ledger import Ledger
from teamnet.units.unit import Snapshot

PATIENCE = 10.0
"""Seconds that a unit has to answer after its team has been aborted; a unit that does not answer is replaced."""

SILENCE = 300.0
"""Seconds after which units that do not answer count as lost: stopped, or on a disconnected host."""


def silent(seconds: float) -> ActorLost:
    """The error of a team in which some units have not answered for this many seconds."""
    return ActorLost(
        "team", expected="an answer of every unit", found=f"none for {seconds:.0f} s",
        remedy=f"Check for stopped processes and disconnected hosts. {RESUME}",
    )


class Executor(Protocol):
    """One environment step is :meth:`act`, then :meth:`learn`; the action is known between the two."""

    board: Board
    actors: int

    def act(self, observation: np.ndarray, keep: np.ndarray, valid: np.ndarray | None = None) -> None:
        """Publish the observation ``(rows, size)``; returns once all outputs are on the board.

        Args:
            observation: float64.
            keep: ``(rows,)``, 0.0 where an episode has just begun, so that its trace is reset, else 1.0. Units that
                continue from their last values need it now, the others with the TD error.
            valid: ``(rows, size)``, 1.0 for each valid action, of a run that masks the others.

        Raises:
            ActorLost: an actor died.
            Diverged: a unit's activation or mean is not finite.
        """
        ...

    def learn(self, delta: np.ndarray) -> None:
        """Broadcast the TD error ``(rows,)``, with which the units complete the step.

        May return before the units are done, so that the environment can step meanwhile. Raises as :meth:`act` does.
        """
        ...

    def pause(self) -> None:
        """Wait until every unit has finished the step; the methods below do so themselves."""
        ...

    def snapshot(self) -> list[Snapshot]:
        """Every unit's state in canonical order."""
        ...

    def mirrors(self) -> list[Snapshot]:
        """Every unit's own copies of its outgoing synapses."""
        ...

    def ledger(self) -> Ledger:
        """What the units have sent to each other, and how they have spent their time."""
        ...

    def pinning(self) -> str:
        """How the units of each node are pinned to its processors, as text."""
        ...

    def timestamps(self) -> list[np.ndarray]:
        """Every unit's :meth:`teamnet.units.unit.Unit.timestamps`."""
        ...

    def time_all(self, kept: int) -> None:
        """Call every unit's :meth:`teamnet.units.unit.Unit.time_all`."""
        ...

    def restore(self, snapshots: Sequence[tuple[Snapshot, Snapshot]], step: int) -> None:
        """Restore the state of every unit before ``step``: its own part, and its outgoing synapses above."""
        ...

    def replace_failed(self) -> int:
        """After an error: end what still runs and replace lost units, so that :meth:`restore` can follow.

        Returns:
            The number of new units.

        Raises:
            ActorLost: the team cannot be repaired and must be started again.
        """
        ...

    def close(self) -> None:
        """End the units and release their resources."""
        ...


class OutputReader:
    """The outputs of all teams on a board after the acting phase of a step."""

    def __init__(self, board: Board) -> None:
        flow = board.flow
        values = [flow.value_of(team) for team in flow.teams]
        self._outputs = [board.slot(slot.key) for slot in flow.outputs]
        self._rounds = [flow.rounds(slot.key) for slot in flow.outputs]
        self._values = [board.slot(slot.key)[0, :, 0] if slot else None for slot in values]

    def output(self, team_number: int, step: int) -> np.ndarray:
        """The activation ``(rows, size)`` of a team's output layer, a view that the next step but one overwrites."""
        return self._outputs[team_number][((step + 1) * self._rounds[team_number] - 1) & 1]

    def value(self, team_number: int) -> np.ndarray:
        """The value estimate ``(rows,)`` of a critic team."""
        value = self._values[team_number]
        assert value is not None
        return value


def failed(status: int, unit: UnitSpec, step: int, published: np.ndarray) -> Diverged | OperationFailed:
    """The error of a unit whose operation raised an exception, or whose activation or mean is not finite.

    Args:
        status: ``FAILED`` or ``BROKEN``.
        unit: the one that failed.
        step: of the whole batch, from 0.
        published: activations ``(.., neurons)`` that it published last, as far as they are known here.
    """
    if status == FAILED:
        return OperationFailed(
            f"{unit.name}, step {step}", expected="an operation without an exception", found="an exception",
            remedy="Run with --backend local --interpret to see where it is raised.",
        )
    finite = np.isfinite(published)
    found = "NaN or infinity"
    if not finite.all():
        place = tuple(np.argwhere(~finite)[0])
        found += f"; the activation of neuron {unit.start + place[-1]} was {published[place]}"
    if finite.any() and published[finite].any():
        found += f"; finite ones were between {published[finite].min():.3g} and {published[finite].max():.3g}"
    return Diverged(
        f"{unit.name}, step {step}", expected="finite activations", found=found,
        remedy="The learning diverged: lower the learning rates or the step size, or raise the variances.",
    )
