"""The state of a simulation as arrays; its constant input is :mod:`teamnet.study.plan.simulation_input`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from teamnet.study.plan.simulation_input import SimulationInput

NO_TASK, _SEED = -1, 1


class State(NamedTuple):
    """The state; ``next`` links the tasks that wait for a core, ``head`` and ``tail`` end each core's queue."""

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


def first_state(inputs: SimulationInput) -> State:
    """The state before the first event: no process has started, and every core is free."""
    processes, (slots, nodes), cores = len(inputs.node), inputs.writers.shape, int(inputs.cores[-1])
    reached = np.diff(inputs.target)
    messages = 1 + 4 * int((inputs.parts * reached).sum())  # rarely more than two of a slot are in flight
    tasks = processes + 2 * messages

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.int64)

    return State(
        place=zeros(processes), step=zeros(processes), doing=zeros(processes), looks=zeros(processes),
        written=zeros(slots, nodes), arrived=zeros(slots, nodes), word=zeros(slots, nodes),
        pool=np.repeat(np.arange(len(inputs.cores) - 1), np.diff(inputs.cores)), core=np.full(tasks, NO_TASK),
        free=np.ones(cores, np.int64), head=np.full(cores, NO_TASK), tail=np.full(cores, NO_TASK),
        next=np.full(tasks, NO_TASK), outwards=np.zeros(nodes), message=zeros(messages, 4),
        unused=np.arange(messages), counts=np.array([0, messages, _SEED]),
    )
