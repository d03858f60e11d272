"""The exchange protocol event by event: processes wait, work, publish, wake each other, and send to other nodes.

Compiled, because a thousand nodes exchange a hundred million messages in a step. Nothing here knows of learning: there
are processes that repeat activities, slots that they publish in and wait for, nodes, and sets of cores.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from teamnet.kernels.constants import YIELDS
from teamnet.study.plan.simulation_input import SimulationInput
from teamnet.study.plan.state import NOBODY, first_state

READY, LOOKS, WORKED, GOES_ON, SENT, ARRIVED, RECEIVED, LEAVES = range(8)
"""Kinds of events: a process is woken, looks for what it needs, has worked, has woken others; a message is sent, is
there, is taken; a core is left."""
_ASLEEP, _LOOKING, _BUSY = range(3)
"""A process that cannot go on looks a few times and yields its core to who queues for it in between; then it sleeps."""


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Inlined, because handing over so many arrays would take longer than what most of these functions do."""
    compiler: Any = numba.njit  # its overloads do not name these options
    try:
        return compiler(function, cache=True, forceinline=True)
    except RuntimeError:  # there is no folder in which Numba could keep it
        return compiler(function, forceinline=True)


@_compiled
def _tell(heap, state, time, kind, subject):
    """Put an event on the heap; those of the same time happen in the order in which they were told."""
    state.counts[0] += 1
    heapq.heappush(heap, (time, state.counts[0], kind, subject))


@_compiled
def _until_worked(inputs, state, process):
    """Seconds of a process's next activity and of its publications.

    No activity takes the same time twice: if it did, processes would fall into step with each other in ways that no
    machine keeps up, and a prediction would jump by a quarter with each microsecond.
    """
    activity = inputs.first[process] + state.place[process]
    state.counts[2] = (state.counts[2] * 1103515245 + 12345) & 0x7FFFFFFF  # a linear congruential generator
    varied = 1.0 + inputs.costs[10] * (state.counts[2] / 0x3FFFFFFF - 1.0)
    return inputs.seconds[activity] * varied + (inputs.shown[activity + 1] - inputs.shown[activity]) * inputs.costs[7]


@_compiled
def _begin(heap, inputs, state, time, task, was_idle):
    """A process, or what sends or receives a message, gets a core."""
    time += inputs.costs[0] + (inputs.costs[1] if was_idle else 0.0)
    processes = len(inputs.node)
    if task < processes and state.doing[task] == _LOOKING:
        _tell(heap, state, time, LOOKS, task)
    elif task < processes:
        _tell(heap, state, time + inputs.costs[9] + _until_worked(inputs, state, task), WORKED, task)
    elif (task - processes) % 2 == 0:
        _tell(heap, state, time + inputs.costs[3], SENT, (task - processes) // 2)
    else:
        _tell(heap, state, time + inputs.costs[4], RECEIVED, (task - processes) // 2)


@_compiled
def _queue(state, core, task):
    """Queue for a core."""
    state.core[task] = core
    state.next[task] = NOBODY
    if state.head[core] == NOBODY:
        state.head[core] = task
    else:
        state.next[state.tail[core]] = task
    state.tail[core] = task


@_compiled
def _ask(heap, inputs, state, time, node, task):
    """Take a free core of a node, the last one if that is free, or queue for the last one."""
    pool = inputs.pool[node]
    first, count = inputs.cores[pool], inputs.cores[pool + 1] - inputs.cores[pool]
    home = state.core[task]
    if home == NOBODY:
        home = first + task % count
    for number in range(count):
        core = first + (home - first + number) % count
        if state.free[core] != 0:
            state.free[core] = 0
            state.core[task] = core
            _begin(heap, inputs, state, time, task, True)
            return
    _queue(state, home, task)


@_compiled
def _leave(heap, inputs, state, time, core):
    """Leave a core to who has queued longest for it, or else for another one of the node."""
    pool = state.pool[core]
    first, count = inputs.cores[pool], inputs.cores[pool + 1] - inputs.cores[pool]
    for number in range(count):
        other = first + (core - first + number) % count
        task = state.head[other]
        if task != NOBODY:
            state.head[other] = state.next[task]
            state.core[task] = core
            _begin(heap, inputs, state, time, task, False)
            return
    state.free[core] = 1


@_compiled
def _satisfied(inputs, state, process):
    """Whether all is published that a process's next activity needs."""
    activity = inputs.first[process] + state.place[process]
    for number in range(inputs.needed[activity], inputs.needed[activity + 1]):
        slot, publications = inputs.needs[number]
        if state.word[slot, inputs.node[process]] < state.step[process] * inputs.rounds[slot] + publications:
            return False
    return True


@_compiled
def _wake(heap, inputs, state, time, slot, node):
    """Wake who waits for a slot at a node, one after the other; returns how many they are."""
    woken = 0
    index = slot * len(inputs.pool) + node
    for number in range(inputs.read[index], inputs.read[index + 1]):
        process = inputs.readers[number]
        if state.doing[process] == _ASLEEP and _satisfied(inputs, state, process):
            state.doing[process] = _BUSY
            woken += 1
            _tell(heap, state, time + woken * inputs.costs[2], READY, process)
    return woken


@_compiled
def _complete(heap, inputs, state, time, slot, node, publication):
    """A part of a slot is there at a node; returns how many it has woken."""
    if inputs.parts[slot] == 1:
        state.word[slot, node] = max(state.word[slot, node], publication)  # cores do not take turns fairly
    else:
        state.arrived[slot, node] += 1
        if state.arrived[slot, node] % inputs.parts[slot] != 0:
            return 0
        state.word[slot, node] = state.arrived[slot, node] // inputs.parts[slot] * inputs.every[slot]
    return _wake(heap, inputs, state, time, slot, node)


@_compiled
def _publish(heap, inputs, state, time, process, slot):
    """Publish in a slot: the last of a node's writers completes its part there, which then travels to other nodes."""
    node = inputs.node[process]
    state.written[slot, node] += 1
    if state.written[slot, node] % inputs.writers[slot, node] != 0:
        return 0
    publication = state.written[slot, node] // inputs.writers[slot, node]
    if inputs.parts[slot] > 1 and publication % inputs.every[slot] != 0:
        return 0
    woken = _complete(heap, inputs, state, time, slot, node, publication)
    if publication % inputs.every[slot] != 0:
        return woken
    for number in range(inputs.target[slot], inputs.target[slot + 1]):
        target = inputs.targets[number]
        if target != node:
            if state.counts[1] == 0:
                raise RuntimeError("more messages are under way than there is room for")
            state.counts[1] -= 1
            message = state.unused[state.counts[1]]
            state.message[message] = slot, node, target, publication
            task = len(inputs.node) + 2 * message
            state.core[task] = state.core[task + 1] = NOBODY
            _ask(heap, inputs, state, time, node, task)
            woken += 1
    return woken


@_compiled
def _work(heap, inputs, state, time, process):
    """A process has done an activity: it publishes, and wakes whom that concerns."""
    activity = inputs.first[process] + state.place[process]
    woken = 0
    for number in range(inputs.shown[activity], inputs.shown[activity + 1]):
        woken += _publish(heap, inputs, state, time, process, inputs.shows[number])
    state.place[process] += 1
    if state.place[process] == inputs.length[process]:
        state.place[process] = 0
        state.step[process] += 1
    _tell(heap, state, time + woken * inputs.costs[2], GOES_ON, process)


@_compiled
def _query(heap, inputs, state, time, process):
    """A process goes on with its next activity if it can, else it yields its core or, after some looks, sleeps."""
    core = state.core[process]
    if _satisfied(inputs, state, process):
        state.doing[process], state.looks[process] = _BUSY, 0
        _tell(heap, state, time + _until_worked(inputs, state, process), WORKED, process)
    elif state.looks[process] == YIELDS:
        state.doing[process], state.looks[process] = _ASLEEP, 0
        _leave(heap, inputs, state, time, core)
    else:
        state.doing[process] = _LOOKING
        state.looks[process] += 1
        if state.head[core] == NOBODY:
            _tell(heap, state, time + inputs.costs[8], LOOKS, process)
        else:
            _queue(state, core, process)
            _leave(heap, inputs, state, time, core)


@_compiled
def _carry(heap, inputs, state, time, kind, message):
    """A message has been sent, has arrived, or has been taken."""
    slot, source, target, publication = state.message[message]
    if kind == SENT:
        departure = max(time, state.outwards[source]) + inputs.size[slot, source] * inputs.costs[6]
        state.outwards[source] = departure
        _tell(heap, state, departure + inputs.costs[5], ARRIVED, message)
        _leave(heap, inputs, state, time, state.core[len(inputs.node) + 2 * message])
    elif kind == ARRIVED:
        _ask(heap, inputs, state, time, target, len(inputs.node) + 2 * message + 1)
    else:
        state.unused[state.counts[1]] = message
        state.counts[1] += 1
        woken = _complete(heap, inputs, state, time, slot, target, publication)
        core = state.core[len(inputs.node) + 2 * message + 1]
        _tell(heap, state, time + woken * inputs.costs[2], LEAVES, core)


@_compiled
def _step_times(inputs, state, steps):
    """When process 0 has done each of its first ``steps`` steps."""
    times = np.full(steps, np.nan)
    heap = [(0.0, 0, READY, 0)]
    state.doing[0] = _BUSY
    while len(heap) > 0:
        time, _, kind, subject = heapq.heappop(heap)
        if kind == READY:
            _ask(heap, inputs, state, time, inputs.node[subject], subject)
        elif kind == WORKED:
            before = state.step[0]
            _work(heap, inputs, state, time, subject)
            if subject == 0 and state.step[0] > before:
                times[before] = time
                if before + 1 == steps:
                    break
        elif kind in (GOES_ON, LOOKS):
            _query(heap, inputs, state, time, subject)
        elif kind == LEAVES:
            _leave(heap, inputs, state, time, subject)
        else:
            _carry(heap, inputs, state, time, kind, subject)
    return times


def simulate(inputs: SimulationInput, steps: int) -> np.ndarray:
    """When the first process has done each of its first ``steps`` steps; float64 ``(steps,)`` seconds.

    A step that never ends, because processes wait for each other, has NaN.
    """
    return _step_times(inputs, first_state(inputs), steps)
