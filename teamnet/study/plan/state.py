"""What changes in a simulation, as numbers: what is simulated is :mod:`teamnet.study.plan.world`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from teamnet.study.plan.world import World

NOBODY, _SEED = -1, 1


class State(NamedTuple):
    """What changes; ``next`` chains what waits for a core, ``head`` and ``tail`` are the ends of each core's queue."""

    place: np.ndarray
    step: np.ndarray
    doing: np.ndarray
    looks: np.ndarray
    written: np.ndarray
    arrived: np.ndarray
    word: np.ndarray
    pool: np.ndarray
    core: np.ndarray
    free: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    next: np.ndarray
    outwards: np.ndarray
    message: np.ndarray
    unused: np.ndarray
    counts: np.ndarray


def first_state(world: World) -> State:
    """The state before the first event: nobody has done anything, and every core is free."""
    processes, (slots, nodes), cores = len(world.node), world.writers.shape, int(world.cores[-1])
    reached = np.diff(world.target)
    messages = 1 + 4 * int((world.parts * reached).sum())  # of a slot hardly more than two are under way
    tasks = processes + 2 * messages

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.int64)

    return State(
        place=zeros(processes), step=zeros(processes), doing=zeros(processes), looks=zeros(processes),
        written=zeros(slots, nodes), arrived=zeros(slots, nodes), word=zeros(slots, nodes),
        pool=np.repeat(np.arange(len(world.cores) - 1), np.diff(world.cores)), core=np.full(tasks, NOBODY),
        free=np.ones(cores, np.int64), head=np.full(cores, NOBODY), tail=np.full(cores, NOBODY),
        next=np.full(tasks, NOBODY), outwards=np.zeros(nodes), message=zeros(messages, 4),
        unused=np.arange(messages), counts=np.array([0, messages, _SEED]),
    )
