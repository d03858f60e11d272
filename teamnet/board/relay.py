"""The relay: between two nodes, a compiled loop that sends and one that receives; they hold no lock and run no Python.

A sender sleeps on its node's doorbell. When it wakes, it gathers every route with a new round and writes them at once:
for each the route's number and the round (uint32 each), then its bytes in the message dtype of its layer; no bytes if
they equal those of the round before, as when a layer has settled. A receiver writes the bytes to its own board and
arrives at the slot's counter, as a unit of this node would. A round is never gathered too late: its buffer is
overwritten two rounds later, for which the publisher needs the answer of readers that have read the round between. A
team's output is resampled without an answer, so only its last round of a step is sent.

An emulated link is slower than the real one: a batch then waits in the sender until it is due.
"""

from __future__ import annotations

from teamnet.board.link import BATCHES, HEADER, LINK, PIECE, ROUTE, UNCHANGED
from teamnet.board.round_counters import EACH, NAP, load_acquire, publish, sleep_while
from teamnet.board.sockets import receive, send_all
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import ENDED, GARBLED, LOST
from teamnet.kernels.memory import copy, integers, vector
from teamnet.kernels.processor import nanoseconds, yield_processor
from teamnet.kernels.wire import pack, unpack

_ROUTE, _PIECE = ROUTE.size, PIECE.size
_SOON = 100_000  # nanoseconds; shorter waits do not sleep, as a sleeper wakes up about this much too late
_TURNS = 4


@kernel
def _place(route, piece, back):
    """The address on the board of a route's next round, or of the round ``back`` rounds before it."""
    return piece.address + (route.done + route.every - 1 - back) % piece.buffers * piece.stride


@kernel
def _carry(route, at, outwards):
    """Copy a route's next round between the board and the bytes at an address."""
    for number in range(route.count):
        piece = PIECE(route.pieces + _PIECE * number)
        if outwards:
            numbers, place = piece.size // 8, _place(route, piece, 0)
            pack(place, at, numbers, piece.wire)
            copy(vector(place, numbers), vector(piece.kept, numbers))
        else:
            unpack(at, _place(route, piece, 0), piece.size // 8, piece.wire)
        at += piece.packed


@kernel
def _repeats(route):
    """Whether a route's next round is, bit for bit, equal to the last one that it has transferred.

    It is compared with a copy: the last round's buffer may be overwritten as soon as the next round is published, even
    if no unit has answered that one.
    """
    if route.done == route.first or route.every > 1:
        return False
    for number in range(route.count):
        piece = PIECE(route.pieces + _PIECE * number)
        if piece.buffers < 2:
            return False
        size = piece.size // 8
        new, old = integers(_place(route, piece, 0), size), integers(piece.kept, size)
        for k in range(size):
            if new[k] != old[k]:
                return False
    return True


@kernel
def _repeat(route):
    """Copy a route's last round to the place of the next one."""
    for number in range(route.count):
        piece = PIECE(route.pieces + _PIECE * number)
        copy(vector(_place(route, piece, 1), piece.size // 8), vector(_place(route, piece, 0), piece.size // 8))


@kernel
def _gather(link, start):
    """Write every new round of every route from an address on; returns the number of bytes."""
    at = start
    for number in range(link.count):
        route = ROUTE(link.routes + _ROUTE * number)
        ready = load_acquire(route.word)
        while ((ready - route.done) & 0xFFFFFFFF) >= route.every and at - start + HEADER + route.size <= link.batch:
            unchanged = _repeats(route)
            integers(at, 1)[0] = number | unchanged * UNCHANGED | ((route.done + route.every) & 0xFFFFFFFF) << 32
            at += HEADER
            if not unchanged:
                _carry(route, at, True)
                at += route.size
            route.done += route.every
            link.messages += 1
    return at - start


@kernel
def _write(link, at, size):
    """Send ``size`` bytes; returns whether all of them were sent."""
    link.bytes += size
    link.writes += 1
    return send_all(link.socket, at, size)


@kernel
def _idle(link, rung, left, turns):
    """Wait for the doorbell, up to ``left`` nanoseconds: yield at first and for short waits, else sleep."""
    if turns < _TURNS or left <= _SOON:
        yield_processor()
    else:
        sleep_while(link.bell, rung, min(left - _SOON, NAP), EACH)


@kernel
def send_rounds(address: int) -> int:
    """Send rounds until the link ends: ``ENDED`` if it was stopped, ``LOST`` if the other end is gone."""
    link = LINK(address)
    due, sizes = integers(link.due, BATCHES), integers(link.sizes, BATCHES)
    first, after, free_at, turns = 0, 0, 0, 0
    while load_acquire(address + 8) == 0:
        rung = load_acquire(link.bell)
        size = _gather(link, link.buffer + after % BATCHES * link.batch) if after - first < BATCHES else 0
        now = nanoseconds()
        turns += 1
        if size > 0:
            free_at = max(free_at, now) + size * link.picoseconds // 1000
            due[after % BATCHES], sizes[after % BATCHES] = free_at + link.latency, size
            after, turns = after + 1, 0
        if first == after:
            _idle(link, rung, NAP, turns)
        elif due[first % BATCHES] <= now or link.latency + link.picoseconds == 0:
            if not _write(link, link.buffer + first % BATCHES * link.batch, sizes[first % BATCHES]):
                return LOST
            first += 1
        elif size == 0:
            _idle(link, rung, due[first % BATCHES] - now, turns)
    return ENDED


@kernel
def _take(link, have):
    """Copy all complete rounds in the buffer to the board; returns the bytes used, or -1 if they are invalid."""
    used = 0
    while have - used >= HEADER:
        header = integers(link.buffer + used, 1)[0]
        number, size = header & (UNCHANGED - 1), 0
        if number >= link.count:
            return -1
        route = ROUTE(link.routes + _ROUTE * number)
        if ((header >> 32) & 0xFFFFFFFF) != ((route.done + route.every) & 0xFFFFFFFF):
            return -1
        if header & UNCHANGED:
            _repeat(route)
        elif have - used < HEADER + route.size:
            break
        else:
            size = route.size
            _carry(route, link.buffer + used + HEADER, False)
        route.done += route.every
        publish(route.word, route.done, route.peers)
        link.messages += 1
        used += HEADER + size
    return used


@kernel
def receive_rounds(address: int) -> int:
    """Receive rounds until the link ends: ``ENDED``, ``LOST``, or ``GARBLED`` if the received bytes are invalid."""
    link = LINK(address)
    have = 0
    while True:
        got = receive(link.socket, link.buffer + have, 2 * link.batch - have)
        if got <= 0:
            return LOST if load_acquire(address + 8) == 0 else ENDED
        have += got
        link.bytes += got
        link.writes += 1
        used = _take(link, have)
        if used < 0:
            return GARBLED
        have -= used
        if used > 0 and have > 0:
            words = (have + 7) // 8
            copy(vector(link.buffer + used, words), vector(link.buffer, words))
