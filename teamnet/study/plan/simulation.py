"""Discrete-event simulation of the board protocol: processes wait, compute, publish, wake each other, and send.

Compiled, because a thousand nodes exchange a hundred million messages in a step. The simulation is independent of
learning: it has processes that repeat activities, slots that they publish in and wait for, nodes, and sets of cores.
"""

from __future__ import annotations

import numpy as np

from teamnet.kernels.constants import YIELDS
from teamnet.study.plan.events import compiled, no_events, pop, push
from teamnet.study.plan.simulation_input import SimulationInput
from teamnet.study.plan.state import NO_TASK, first_state

READY, LOOKS, WORKED, GOES_ON, SENT, ARRIVED, RECEIVED, LEAVES = range(8)
"""Kinds of events: a process is woken, queries the slots that it needs, has finished an activity, has woken others; a
message is sent, arrives, is received; a core is released."""
_ASLEEP, _LOOKING, _BUSY = range(3)
"""A process that cannot continue queries its slots a few times and yields its core in between; then it sleeps."""


@compiled
def _tell(events, state, time, kind, subject):
    """Add an event; events of the same time are processed in the order in which they were added."""
    state.counts[0] += 1
    push(events, time, state.counts[0], kind, subject)


@compiled
def _until_worked(inputs, state, process):
    """Seconds of a process's next activity and of its publications.

    No activity takes the same time twice: otherwise processes would synchronise as they do on no machine, and a
    prediction would jump by a quarter with each microsecond.
    """
    activity = inputs.first[process] + state.place[process]
    state.counts[2] = (state.counts[2] * 1103515245 + 12345) & 0x7FFFFFFF  # a linear congruential generator
    varied = 1.0 + inputs.costs[8] * (state.counts[2] / 0x3FFFFFFF - 1.0)
    work = inputs.seconds[activity] * inputs.slowness[inputs.node[process]] * varied
    return work + (inputs.shown[activity + 1] - inputs.shown[activity]) * inputs.costs[5]


@compiled
def _begin(events, inputs, state, time, task, was_idle):
    """A process, or the task that sends or receives a message, gets a core."""
    time += inputs.costs[0] + (inputs.costs[1] if was_idle else 0.0)
    processes = len(inputs.node)
    if task < processes and state.doing[task] == _LOOKING:
        _tell(events, state, time, LOOKS, task)
    elif task < processes:
        _tell(events, state, time + inputs.costs[7] + _until_worked(inputs, state, task), WORKED, task)
    elif (task - processes) % 2 == 0:
        _tell(events, state, time + inputs.costs[3], SENT, (task - processes) // 2)
    else:
        _tell(events, state, time + inputs.costs[4], RECEIVED, (task - processes) // 2)


@compiled
def _queue(state, core, task):
    """Append a task to the queue of a core."""
    state.core[task] = core
    state.next[task] = NO_TASK
    if state.head[core] == NO_TASK:
        state.head[core] = task
    else:
        state.next[state.tail[core]] = task
    state.tail[core] = task


@compiled
def _ask(events, inputs, state, time, node, task):
    """Take a free core of a node, the task's last core if that is free; if none is free, queue for the last core."""
    pool = inputs.pool[node]
    first, count = inputs.cores[pool], inputs.cores[pool + 1] - inputs.cores[pool]
    home = state.core[task]
    if home == NO_TASK:
        home = first + task % count
    for number in range(count):
        core = first + (home - first + number) % count
        if state.free[core] != 0:
            state.free[core] = 0
            state.core[task] = core
            _begin(events, inputs, state, time, task, True)
            return
    _queue(state, home, task)


@compiled
def _leave(events, inputs, state, time, core):
    """Release a core to the task that has queued longest for it, or else for another core of the node."""
    pool = state.pool[core]
    first, count = inputs.cores[pool], inputs.cores[pool + 1] - inputs.cores[pool]
    for number in range(count):
        other = first + (core - first + number) % count
        task = state.head[other]
        if task != NO_TASK:
            state.head[other] = state.next[task]
            state.core[task] = core
            _begin(events, inputs, state, time, task, False)
            return
    state.free[core] = 1


@compiled
def _satisfied(inputs, state, process):
    """Whether all publications that a process's next activity needs have arrived."""
    activity = inputs.first[process] + state.place[process]
    for number in range(inputs.needed[activity], inputs.needed[activity + 1]):
        slot, publications = inputs.needs[number]
        if state.word[slot, inputs.node[process]] < state.step[process] * inputs.rounds[slot] + publications:
            return False
    return True


@compiled
def _wake(events, inputs, state, time, slot, node):
    """Wake the processes that wait for a slot at a node, one after the other; returns their number."""
    woken = 0
    index = slot * len(inputs.pool) + node
    for number in range(inputs.read[index], inputs.read[index + 1]):
        process = inputs.readers[number]
        if state.doing[process] == _ASLEEP and _satisfied(inputs, state, process):
            state.doing[process] = _BUSY
            woken += 1
            _tell(events, state, time + woken * inputs.costs[2], READY, process)
    return woken


@compiled
def _complete(events, inputs, state, time, slot, node, publication):
    """A part of a slot has arrived at a node; returns the number of processes woken."""
    if inputs.parts[slot] == 1:
        state.word[slot, node] = max(state.word[slot, node], publication)  # publications may complete out of order
    else:
        state.arrived[slot, node] += 1
        if state.arrived[slot, node] % inputs.parts[slot] != 0:
            return 0
        state.word[slot, node] = state.arrived[slot, node] // inputs.parts[slot] * inputs.every[slot]
    return _wake(events, inputs, state, time, slot, node)


@compiled
def _publish(events, inputs, state, time, process, slot):
    """Publish in a slot: the last of a node's writers completes its part there, which is then sent to other nodes."""
    node = inputs.node[process]
    state.written[slot, node] += 1
    if state.written[slot, node] % inputs.writers[slot, node] != 0:
        return 0
    publication = state.written[slot, node] // inputs.writers[slot, node]
    if inputs.parts[slot] > 1 and publication % inputs.every[slot] != 0:
        return 0
    woken = _complete(events, inputs, state, time, slot, node, publication)
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
            state.core[task] = state.core[task + 1] = NO_TASK
            _ask(events, inputs, state, time, node, task)
            woken += 1
    return woken


@compiled
def _work(events, inputs, state, time, process):
    """A process has finished an activity: it publishes, and wakes the processes that wait for it."""
    activity = inputs.first[process] + state.place[process]
    woken = 0
    for number in range(inputs.shown[activity], inputs.shown[activity + 1]):
        woken += _publish(events, inputs, state, time, process, inputs.shows[number])
    state.place[process] += 1
    if state.place[process] == inputs.length[process]:
        state.place[process] = 0
        state.step[process] += 1
    _tell(events, state, time + woken * inputs.costs[2], GOES_ON, process)


@compiled
def _query(events, inputs, state, time, process):
    """A process continues with its next activity if it can, else it yields its core or, after some queries, sleeps."""
    core = state.core[process]
    if _satisfied(inputs, state, process):
        state.doing[process], state.looks[process] = _BUSY, 0
        _tell(events, state, time + _until_worked(inputs, state, process), WORKED, process)
    elif state.looks[process] == YIELDS:
        state.doing[process], state.looks[process] = _ASLEEP, 0
        _leave(events, inputs, state, time, core)
    else:
        state.doing[process] = _LOOKING
        state.looks[process] += 1
        if state.head[core] == NO_TASK:
            _tell(events, state, time + inputs.costs[6], LOOKS, process)
        else:
            _queue(state, core, process)
            _leave(events, inputs, state, time, core)


@compiled
def _carry(events, inputs, state, time, kind, message):
    """A message has been sent, has arrived, or has been received."""
    slot, source, target, publication = state.message[message]
    if kind == SENT:
        departure = max(time, state.outwards[source]) + inputs.size[slot, source] * inputs.byte_seconds[source, target]
        state.outwards[source] = departure
        _tell(events, state, departure + inputs.latency[source, target], ARRIVED, message)
        _leave(events, inputs, state, time, state.core[len(inputs.node) + 2 * message])
    elif kind == ARRIVED:
        _ask(events, inputs, state, time, target, len(inputs.node) + 2 * message + 1)
    else:
        state.unused[state.counts[1]] = message
        state.counts[1] += 1
        woken = _complete(events, inputs, state, time, slot, target, publication)
        core = state.core[len(inputs.node) + 2 * message + 1]
        _tell(events, state, time + woken * inputs.costs[2], LEAVES, core)


@compiled
def _run(events, inputs, state, times):
    """Fill in the times at which process 0 has finished each of its first steps."""
    push(events, 0.0, 0, READY, 0)
    state.doing[0] = _BUSY
    while events.pending[0] > 0:
        time, kind, subject = pop(events)
        if kind == READY:
            _ask(events, inputs, state, time, inputs.node[subject], subject)
        elif kind == WORKED:
            before = state.step[0]
            _work(events, inputs, state, time, subject)
            if subject == 0 and state.step[0] > before:
                times[before] = time
                if before + 1 == len(times):
                    break
        elif kind in (GOES_ON, LOOKS):
            _query(events, inputs, state, time, subject)
        elif kind == LEAVES:
            _leave(events, inputs, state, time, subject)
        else:
            _carry(events, inputs, state, time, kind, subject)


def simulate(inputs: SimulationInput, steps: int) -> np.ndarray:
    """The times at which process 0 has finished each of its first ``steps`` steps; float64 ``(steps,)`` seconds.

    The time of a step that never ends, because processes wait for each other, is NaN.
    """
    state, times = first_state(inputs), np.full(steps, np.nan)
    room = 2 * len(inputs.node) + len(state.free) + len(state.unused)  # a process or a message has one event, or two
    _run(no_events(room), inputs, state, times)
    return times
