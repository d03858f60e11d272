"""A worker on each node of a Ray cluster, for what concerns nodes and not runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from teamnet.team.placement import Host
from teamnet.team.ray_placement import hosts
from teamnet.team.ray_session import acquire
from teamnet.team.ray_worker_pool import RayWorkerPool


@contextmanager
def on_each_node(address: str, worker_class: type, *shared: Any) -> Iterator[tuple[Sequence[Host], RayWorkerPool]]:
    """One worker on each node, which reserves no CPU there; they end with the block.

    Args:
        address: of the cluster.
        worker_class: a plain class, importable on every node, constructed with the node's address, ``shared``, the
            node's number and the number of nodes.
        shared: arguments of every worker.

    Raises:
        ResourceError: nothing answers at the address.
        ActorLost: a worker did not start.
    """
    lease = acquire(address)
    try:
        with lease.using():
            known = hosts()
        options = [
            {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(host.name, soft=False)}
            for host in known
        ]
        arguments = [(host.address, *shared, number, len(known)) for number, host in enumerate(known)]
        pool = RayWorkerPool(lease, worker_class, arguments, options)
        try:
            yield known, pool
        finally:
            pool.close()
    finally:
        lease.release()
