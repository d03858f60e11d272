"""The blackboard: where every slot and round counter lies, and which of them a unit is handed.

For every layer two buffers of activations ``H`` and two of error activations ``e``, which alternate by publication; the
observation and the rows that begin an episode in two buffers, which alternate by step; the TD error with the rows that
keep their trace, and for each team the critic's value and its output gate. Everything is float64 with one row for each
parallel environment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teamnet.kernels.constants import LINE, WHOLE
from teamnet.spec.layers import LayerSpec, UnitSpec
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import rounds

Team = Sequence[LayerSpec]


class Board:
    """Slots and counters of all teams of a run, laid out in one piece of memory.

    Args:
        teams: the layers of every team, from the observation upwards.
        memory: uint8 bytes, at least :func:`board_size` of them.
    """

    def __init__(self, teams: Sequence[Team], memory: np.ndarray) -> None:
        self._teams = teams
        self._memory = memory
        self._base = memory.ctypes.data
        self._rounds = _rounds(teams)
        self._offsets, _ = _lay_out(teams)

    def address(self, *name: object) -> int:
        """The address of a slot or counter."""
        return self._base + self._offsets[name]

    def offset(self, *name: object) -> int:
        """How far from the start of the board a slot or counter lies: the same on every node."""
        return self._offsets[name]

    def published(self, *name: object) -> int:
        """How often a slot is published in one environment step."""
        return self._rounds.get(name, 1)

    def line(self, *name: object) -> np.ndarray:
        """The line of a counter, as int64."""
        return self._memory[self._offsets[name] :][:LINE].view(np.int64)

    def view(self, shape: tuple[int, ...], *name: object) -> np.ndarray:
        """A slot as a float64 array."""
        start = self._offsets[name]
        return self._memory[start : start + 8 * int(np.prod(shape))].view(np.float64).reshape(shape)

    @property
    def observations(self) -> np.ndarray:
        """Both buffers of the observation, ``(2, rows, observation)``."""
        first = self._teams[0][0]
        return self.view((2, first.rows, first.fan_in), "observation")

    def activations(self, layer: LayerSpec) -> np.ndarray:
        """Both buffers of a layer's activations, ``(2, rows, size)``."""
        return self.view((2, layer.rows, layer.size), "activation", layer.team, layer.number)

    def errors(self, layer: LayerSpec) -> np.ndarray:
        """Both buffers of a layer's error activations, ``(2, channels * rows, error_size)``."""
        return self.view((2, layer.channels * layer.rows, layer.error_size), "error", layer.team, layer.number)

    @property
    def keep(self) -> np.ndarray:
        """Both buffers of the rows that begin an episode (0.0), which come with the observation: ``(2, rows)``."""
        return self.view((2, self._teams[0][0].rows), "keep")

    @property
    def delta(self) -> np.ndarray:
        """The TD error, and which rows keep their trace: ``(2, rows)``."""
        return self.view((2, self._teams[0][0].rows), "delta")

    def gates(self, layer: LayerSpec) -> np.ndarray:
        """All output gates of a critic's step, ``(times shown, rows)``."""
        return self.view((self._rounds["gate", layer.team], layer.rows), "gate", layer.team)

    def value(self, team: str) -> np.ndarray:
        """A critic's value estimate, ``(rows,)``."""
        return self.view((self._teams[0][0].rows,), "value", team)

    def hand_out(self, unit: UnitSpec, peers: int, *, shared: bool = False) -> dict[str, int]:
        """The addresses that a unit may touch: neighbouring slots to read, its own to write, the global signals.

        Args:
            unit: who asks.
            peers: units of its layer on this node, itself included.
            shared: whether other nodes have units of its layer, so that these count their own arrivals first.
        """
        word = "part" if shared else "word"
        layer = unit.layer
        team, number = layer.team, layer.number
        below = ("observation",) if layer.is_first else ("activation", team, number - 1)
        own = "activation", team, number
        addresses = {
            "below": self.address(*below), "below_word": self.address("word", *below),
            "own_activation": self.address(*own), "activation_word": self.address(word, *own),
            "delta": self.address("delta"), "control": self.address("control"), "peers": peers,
            "below_rounds": 1 if layer.is_first else self._rounds[below], "activation_rounds": self._rounds[own],
        }
        if layer.begins_anew:
            addresses |= {"keep": self.address("keep"), "keep_word": self.address("word", "observation")}
        if not layer.is_told_from_above:
            addresses |= {"delta_word": self.address("word", "delta")}
        if not layer.is_last:
            addresses |= {
                "above_rounds": self._rounds["error", team, number + 1],
                "above": self.address("error", team, number + 1),
                "above_word": self.address("word", "error", team, number + 1),
            }
        if not layer.is_first:
            addresses |= {
                "error_rounds": self._rounds["error", team, number],
                "own_error": self.address("error", team, number),
                "error_word": self.address(word, "error", team, number),
            }
        if layer.gated:
            addresses |= {
                "gate": self.address("gate", team), "gate_word": self.address("word", "gate", team),
                "gate_rounds": self._rounds["gate", team],
            }
            if layer.is_last:
                addresses |= {"value": self.address("value", team)}
        return addresses

    def words(self) -> list[int]:
        """The addresses of all round counters."""
        return [self._base + offset for name, offset in self._offsets.items() if name[0] in ("word", "part")]

    def begin_at(self, step: int) -> None:
        """Set every counter to what it is when ``step`` steps are complete, with nobody waiting.

        The control line begins with four words: whether the run is aborted, the step before which it pauses, the clock
        of a team that runs free (how many observations have been given), and one that is unused.
        """
        for name, offset in self._offsets.items():
            if name[0] in ("word", "part"):
                line = self._memory[offset : offset + LINE].view(np.uint32)
                line[: 2 * WHOLE] = 0
                line[0] = step * self.published(*name[1:]) % 2**32
        control = self._memory[self._offsets["control",] :][:LINE].view(np.uint32)
        control[:] = 0
        control[1] = (step - 1) % 2**32
        control[2] = step % 2**32


def board_size(teams: Sequence[Team]) -> int:
    """The bytes that a board needs."""
    return _lay_out(teams)[1]


def _rounds(teams: Sequence[Team]) -> dict[tuple[object, ...], int]:
    """How often each slot of a team is published in one environment step."""
    found: dict[tuple[object, ...], int] = {}
    for team in teams:
        for layer in team:
            schedule = schedule_of(layer)
            for kind in ("activation", "error"):
                found[kind, layer.team, layer.number] = rounds(schedule, kind)
        found["gate", team[0].team] = rounds(schedule_of(team[-1]), "shown_gate")
    return found


def _numbers(teams: Sequence[Team]) -> dict[tuple[object, ...], int]:
    """How many numbers each slot holds."""
    rows = teams[0][0].rows
    numbers: dict[tuple[object, ...], int] = {
        ("observation",): 2 * rows * teams[0][0].fan_in, ("delta",): 2 * rows, ("keep",): 2 * rows
    }
    published = _rounds(teams)
    for team in teams:
        for layer in team:
            numbers["activation", layer.team, layer.number] = 2 * rows * layer.size
            numbers["error", layer.team, layer.number] = 2 * rows * layer.error_size * layer.channels
        numbers["value", team[0].team] = rows
        numbers["gate", team[0].team] = rows * published["gate", team[0].team]
    return numbers


def _lay_out(teams: Sequence[Team]) -> tuple[dict[tuple[object, ...], int], int]:
    numbers = _numbers(teams)
    offsets: dict[tuple[object, ...], int] = {("control",): 0, ("bell",): LINE}
    end = 2 * LINE
    for name in numbers:
        if name[0] not in ("keep", "value"):
            offsets["word", *name] = end
            offsets["part", *name] = end + LINE
            end += 2 * LINE
    for name, count in numbers.items():
        offsets[name] = end
        end += -(-8 * count // LINE) * LINE
    return offsets, end
