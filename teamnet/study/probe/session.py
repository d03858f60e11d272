"""A probe of a whole cluster: every node by itself, then every pair of nodes, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import permutations

from teamnet.board.handshake import new_key
from teamnet.study.probe.figures import Link, Probe
from teamnet.study.probe.node import Endpoint, ProbeNode
from teamnet.team.worker_pool import WorkerPool

_HERE = "127.0.0.1"


def probe(address: str, say: Callable[[str], None]) -> Probe:
    """Measure the nodes of a cluster and the links between them; nothing else should run there meanwhile.

    Takes some ten seconds for each node and five for each ordered pair of nodes.

    Args:
        address: of a Ray cluster; empty for this machine alone.
        say: called with the name of each measurement.

    Raises:
        TeamnetError: a node does not answer, or cannot reach another one.
    """
    if not address:
        say("this machine")
        with closing(ProbeNode(_HERE, new_key(), 0, 1)) as node:
            return Probe((node.measure(),), ())
    from teamnet.team.ray_node_workers import on_each_node  # Ray is imported only where it is used

    with on_each_node(address, ProbeNode, new_key()) as (hosts, pool):
        where: list[tuple[Endpoint, str]] = pool.results(pool.call("where", [()] * pool.size))
        nodes = []
        for number, host in enumerate(hosts):
            say(f"node {number + 1} of {pool.size}, {host.address}")
            nodes += pool.results(pool.call_some("measure", [number], [()]))
        links = measure_links(pool, [endpoint for endpoint, _ in where], say)
    machines = {machine for _, machine in where}
    return Probe(tuple(nodes), tuple(links), shared_cpus=len(machines) == 1 < len(nodes))


def measure_links(pool: WorkerPool, endpoints: Sequence[Endpoint], say: Callable[[str], None]) -> list[Link]:
    """Measure messages between each ordered pair of nodes.

    Args:
        pool: a :class:`teamnet.study.probe.node.ProbeNode` for each node.
        endpoints: of the nodes.
        say: called with the name of each measurement.

    Raises:
        TeamnetError: a node cannot be reached.
    """
    found = []
    pairs = [*permutations(range(pool.size), 2)]
    for number, (source, target) in enumerate(pairs, 1):
        say(f"link {number} of {len(pairs)}, {endpoints[source][0]} to {endpoints[target][0]}")
        following = pool.call_some("follow", [target], [(source,)])
        leading = pool.call_some("lead", [source], [(endpoints[target], target)])
        messages, _ = pool.results([*leading, *following])
        found.append(Link(source, target, messages))
    return found
