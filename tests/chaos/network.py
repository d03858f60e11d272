"""The faults of several hosts: links that are cut, hosts that nobody reaches for a while, and hosts that are lost."""

from __future__ import annotations

import random
import re
import time
from typing import cast

from tests.chaos.faults import (
    Fault,
    Target,
    kill,
    kill_actor,
    kill_actor_while_recovering,
    kill_driver,
    stop_actor,
)
from tests.chaos.processes import RELAY
from tests.chaos.worlds import SeveralHosts
from tests.cluster.hosts import Hosts


def _hosts(target: Target) -> Hosts:
    return cast(SeveralHosts, target.world).hosts


def kill_relay(target: Target, choice: random.Random) -> int:
    """SIGKILL of the process that looks after another host's board and carries its rounds."""
    return kill(target.actors(RELAY), choice)


def cut_connection(target: Target, choice: random.Random) -> int:
    """One connection between two relays is destroyed by the kernel; both ends see an error."""
    hosts, relays = _hosts(target), [target.driver, *target.actors(RELAY)]
    found = [
        (number, *addresses) for number in range(hosts.count) for addresses in _connections(hosts, number, relays)
    ]
    both_ends = {tuple(addresses) for _, *addresses in found}
    mutual = [(number, here, there) for number, here, there in found if (there, here) in both_ends]
    if not mutual:
        return 0
    number, here, there = choice.choice(sorted(mutual))
    (address, port), (far_address, far_port) = here.rsplit(":", 1), there.rsplit(":", 1)
    hosts.run_inside(number, [
        "ss", "-K", "src", address, "sport", "=", f":{port}", "dst", far_address, "dport", "=", f":{far_port}"
    ])
    return 1


def _connections(hosts: Hosts, number: int, processes: list[int]) -> list[tuple[str, str]]:
    """Addresses here and there of the connections that some processes of a host have."""
    lines = hosts.run_inside(number, ["ss", "-Htnp", "state", "established"]).splitlines()
    of_ours = re.compile("|".join(rf"pid={pid}," for pid in processes))
    return [(line.split()[2], line.split()[3]) for line in lines if of_ours.search(line)]


def part_for_a_while(target: Target, choice: random.Random) -> int:
    """Nothing reaches a host or comes from it for up to 6 seconds, as if a cable was pulled; then all is well."""
    return _part(target, choice, choice.uniform(0.2, 6.0))


def part_until_given_up(target: Target, choice: random.Random) -> int:
    """The same for a minute and a half, after which the cluster has given the host up."""
    return _part(target, choice, 90.0)


def _part(target: Target, choice: random.Random, seconds: float) -> int:
    hosts = _hosts(target)
    number = choice.randrange(1, hosts.count)
    hosts.set_reachable(number, False)
    try:
        time.sleep(seconds)
    finally:
        hosts.set_reachable(number, True)
    return 1


def lose_host(target: Target, choice: random.Random) -> int:
    """Every process on a host but the head is killed; another one takes its place once the run has ended."""
    hosts = _hosts(target)
    hosts.kill(choice.randrange(1, hosts.count))
    return 1


SEVERAL_HOSTS: dict[str, tuple[Fault, int]] = {
    "actor": (kill_actor, 16),
    "two actors, the second while recovering": (kill_actor_while_recovering, 10),
    "actor stopped for a while": (stop_actor, 10),
    "relay": (kill_relay, 16),
    "connection cut": (cut_connection, 20),
    "partition that heals": (part_for_a_while, 16),
    "partition until the host is given up": (part_until_given_up, 2),
    "host": (lose_host, 4),
    "driver": (kill_driver, 6),
}
"""By name: what it does, and how often among a hundred."""
