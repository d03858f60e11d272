"""Compiled loops that a probe times, with the operations that units and relays use."""

from __future__ import annotations

from teamnet.board.round_counters import publish, wait
from teamnet.board.sockets import receive_all, send_all
from teamnet.kernels.arithmetic import add_products
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import LOST, READY
from teamnet.kernels.memory import copy, integers, matrix, vector
from teamnet.kernels.processor import nanoseconds

_NAPS = 200  # of 50 ms: then the other process is taken for lost


@kernel
def ping(socket: int, buffer: int, size: int, count: int, times: int) -> int:
    """Send a message and receive its echo, ``count`` times; ``times`` gets the nanoseconds of each round trip."""
    taken = integers(times, count)
    for k in range(count):
        begun = nanoseconds()
        if not (send_all(socket, buffer, size) and receive_all(socket, buffer, size)):
            return LOST
        taken[k] = nanoseconds() - begun
    return READY


@kernel
def echo(socket: int, buffer: int, size: int, count: int) -> int:
    """The other end of :func:`ping`."""
    for _ in range(count):
        if not (receive_all(socket, buffer, size) and send_all(socket, buffer, size)):
            return LOST
    return READY


@kernel
def stream(socket: int, buffer: int, size: int, count: int) -> int:
    """Send ``count`` messages without waiting for an answer."""
    for _ in range(count):
        if not send_all(socket, buffer, size):
            return LOST
    return READY


@kernel
def drain(socket: int, buffer: int, size: int, count: int, times: int) -> int:
    """Receive ``count`` messages; ``times`` gets the nanoseconds from the end of the first to the end of the last."""
    begun = 0
    for k in range(count):
        if not receive_all(socket, buffer, size):
            return LOST
        if k == 0:
            begun = nanoseconds()
    integers(times, 1)[0] = nanoseconds() - begun
    return READY


@kernel
def bounce(own: int, other: int, control: int, done: int, count: int, times: int, leads: int) -> int:
    """Hand over to another process and wait for it, ``count`` times, by two round counters.

    ``times`` gets the nanoseconds of each round trip if this process ``leads``; ``done`` rounds are complete.
    """
    taken = integers(times, count)
    for k in range(count):
        target = done + k + 1
        begun = nanoseconds()
        if leads != 0:
            publish(own, target, 1)
        result = wait(other, target, control, -1, _NAPS)
        if result != READY:
            return result
        if leads == 0:
            publish(own, target, 1)
        taken[k] = nanoseconds() - begun
    return READY


@kernel
def copy_words(source: int, target: int, words: int, count: int) -> int:
    """Copy 8-byte words, ``count`` times."""
    for _ in range(count):
        copy(vector(source, words), vector(target, words))
    return READY


@kernel
def multiply(out: int, inputs: int, weights: int, rows: int, depth: int, columns: int, count: int) -> int:
    """``out += inputs weights``, as a unit computes its preactivations, ``count`` times."""
    for _ in range(count):
        add_products(matrix(out, rows, columns), matrix(inputs, rows, depth), matrix(weights, depth, columns))
    return READY
