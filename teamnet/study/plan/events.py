"""The pending events of a simulation: a binary heap in arrays, by time and, at the same time, by order.

Standard lists and ``heapq`` in compiled code count references to every array at every call, which takes more than half
of a simulation's time; arrays of a fixed size need no references.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np


class Events(NamedTuple):
    """A heap of events with room for as many as there can be.

    Args:
        time: of each event, from its place in the heap; float64 ``(room,)``, seconds.
        what: order, kind and subject of each; int64 ``(room, 3)``.
        pending: how many there are; int64 ``(1,)``.
    """

    time: np.ndarray
    what: np.ndarray
    pending: np.ndarray


def no_events(room: int) -> Events:
    """An empty heap."""
    return Events(np.zeros(room), np.zeros((room, 3), np.int64), np.zeros(1, np.int64))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of a simulation: inlined, and without reference counts, so it must not create arrays."""
    compiler: Any = numba.njit  # its overloads do not name these options
    try:
        return compiler(function, cache=True, forceinline=True, _nrt=False)
    except RuntimeError:  # Numba has no folder for its cache
        return compiler(function, forceinline=True, _nrt=False)


@compiled
def _is_before(events, first, second):
    """Whether the event at one place of the heap comes before that at another."""
    if events.time[first] != events.time[second]:
        return events.time[first] < events.time[second]
    return events.what[first, 0] < events.what[second, 0]


@compiled
def _exchange(events, first, second):
    events.time[first], events.time[second] = events.time[second], events.time[first]
    for k in range(3):
        events.what[first, k], events.what[second, k] = events.what[second, k], events.what[first, k]


@compiled
def push(events, time, order, kind, subject):
    """Add an event."""
    place = events.pending[0]
    events.pending[0] += 1
    events.time[place] = time
    events.what[place, 0], events.what[place, 1], events.what[place, 2] = order, kind, subject
    while place > 0 and _is_before(events, place, (place - 1) // 2):
        _exchange(events, place, (place - 1) // 2)
        place = (place - 1) // 2


@compiled
def pop(events):
    """Remove the first event; returns its time, kind and subject."""
    time, kind, subject = events.time[0], events.what[0, 1], events.what[0, 2]
    events.pending[0] -= 1
    count = events.pending[0]
    _exchange(events, 0, count)
    place = 0
    while 2 * place + 1 < count:
        child = 2 * place + 1
        if child + 1 < count and _is_before(events, child + 1, child):
            child += 1
        if not _is_before(events, child, place):
            break
        _exchange(events, child, place)
        place = child
    return time, kind, subject
