"""The memory that a run needs, checked before anything is started."""

from __future__ import annotations

from collections.abc import Sequence

from teamnet.board.board import board_size
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.errors import ResourceError
from teamnet.units import arrays

ACTOR_BYTES = 60 << 20
"""Memory of an actor's process without its arrays (``teamnet bench --only ray-neuron`` shows 194 of them)."""
RAY_BYTES = 700 << 20
"""Memory of a private Ray and of the coordinator."""


def array_bytes(teams: Sequence[Sequence[LayerSpec]]) -> int:
    """Bytes of all synapses, their mirrors, optimiser state and traces."""
    return sum(arrays.array_bytes(layer) for team in teams for layer in team)


def unit_bytes(unit: UnitSpec) -> int:
    """Bytes of one unit's part of :func:`array_bytes`."""
    return array_bytes([[unit.layer]]) * unit.size // unit.layer.size


def check_memory(teams: Sequence[Sequence[LayerSpec]], actors: int, available: int) -> None:
    """Refuse a run that does not fit in memory.

    Args:
        teams: the layers of every team.
        actors: actors to be started on this machine; 0 for a run in this process.
        available: free bytes.

    Raises:
        ResourceError: stating how much is needed.
    """
    needed = array_bytes(teams) + board_size(Dataflow(teams)) + (RAY_BYTES + actors * ACTOR_BYTES if actors else 0)
    if needed > available:
        raise ResourceError(
            f"{actors} actors" if actors else "the teams", expected=f"{needed / 2**30:.1f} GiB of free memory",
            found=f"{available / 2**30:.1f} GiB",
            remedy="Use a coarser --grain, such as layer or block:8, smaller layers or fewer environments.",
        )
