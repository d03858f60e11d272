"""The exchange protocol event by event: processes wait, work, publish, wake each other, and send to other nodes.

Compiled, because a thousand nodes exchange a hundred million messages in a step. Nothing here knows of learning: there
are processes that repeat activities, slots that they publish in and wait for, nodes, and sets of cores.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

from teamnet.study.plan.world import World

READY, WORKED, GOES_ON, GIVES_UP, SENT, ARRIVED, RECEIVED, LEAVES = range(8)
"""Kinds of events: a process is woken, has worked, has woken others, has looked in vain for what it needs; a message is
sent, is there, is taken; a core is left."""
_ASLEEP, _LOOKING, _BUSY = range(3)
"""A process that cannot go on looks for a while, and keeps its core meanwhile, before it sleeps."""
_NOBODY = -1


class _State(NamedTuple):
    """What changes; ``next`` chains what waits for a core, ``head`` and ``tail`` are the ends of each set's queue."""

    place: np.ndarray
    step: np.ndarray
    doing: np.ndarray
    until: np.ndarray
    written: np.ndarray
    arrived: np.ndarray
    word: np.ndarray
    free: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    next: np.ndarray
    outwards: np.ndarray
    message: np.ndarray
    unused: np.ndarray
    counts: np.ndarray


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Inlined, because handing over so many arrays would take longer than what most of these functions do."""
    return numba.njit(function, cache=True, forceinline=True)  # pyright: ignore[reportCallIssue]


@_compiled
def _tell(heap, state, time, kind, subject):
    """Put an event on the heap; those of the same time happen in the order in which they were told."""
    state.counts[0] += 1
    heapq.heappush(heap, (time, state.counts[0], kind, subject))


@_compiled
def _until_worked(world, state, process):
    """Seconds of a process's next activity and of its publications."""
    activity = world.first[process] + state.place[process]
    return world.seconds[activity] + (world.shown[activity + 1] - world.shown[activity]) * world.costs[7]


@_compiled
def _begin(heap, world, state, time, task, was_idle):
    """A process, or what sends or receives a message, gets a core."""
    time += world.costs[0] + (world.costs[1] if was_idle else 0.0)
    processes = len(world.node)
    if task < processes:
        _tell(heap, state, time + _until_worked(world, state, task), WORKED, task)
    elif (task - processes) % 2 == 0:
        _tell(heap, state, time + world.costs[3], SENT, (task - processes) // 2)
    else:
        _tell(heap, state, time + world.costs[4], RECEIVED, (task - processes) // 2)


@_compiled
def _ask(heap, world, state, time, node, task):
    """Ask for a core of a node, or queue for one."""
    pool = world.pool[node]
    if state.free[pool] > 0:
        state.free[pool] -= 1
        _begin(heap, world, state, time, task, True)
        return
    state.next[task] = _NOBODY
    if state.head[pool] == _NOBODY:
        state.head[pool] = task
    else:
        state.next[state.tail[pool]] = task
    state.tail[pool] = task


@_compiled
def _leave(heap, world, state, time, node):
    """Leave a core to who has queued longest."""
    pool = world.pool[node]
    task = state.head[pool]
    if task == _NOBODY:
        state.free[pool] += 1
        return
    state.head[pool] = state.next[task]
    _begin(heap, world, state, time, task, False)


@_compiled
def _satisfied(world, state, process):
    """Whether all is published that a process's next activity needs."""
    activity = world.first[process] + state.place[process]
    for number in range(world.needed[activity], world.needed[activity + 1]):
        slot, publications = world.needs[number]
        if state.word[slot, world.node[process]] < state.step[process] * world.rounds[slot] + publications:
            return False
    return True


@_compiled
def _wake(heap, world, state, time, slot, node):
    """Wake who waits for a slot at a node, one after the other; returns how many they are."""
    woken = 0
    index = slot * len(world.pool) + node
    for number in range(world.read[index], world.read[index + 1]):
        process = world.readers[number]
        if state.doing[process] == _BUSY or not _satisfied(world, state, process):
            continue
        if state.doing[process] == _LOOKING:
            _tell(heap, state, time + _until_worked(world, state, process), WORKED, process)
        else:
            woken += 1
            _tell(heap, state, time + woken * world.costs[2], READY, process)
        state.doing[process] = _BUSY
    return woken


@_compiled
def _complete(heap, world, state, time, slot, node, publication):
    """A part of a slot is there at a node; returns how many it has woken."""
    if world.parts[slot] == 1:
        state.word[slot, node] = publication
    else:
        state.arrived[slot, node] += 1
        if state.arrived[slot, node] % world.parts[slot] != 0:
            return 0
        state.word[slot, node] = state.arrived[slot, node] // world.parts[slot] * world.every[slot]
    return _wake(heap, world, state, time, slot, node)


@_compiled
def _publish(heap, world, state, time, process, slot):
    """Publish in a slot: the last of a node's writers completes its part there, which then travels to other nodes."""
    node = world.node[process]
    state.written[slot, node] += 1
    if state.written[slot, node] % world.writers[slot, node] != 0:
        return 0
    publication = state.written[slot, node] // world.writers[slot, node]
    if world.parts[slot] > 1 and publication % world.every[slot] != 0:
        return 0
    woken = _complete(heap, world, state, time, slot, node, publication)
    if publication % world.every[slot] != 0:
        return woken
    for number in range(world.target[slot], world.target[slot + 1]):
        target = world.targets[number]
        if target != node:
            state.counts[1] -= 1
            message = state.unused[state.counts[1]]
            state.message[message] = slot, node, target, publication
            _ask(heap, world, state, time, node, len(world.node) + 2 * message)
            woken += 1
    return woken


@_compiled
def _work(heap, world, state, time, process):
    """A process has done an activity: it publishes, and wakes whom that concerns."""
    activity = world.first[process] + state.place[process]
    woken = 0
    for number in range(world.shown[activity], world.shown[activity + 1]):
        woken += _publish(heap, world, state, time, process, world.shows[number])
    state.place[process] += 1
    if state.place[process] == world.length[process]:
        state.place[process] = 0
        state.step[process] += 1
    _tell(heap, state, time + woken * world.costs[2], GOES_ON, process)


@_compiled
def _go_on(heap, world, state, time, process):
    """A process goes on with its next activity, or looks until it can."""
    if _satisfied(world, state, process):
        _tell(heap, state, time + _until_worked(world, state, process), WORKED, process)
    else:
        state.doing[process] = _LOOKING
        state.until[process] = time + world.costs[8]
        _tell(heap, state, state.until[process], GIVES_UP, process)


@_compiled
def _give_up(heap, world, state, time, process):
    """A process has looked long enough, if it is still at that: it sleeps and leaves its core."""
    if state.doing[process] == _LOOKING and state.until[process] == time:
        state.doing[process] = _ASLEEP
        _leave(heap, world, state, time, world.node[process])


@_compiled
def _carry(heap, world, state, time, kind, message):
    """A message has been sent, has arrived, or has been taken."""
    slot, source, target, publication = state.message[message]
    if kind == SENT:
        departure = max(time, state.outwards[source]) + world.size[slot, source] * world.costs[6]
        state.outwards[source] = departure
        _tell(heap, state, departure + world.costs[5], ARRIVED, message)
        _leave(heap, world, state, time, source)
    elif kind == ARRIVED:
        _ask(heap, world, state, time, target, len(world.node) + 2 * message + 1)
    else:
        state.unused[state.counts[1]] = message
        state.counts[1] += 1
        woken = _complete(heap, world, state, time, slot, target, publication)
        _tell(heap, state, time + woken * world.costs[2], LEAVES, target)


@_compiled
def _step_times(world, state, steps):
    """When process 0 has done each of its first ``steps`` steps."""
    times = np.full(steps, np.nan)
    heap = [(0.0, 0, READY, 0)]
    state.doing[0] = _BUSY
    while len(heap) > 0:
        time, _, kind, subject = heapq.heappop(heap)
        if kind == READY:
            _ask(heap, world, state, time, world.node[subject], subject)
        elif kind == WORKED:
            before = state.step[0]
            _work(heap, world, state, time, subject)
            if subject == 0 and state.step[0] > before:
                times[before] = time
                if before + 1 == steps:
                    break
        elif kind == GOES_ON:
            _go_on(heap, world, state, time, subject)
        elif kind == GIVES_UP:
            _give_up(heap, world, state, time, subject)
        elif kind == LEAVES:
            _leave(heap, world, state, time, subject)
        else:
            _carry(heap, world, state, time, kind, subject)
    return times


def simulate(world: World, steps: int) -> np.ndarray:
    """When the first process has done each of its first ``steps`` steps; float64 ``(steps,)`` seconds.

    A step that never ends, because processes wait for each other, has NaN.
    """
    processes, (slots, nodes), pools = len(world.node), world.writers.shape, len(world.cores)
    reached = np.diff(world.target)
    messages = 1 + 4 * int((world.parts * reached).sum())  # of a slot hardly more than two are under way
    number = np.int64
    state = _State(
        np.zeros(processes, number), np.zeros(processes, number), np.zeros(processes, number), np.zeros(processes),
        np.zeros((slots, nodes), number), np.zeros((slots, nodes), number), np.zeros((slots, nodes), number),
        world.cores.copy(), np.full(pools, _NOBODY), np.full(pools, _NOBODY),
        np.full(processes + 2 * messages, _NOBODY), np.zeros(nodes), np.zeros((messages, 4), number),
        np.arange(messages), np.array([0, messages]),
    )
    return _step_times(world, state, steps)
