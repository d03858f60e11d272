"""How many exchanges follow one upon another in an environment step: what a step costs when messages take long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teamnet.spec.layers import LayerSpec
from teamnet.units.schedules import schedule_of
from teamnet.units.schedules.phase import NOTHING, Phase

_Published = dict[tuple[str, int, int], int]
"""After how many exchanges a publication is there, by slot, layer number and the publication's number."""


def exchanges_per_step(teams: Sequence[Sequence[LayerSpec]]) -> int:
    """Exchanges on the longest way from the observation to the end of the step; computing takes no time.

    A value that another unit or the coordinator reads is one exchange away; the observation, the action and the TD
    error count like all others. The TD error is there once every team's output is.
    """
    runs = [_Team(team) for team in teams]
    for run in runs:
        run.go_on(None)
    decided = 2 + max(run.output for run in runs)  # the outputs go to the coordinator, the TD error comes from there
    for run in runs:
        run.go_on(decided)
    return max(time for run in runs for time in run.times.values())


class _Team:
    """How far each layer of a team is, in phases and in exchanges."""

    def __init__(self, team: Sequence[LayerSpec]) -> None:
        self.layers = {layer.number: layer for layer in team}
        self.schedules = {number: list(schedule_of(layer)) for number, layer in self.layers.items()}
        self.times = dict.fromkeys(self.layers, 0)
        self._published: _Published = {}
        self._counts: dict[tuple[str, int], int] = {}

    @property
    def output(self) -> int:
        """When the output's last activation is there."""
        last = len(self.layers)
        return self._published["activation", last, self._counts["activation", last] - 1]

    def go_on(self, told: int | None) -> None:
        """Do all phases that can be done; ``told``: when the TD error is there, ``None`` for not yet."""
        moved = True
        while moved:
            moved = False
            for number, schedule in self.schedules.items():
                while schedule and (ready := self._ready(number, schedule[0], told)) is not None:
                    self.times[number] = max(self.times[number], ready)
                    self._publish(number, schedule.pop(0))
                    moved = True

    def _ready(self, number: int, phase: Phase, told: int | None) -> int | None:
        """When all that a phase reads is there; ``None`` if something is not published yet."""
        last = len(self.layers)
        known: Mapping[tuple[str, int, int], int] = self._published | {("activation", 0, 0): 0}
        reads = [
            (kind, layer, place) for kind, layer, place in (
                ("activation", number - 1, phase.below), ("error", number + 1, phase.above),
                ("shown_gate", last if number != last else -1, phase.gate),
            ) if place != NOTHING and layer >= 0
        ]
        if any(read not in known for read in reads) or (phase.delta and told is None):
            return None
        return max([0, *(known[read] + 1 for read in reads), (told or 0) if phase.delta else 0])

    def _publish(self, number: int, phase: Phase) -> None:
        for kind in ("activation", "error", "shown_gate"):
            if getattr(phase, kind) != NOTHING:
                place = self._counts.get((kind, number), 0)
                self._published[kind, number, place] = self.times[number]
                self._counts[kind, number] = place + 1
