"""The number of sequential exchanges in an environment step: the cost of a step when messages are slow."""

from __future__ import annotations

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.order import waves
from teamnet.dataflow.slots import COORDINATOR, Group, Key, Step


def exchanges_per_step(flow: Dataflow) -> int:
    """Sequential exchanges on the critical path from the observation to the end of the step; computing takes no time.

    A publication that another unit or the coordinator reads is one exchange away; the observation, the action and the
    TD error count like all others.
    """
    published: dict[tuple[Key, int], int] = {}
    times: dict[Group, int] = dict.fromkeys(flow.steps, 0)

    def do(group: Group, step: Step) -> None:
        for key, number in step.awaited:
            slot = flow.slots[key]
            distance = 0 if slot.writer == group and not slot.split else 1
            times[group] = max(times[group], published[key, number] + distance)
        published.update({(write.slot, write.number): times[group] for write in step.published})

    acting, rest = waves(flow)
    coordinator = flow.steps[COORDINATOR]
    do(COORDINATOR, coordinator[0])
    for part, decide in ((acting, False), (rest, True)):
        for step in coordinator[1:] if decide else ():
            do(COORDINATOR, step)
        for wave in part:
            for group, number in wave:
                do(group, flow.steps[group][number])
    return max(time for group, time in times.items() if group != COORDINATOR)
