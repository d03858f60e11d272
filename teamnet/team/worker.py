"""One unit at work on a board: a plain class that a Ray actor or a thread hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from teamnet.board.board import Board
from teamnet.board.segment import map_segment
from teamnet.kernels.constants import BROKEN, READY
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit


class BoardWorker:
    """Hosts one unit and runs its steps against the board of its machine.

    Args:
        teams: the layers of every team, which determine where the slots lie.
        unit: which neurons.
        noise: recorded noise ``(steps, rows, width)`` instead of the unit's own streams.
    """

    kernel = "teamnet.team.run", "run"
    """Module and name of the kernel that runs the unit's steps."""

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], unit: UnitSpec, noise: np.ndarray | None = None
    ) -> None:
        self._teams = teams
        self._unit = Unit(unit, None if noise is None else RecordedNoise(noise))
        self._board: Board | None = None
        self._run = native(*self.kernel, "ii")

    def attach(self, path: Path, peers: int, shared: bool) -> None:
        """Map the board of this node and take the unit's slots.

        Args:
            path: of the segment.
            peers: units of the same layer on this node, this one included.
            shared: whether other nodes have units of the same layer.
        """
        self._board = Board(self._teams, map_segment(path))
        self._unit.attach(self._board.hand_out(self._unit.spec, peers, shared=shared))

    def run(self, steps: int) -> tuple[int, int, np.ndarray | None]:
        """Run up to ``steps`` steps.

        Returns:
            The status that the kernel gives, the next step's number, and, if a number is no longer finite, the
            activations ``(.., neurons)`` that the unit has published last.
        """
        self._unit.draw_noise(steps)
        status = self._run(self._unit.record.ctypes.data, steps)
        said = self._said() if status == BROKEN else None
        return status, int(self._unit.record["step"][0]), said

    def _said(self) -> np.ndarray:
        assert self._board, "it is attached before it runs"
        unit = self._unit.spec
        return self._board.activations(unit.layer)[..., unit.start : unit.stop].copy()

    def snapshot(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.snapshot`."""
        return self._unit.snapshot()

    def mirror(self) -> Snapshot:
        """See :meth:`teamnet.units.unit.Unit.mirror`."""
        return self._unit.mirror()

    def counts(self) -> dict[str, int]:
        """See :meth:`teamnet.units.unit.Unit.counts`."""
        return self._unit.counts()

    def laps(self) -> np.ndarray:
        """See :meth:`teamnet.units.unit.Unit.laps`."""
        return self._unit.laps()

    def restore(self, own: Snapshot, above: Snapshot) -> None:
        """See :meth:`teamnet.units.unit.Unit.restore`."""
        self._unit.restore(own, above)


class FreeWorker(BoardWorker):
    """Hosts one unit that runs on its own until the run pauses."""

    kernel = "teamnet.team.free_run", "run_free"

    def run(self, steps: int) -> tuple[int, int, np.ndarray | None]:
        """The same without an end of its own; noise is drawn for ``steps`` observations at a time."""
        while (found := super().run(steps))[0] == READY:
            pass
        return found
