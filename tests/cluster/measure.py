"""``make bench-cluster``: what it costs to spread a team over two hosts, beside a bare TCP round trip.

The hosts are network namespaces of this machine, so they share its cores; figures are medians of interleaved runs.
"""

from __future__ import annotations

import json
import statistics
import subprocess

from tests.cluster.hosts import BIN, Hosts

STEPS, TIMES = 3000, 3
RECOMPUTED = "by-layer --feedback recomputed"
PLACEMENTS = ("pack", "by-team", "by-layer", RECOMPUTED)
EXCHANGES = {"by-layer": 40, RECOMPUTED: 21}
"""Those of 20 settle steps, each of which waits for the one before."""
_ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
peer, _ = server.accept()
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while got := peer.recv(4096): peer.sendall(got)
"""
_PING = """
import socket, statistics, sys, time
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for _ in range(20_000):
    begun = time.perf_counter()
    peer.sendall(bytes(264)); peer.recv(4096)
    times.append(time.perf_counter() - begun)
print(statistics.median(times))
"""


def round_trip(hosts: Hosts) -> float:
    """Seconds of a round trip of 264 bytes, what a layer of 32 units sends, between two plain Python programs."""
    python = str(BIN / "python")
    server = hosts.start_inside(1, [python, "-c", _ECHO, hosts.addresses[1]], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    port = server.stdout.readline().strip()
    seconds = float(hosts.run_inside(0, [python, "-c", _PING, hosts.addresses[1], port]))
    server.wait(10)
    return seconds


def main() -> None:
    """Print the table."""
    with Hosts(2) as hosts:
        bare: list[float] = []
        seconds: dict[str, list[float]] = {placement: [] for placement in PLACEMENTS}
        for _ in range(TIMES):
            bare.append(round_trip(hosts))
            for placement in PLACEMENTS:
                options = "--json", "--placement", *placement.split()
                out = hosts.teamnet("train", "cartpole", "--env-steps", str(STEPS), *options)
                seconds[placement].append(json.loads(out.splitlines()[-1])["seconds"] / STEPS)
    ping = statistics.median(bare)
    one = statistics.median(seconds["pack"])
    print(f"bare TCP round trip {1e6 * ping:.0f} us (of {', '.join(f'{1e6 * its:.0f}' for its in bare)})\n")
    print("| placement on two hosts | steps/s | of one host | added per exchange | of a TCP round trip |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for placement, its in seconds.items():
        step = statistics.median(its)
        added = (step - one) / EXCHANGES.get(placement, 1)
        shown = f"{1e6 * added:.0f} us | {added / ping:.2f}" if placement in EXCHANGES else "- | -"
        print(f"| `{placement}` | {1 / step:.0f} | {100 * one / step:.0f} % | {shown} |")


if __name__ == "__main__":
    main()
