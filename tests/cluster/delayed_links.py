"""A network whose links are late: a program that forwards packets between the hosts of a test after a delay.

Each host has a TUN device, whose packets this program reads. It needs no support of the kernel for emulated delays. A
packet is some 50 microseconds later than it should be, as this program has to wake up twice.

    python -m tests.cluster.delayed_links '{"devices": [...], "addresses": [...], "seconds": [[...], ...]}'
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any

MTU = 60_000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SET_TIMER_SLACK = 29
_IPV4, _DESTINATION = 4, slice(16, 20)
_IDLE = 1.0


def _open_device(name: str) -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return handle


def forward(devices: list[str], addresses: list[str], seconds: list[list[float]]) -> None:
    """Forward until a host is removed.

    Args:
        devices: the names of the TUN devices that are created, one for each host.
        addresses: of the hosts.
        seconds: by which a packet from one host, a row, to another one, a column, is late.
    """
    ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, 1)
    handles = [_open_device(name) for name in devices]
    numbers = {socket.inet_aton(address): number for number, address in enumerate(addresses)}
    waiting: list[tuple[float, int, int, bytes]] = []
    order = 0
    print("ready", flush=True)
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else _IDLE
        for handle in select.select(handles, [], [], patience)[0]:
            try:
                packet = os.read(handle, MTU + 100)
            except OSError:
                return
            target = numbers.get(packet[_DESTINATION]) if packet[0] >> 4 == _IPV4 else None
            if target is not None:
                order += 1
                due = time.monotonic() + seconds[handles.index(handle)][target]
                heapq.heappush(waiting, (due, order, target, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(waiting)
            try:
                os.write(handles[target], packet)
            except OSError:  # the host is down, or its queue is full: the packet is lost
                continue


if __name__ == "__main__":
    settings: dict[str, Any] = json.loads(sys.argv[1])
    forward(**settings)
