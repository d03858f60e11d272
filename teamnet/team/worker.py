"""Workers, which run one unit each on a board: plain classes that a Ray actor or a thread hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.board.addresses import addresses_of
from teamnet.board.board import Board
from teamnet.board.segment import map_segment
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import RESUME, ActorLost
from teamnet.kernels.constants import READY
from teamnet.kernels.native import native
from teamnet.units.code import compiled_code
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Snapshot, Unit

_NAP = 5e-5
"""Seconds between two checks whether a step is finished."""


class BoardWorker:
    """Hosts one unit and runs its steps against the board of its machine.

    Args:
        teams: the layers of every team, which determine the slot addresses.
        unit: the neurons of the unit.
        noise: recorded noise ``(steps, rows, width)`` instead of the unit's own streams.
    """

    free_running = False
    kernel = "teamnet.team.run", "run"
    """Module and name of the kernel that runs the unit's steps."""

    def __init__(
        self, teams: Sequence[Sequence[LayerSpec]], unit: UnitSpec, noise: np.ndarray | None = None
    ) -> None:
        self._flow = Dataflow(teams, free_running=self.free_running)
        self._unit = Unit(unit, compiled_code(unit.layer), None if noise is None else RecordedNoise(noise))
        self._board: Board | None = None
        self._drawing = threading.Lock()
        self._run = native(*self.kernel)

    def attach(self, path: Path, peers: int, shared: bool) -> int:
        """Map the board of this node and attach the unit to its slots.

        Args:
            path: of the segment.
            peers: number of units of the same layer on this node, this one included.
            shared: whether other nodes have units of the same layer.

        Returns:
            The thread that runs the unit, by its number in the operating system.

        Raises:
            ActorLost: the process that holds the segment has ended.
        """
        try:
            memory = map_segment(path)
        except OSError as error:
            raise ActorLost(
                self._unit.spec.name, expected="the board of this node", found=str(error),
                remedy=RESUME,
            ) from None
        self._board = Board(self._flow, memory)
        spec = self._unit.spec
        self._unit.attach(addresses_of(self._board, spec, peers, shared=shared), self._flow.steps[spec.layer.group])
        return threading.get_native_id()

    def run(self, noise_steps: int) -> tuple[int, int, np.ndarray]:
        """Run until the run pauses or ends, with noise for ``noise_steps`` steps at a time.

        Returns:
            The status that the kernel returns, the next step's number, and the activations ``(.., neurons)`` that
            the unit has published last.
        """
        status = READY
        while status == READY:
            with self._drawing:
                self._unit.draw_noise(noise_steps)
            status = self._run(self._unit.address, noise_steps, *self._ticks())
        assert self._board, "it is attached before it runs"
        return status, int(self._unit.record["step"][0]), self._board.published(self._unit.spec).copy()

    def _ticks(self) -> tuple[int, ...]:
        """The tick counts of the rule that the kernel needs."""
        return ()

    def look(self, what: str, step: int, *arguments: Any) -> tuple[bool, Any]:
        """Call the method ``what`` of the unit, such as ``snapshot``, once it has finished ``step`` steps in all.

        It is called concurrently with :meth:`run`. The caller must not send the next observation meanwhile: the unit
        then waits and changes nothing. Returns whether it finished before the run was aborted, and the method's result.
        """
        assert self._board, "it is attached before it runs"
        control = self._board.control
        while not self._has_finished(step):
            if control[0]:
                return False, None
            time.sleep(_NAP)
        with self._drawing:  # the next call of run may have started already
            return True, getattr(self._unit, what)(*arguments)

    def _has_finished(self, step: int) -> bool:
        return int(self._unit.record["finished"][0]) == step % 2**32

    def restore(self, own: Snapshot, above: Snapshot) -> None:
        """See :meth:`teamnet.units.unit.Unit.restore`."""
        self._unit.restore(own, above)


class FreeWorker(BoardWorker):
    """Hosts one unit that runs on its own until the run pauses."""

    free_running = True
    kernel = "teamnet.team.free_run", "run_free"

    def _ticks(self) -> tuple[int, ...]:
        numbers = self._unit.spec.layer.rule.numbers()
        return int(numbers["acting_steps"]), int(numbers["settle_steps"])

    def _has_finished(self, step: int) -> bool:
        """Always true, as it has paused: its steps are observations, of which it may miss some."""
        return True
