"""The costs of messages over a connected socket: latency and bandwidth by size, beside those of plain sockets.

One end leads. It announces each block of messages with three integers, and the other end does its part of it. Blocks
by compiled loops and by plain Python alternate, so that both have the same conditions.

    leader -> follower     kind of block, size, count; int64 each
    leader <-> follower    the messages
    follower -> leader     nanoseconds from the first message to the last, int64, where only the leader sent
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from teamnet.errors import LinkLost
from teamnet.kernels.constants import READY
from teamnet.kernels.native import native
from teamnet.study.probe.figures import Message, percentiles
from teamnet.study.probe.other_process import other_process

SIZES = (8, 64, 512, 4 << 10, 32 << 10, 256 << 10, 2 << 20)
"""Bytes of the messages."""
_BLOCKS = 16
_SECONDS = 0.006
"""Of a block, unless it then had fewer than the least or more than the most messages."""
_LEAST, _MOST = 4, 4000
_STREAM_BYTES = 1 << 20
"""Of a block without answers, at least, as the first messages may arrive together."""
_PATIENCE, _LEAST_BLOCKS = 1.0, 5
"""Seconds for one size, unless it then had fewer than the least blocks."""
_END, _PING, _STREAM, _PLAIN_PING, _PLAIN_STREAM = range(5)
_BLOCK, _NUMBER = struct.Struct("<qqq"), struct.Struct("<q")
_KERNELS, _LOOPS = "teamnet.study.probe.kernels", ("ping", "echo", "stream", "drain")


class _End:
    """One end of the connection, with a buffer for the messages."""

    def __init__(self, peer: socket.socket) -> None:
        peer.settimeout(None)  # the compiled loops wait in the system call
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = peer
        self.buffer, self.times = bytearray(SIZES[-1]), np.zeros(_MOST, np.int64)
        self.address = np.frombuffer(self.buffer, np.uint8).ctypes.data
        self._loops = {name: native(_KERNELS, name) for name in _LOOPS}  # loading one takes longer than a message

    def call(self, name: str, *arguments: int) -> None:
        """Run a compiled loop."""
        _check(self._loops[name](self.socket.fileno(), self.address, *arguments) == READY)

    def receive(self, size: int) -> memoryview:
        """Receive exactly ``size`` bytes by plain Python."""
        view, have = memoryview(self.buffer)[:size], 0
        while have < size:
            got = self.socket.recv_into(view[have:])
            _check(got > 0)
            have += got
        return view


def _check(alive: bool) -> None:
    if not alive:
        raise LinkLost(
            "probe", expected="an answer from the other node", found="a closed connection",
            remedy="See whether the node is still there: ray status.",
        )


def measure_messages(peer: socket.socket, sizes: Sequence[int] = SIZES) -> tuple[Message, ...]:
    """Lead: measure messages of all sizes to the other end.

    Raises:
        LinkLost: the other end is gone.
    """
    end = _End(peer)
    found = tuple(_measure(end, size) for size in sizes)
    peer.sendall(_BLOCK.pack(_END, 0, 0))
    return found


def _measure(end: _End, size: int) -> Message:
    view = memoryview(end.buffer)[:size]

    def ping(count: int) -> np.ndarray:
        end.call("ping", size, count, end.times.ctypes.data)
        return end.times[:count].copy()

    def plain_ping(count: int) -> np.ndarray:
        for k in range(count):
            begun = time.perf_counter_ns()
            end.socket.sendall(view)
            end.receive(size)
            end.times[k] = time.perf_counter_ns() - begun
        return end.times[:count].copy()

    def plain_stream(count: int) -> None:
        for _ in range(count):
            end.socket.sendall(view)

    def block(kind: int, count: int, work: Callable[[int], np.ndarray | None]) -> np.ndarray:
        end.socket.sendall(_BLOCK.pack(kind, size, count))
        times = work(count)
        if times is not None:
            return times
        (nanoseconds,) = _NUMBER.unpack(end.receive(_NUMBER.size))
        return np.array([(count - 1) * size * 1e9 / max(1, nanoseconds)])

    def often(seconds: float) -> int:
        return min(_MOST, max(_LEAST, round(_SECONDS / seconds)))

    def send(count: int) -> None:
        end.call("stream", size, count)

    count = often(float(np.median(block(_PING, _LEAST, ping))) / 1e9)
    streamed = min(_MOST, max(often(size / float(block(_STREAM, _LEAST, send)[0])), _STREAM_BYTES // size))
    kinds: dict[int, tuple[int, Callable[[int], np.ndarray | None]]] = {
        _PING: (count, ping), _PLAIN_PING: (count, plain_ping),
        _STREAM: (streamed, send), _PLAIN_STREAM: (streamed, plain_stream),
    }
    blocks: dict[int, list[np.ndarray]] = {kind: [] for kind in kinds}
    begun = time.monotonic()
    for number in range(_BLOCKS):
        if number >= _LEAST_BLOCKS and time.monotonic() - begun > _PATIENCE:
            break
        for kind, work in list(kinds.items())[:: -1 if number % 2 else 1]:  # what comes first may be slower
            blocks[kind].append(block(kind, *work))
    found = {kind: np.concatenate(times) for kind, times in blocks.items()}
    return Message(
        size, percentiles(found[_PING], 0.5), percentiles(found[_PLAIN_PING], 0.5).p50,
        float(np.median(found[_STREAM])), float(np.median(found[_PLAIN_STREAM])),
    )


def measure_within(host: str, sizes: Sequence[int] = SIZES) -> tuple[Message, ...]:
    """Measure messages to another process of this node, over an address of its own.

    Raises:
        LinkLost: the other process has ended.
    """
    with socket.create_server((host, 0)) as server, socket.create_connection(server.getsockname()[:2]) as own:
        other, _ = server.accept()
        with other_process(__name__, [other.fileno()], [other.fileno()]):
            other.close()
            return measure_messages(own, sizes)


def follow_messages(peer: socket.socket) -> None:
    """Follow: the other end of :func:`measure_messages`.

    Raises:
        LinkLost: the other end is gone.
    """
    end = _End(peer)
    while True:
        kind, size, count = _BLOCK.unpack(end.receive(_BLOCK.size))
        if kind == _END:
            return
        if kind == _PING:
            end.call("echo", size, count)
        elif kind == _PLAIN_PING:
            for _ in range(count):
                peer.sendall(end.receive(size))
        else:
            peer.sendall(_NUMBER.pack(_drain(end, size, count, plain=kind == _PLAIN_STREAM)))


def _drain(end: _End, size: int, count: int, *, plain: bool) -> int:
    if not plain:
        end.call("drain", size, count, end.times.ctypes.data)
        return int(end.times[0])
    end.receive(size)
    begun = time.perf_counter_ns()
    for _ in range(count - 1):
        end.receive(size)
    return time.perf_counter_ns() - begun


if __name__ == "__main__":
    follow_messages(socket.socket(fileno=int(sys.argv[1])))
