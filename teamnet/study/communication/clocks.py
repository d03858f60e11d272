"""The clocks of the nodes on one time axis, from messages that went both ways between them.

A message from node ``a`` to ``b`` seems to take its true time plus the difference of the clocks, one from ``b`` to
``a`` its true time minus that. Of many messages the fastest each way took nearly the same, so half the difference of
the two minima is that of the clocks, and it is wrong by at most half their sum (Cristian, Distributed Computing 3,
1989).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class Clocks(NamedTuple):
    """Each node's clock beside that of node 0.

    Args:
        offsets: nanoseconds that a node's clock is ahead; 0 where no messages tell.
        errors: nanoseconds by which an offset may be wrong; infinity where no messages tell.
    """

    offsets: list[float]
    errors: list[float]


def align(nodes: int, fastest: Mapping[tuple[int, int], float]) -> Clocks:
    """Align the clocks of all nodes, each by the chain of pairs with the smallest error.

    Args:
        nodes: how many there are.
        fastest: of each ordered pair between which there were messages: the smallest difference of the receiver's clock
            at the arrival and the sender's at the departure, in nanoseconds.
    """
    offsets, errors = [0.0] * nodes, [0.0, *[math.inf] * (nodes - 1)]
    left = set(range(nodes))
    while left and math.isfinite(errors[node := min(left, key=errors.__getitem__)]):
        left.remove(node)
        for other in left:
            there, back = fastest.get((node, other)), fastest.get((other, node))
            if there is None or back is None:
                continue
            error = errors[node] + abs(there + back) / 2
            if error < errors[other]:
                errors[other], offsets[other] = error, offsets[node] + (there - back) / 2
    return Clocks(offsets, errors)
