"""Traced steps as lines for a terminal: their times, the environment's, the clocks, and where the time went."""

from __future__ import annotations

import math

import numpy as np

from teamnet.study.communication.waits import BEGUN, PUBLISHED, Participants, hidden_environment, lost_times
from teamnet.study.experiment.table import aligned

_MOST_LINES = 15


def trace_lines(participants: Participants, first: int) -> list[str]:
    """What some traced steps spent their time on."""
    times = participants.times
    ended = np.max([each[:, -1, PUBLISHED] for each in times], axis=0)
    taken = (ended - times[0][:, 0, BEGUN]) / 1e3
    environment, hidden = hidden_environment(participants)
    losses = lost_times(participants)
    lines = [
        f"{len(taken)} steps from step {first:,}: median {np.median(taken):,.1f} us, "
        f"90 % {np.percentile(taken, 90):,.1f} us, longest {taken.max():,.1f} us, step {first + int(taken.argmax()):,}",
        f"environment: {1e6 * environment:,.1f} us a step, {100 * hidden:.0f} % of it while units were at work",
    ]
    for node, error in enumerate(participants.clocks.errors[1:], 1):
        known = "unknown" if math.isinf(error) else f"known within {error / 1e3:,.1f} us"
        lines.append(f"clock of node {node}: {known}")
    rows = [
        [loss.kind, loss.name, f"{1e6 * loss.seconds:,.2f}", f"{100 * loss.share:.1f} %"]
        for loss in losses[:_MOST_LINES]
    ]
    rest = losses[_MOST_LINES:]
    if rest:
        seconds, share = (sum(values) for values in zip(*((loss.seconds, loss.share) for loss in rest), strict=True))
        rows.append(["", f"{len(rest)} others", f"{1e6 * seconds:,.2f}", f"{100 * share:.1f} %"])
    return [*lines, "", *aligned(["critical path", "of", "us a step", "share"], rows)]
