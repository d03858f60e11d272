"""What a unit is given of the board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Addresses:
    """All that a unit reaches outside of itself.

    Args:
        reads: of each step, in order, records :data:`teamnet.units.layout.READ` of its reads.
        joined: memory of the unit where publications are put that it reads side by side.
        own: records :data:`teamnet.units.layout.OWN` of its slots by kind, without what is the unit's own.
        control: address of the control line.
    """

    reads: list[np.ndarray]
    joined: list[np.ndarray]
    own: dict[str, np.ndarray]
    control: int
