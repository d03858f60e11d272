"""How a run is saved and recovered, and what it does if its folder already holds a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from teamnet.errors import SpecError
from teamnet.training.checkpoint import KEPT


class IfPresent(Enum):
    """What a new run does if its folder already holds a run."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"
    RESUME = "resume"


@dataclass(frozen=True)
class Saving:
    """How a run is saved and recovered.

    Args:
        every: environment steps between checkpoints.
        keep: checkpoints that are kept.
        recoveries: how often in a row, without a new environment step, the run returns to its newest checkpoint
            after actors or nodes were lost; 0 lets it end with the error.
        replay_check: whether to test, on a copy of the environments in another process, that they can be resumed.
    """

    every: int = 50_000
    keep: int = KEPT
    recoveries: int = 10
    replay_check: bool = True

    def __post_init__(self) -> None:
        values = {"save_every": (self.every, 1), "keep": (self.keep, 1), "recoveries": (self.recoveries, 0)}
        for name, (value, least) in values.items():
            if value < least:
                raise SpecError(
                    name, expected=f"{least} or more", found=str(value), remedy="Leave it out for the default."
                )
