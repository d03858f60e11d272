"""The addresses on the board that a unit accesses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Addresses:
    """All memory outside of itself that a unit accesses.

    Args:
        reads: records :data:`teamnet.units.layout.READ` of the reads of each step, in order.
        joined: memory of the unit for concatenated publications.
        own: records :data:`teamnet.units.layout.OWN` of its slots by kind, without the fields that the unit fills in.
        control: address of the control line.
    """

    reads: list[np.ndarray]
    joined: list[np.ndarray]
    own: dict[str, np.ndarray]
    control: int
