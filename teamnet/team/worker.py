"""One unit at work on a board: a plain class that a Ray actor or a thread hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.board.board import Board
from teamnet.board.segment import map_segment
from teamnet.errors import ActorLost
from teamnet.kernels.constants import BROKEN, READY
from teamnet.kernels.native import native
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit

_NAP = 5e-5
"""Seconds between two looks whether a step is finished."""


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
        self._drawing = threading.Lock()
        self._run = native(*self.kernel)

    def attach(self, path: Path, peers: int, shared: bool) -> None:
        """Map the board of this node and take the unit's slots.

        Args:
            path: of the segment.
            peers: units of the same layer on this node, this one included.
            shared: whether other nodes have units of the same layer.

        Raises:
            ActorLost: whoever holds the segment is gone.
        """
        try:
            memory = map_segment(path)
        except OSError as error:
            raise ActorLost(
                self._unit.spec.name, expected="the board of this node", found=str(error),
                mend="Continue from the last checkpoint with teamnet resume.",
            ) from None
        self._board = Board(self._teams, memory)
        self._unit.attach(self._board.hand_out(self._unit.spec, peers, shared=shared))

    def run(self, noise_steps: int) -> tuple[int, int, np.ndarray | None]:
        """Run until the run pauses or ends, with noise for ``noise_steps`` steps at a time.

        Returns:
            The status that the kernel gives, the next step's number, and, if a number is no longer finite, the
            activations ``(.., neurons)`` that the unit has published last.
        """
        status = READY
        while status == READY:
            with self._drawing:
                self._unit.draw_noise(noise_steps)
            status = self._run(self._unit.record.ctypes.data, noise_steps)
        said = self._said() if status == BROKEN else None
        return status, int(self._unit.record["step"][0]), said

    def _said(self) -> np.ndarray:
        assert self._board, "it is attached before it runs"
        unit = self._unit.spec
        return self._board.activations(unit.layer)[..., unit.start : unit.stop].copy()

    def look(self, what: str, step: int) -> Any:
        """What a method of the unit returns, such as ``snapshot``, when it has finished ``step`` steps in all.

        It is called beside :meth:`run`, and by who does not give the next observation meanwhile: the unit then waits,
        and changes nothing. Returns ``None`` if the run is aborted before.
        """
        assert self._board, "it is attached before it runs"
        control = self._board.line("control").view(np.uint32)
        while not self._has_finished(step):
            if control[0]:
                return None
            time.sleep(_NAP)
        with self._drawing:  # the next call to run may have come already
            return getattr(self._unit, what)()

    def _has_finished(self, step: int) -> bool:
        return int(self._unit.record["finished"][0]) == step % 2**32

    def restore(self, own: Snapshot, above: Snapshot) -> None:
        """See :meth:`teamnet.units.unit.Unit.restore`."""
        self._unit.restore(own, above)


class FreeWorker(BoardWorker):
    """Hosts one unit that runs on its own until the run pauses."""

    kernel = "teamnet.team.free_run", "run_free"

    def _has_finished(self, step: int) -> bool:
        """It has paused: its steps are observations, of which it may miss some."""
        return True
