"""Leases on this process's connection to Ray: connected for the first lease, disconnected with the last one.

A process has one connection to Ray. Every team, sweep or list of jobs has a lease on it; the lease knows for which
connection it was made, because ``ray.shutdown()`` and ``ray.init()`` elsewhere in the process may end or replace it. A
connection that other code made is used and left as it is.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

import ray
from ray.runtime_context import get_runtime_context  # ray.get_runtime_context would start Ray if it is not running
from ray.util.client import ray as client

from teamnet.errors import RESUME, ActorLost, Closed, TeamnetError
from teamnet.team.address import through_client
from teamnet.team.ray_cluster import check_joined, join
from teamnet.team.ray_private import start_private

Identity = tuple[str, str, int]
"""The Ray node and the Ray job of a connection, which no other has, and the process: a fork must not use it."""


def acquire(address: str) -> Lease:
    """Use this process's connection to Ray, or connect first.

    Args:
        address: of the cluster to join; a private one is started if it is empty. If the process is connected
            already, that connection is used, whatever the address; see :meth:`Lease.check_cluster`.

    Raises:
        ResourceError: nothing answers at the address, a private cluster does not start, or the process is a Ray client.
    """
    if client.is_connected():
        raise through_client("ray://")
    return _CONNECTION.acquire(address)


class Lease:
    """One use of a connection to Ray; made by :func:`acquire`.

    Args:
        identity: of the connection.
        joined: the address by which this module has joined the cluster; empty for a private one, and ``None`` where
            other code has connected.
        released: called with the lease when it is released.
    """

    def __init__(self, identity: Identity, joined: str | None, released: Callable[[Lease], None]) -> None:
        self.identity, self.joined = identity, joined
        self._open, self._released = True, released

    @property
    def node(self) -> str:
        """The Ray node to which the process is connected."""
        return self.identity[0]

    @property
    def valid(self) -> bool:
        """Whether the process still has the connection, and the lease has not been released."""
        return self._open and _identity() == self.identity

    def check_cluster(self, address: str) -> None:
        """Refuse a connection to another cluster than that of a given address; an empty one is any cluster's.

        Raises:
            ResourceError: it is another one.
        """
        if address not in ("", "auto", "local", self.joined):
            check_joined(address)

    def check(self) -> None:
        """Refuse to continue if the connection has changed: Ray would start a second cluster by itself.

        Raises:
            ActorLost: Ray was shut down, or restarted.
            Closed: the lease has been released.
        """
        if not self._open:
            raise Closed("team", expected="an open team", found="one that was closed", remedy="Make or load a new one.")
        now = _identity()
        if now == self.identity:
            return
        found = "none: Ray was shut down" if now is None else "another one: Ray was restarted, or the process forked"
        raise ActorLost(
            "Ray", expected="the connection with which the team was started", found=found,
            remedy=f"Make a new agent. {RESUME}",
        )

    @contextmanager
    def using(self) -> Iterator[None]:
        """Check the connection; an error because it ends meanwhile is raised as :class:`ActorLost`, too."""
        self.check()
        try:
            yield
        except TeamnetError:
            raise
        except Exception:
            self.check()
            raise

    def release(self) -> None:
        """Release the lease; the last one ends a connection that :func:`acquire` made. A second call does nothing."""
        if self._open:
            self._open = False
            self._released(self)


def _identity() -> Identity | None:
    if not ray.is_initialized():
        return None
    try:
        context = get_runtime_context()
        return context.get_node_id(), context.get_job_id(), os.getpid()
    except Exception:  # another thread is shutting Ray down; the exception depends on its progress
        return None


class _Connection:
    """The connection of this process to Ray, if it was made here.

    The lock is reentrant: the garbage collector can close an agent at any point.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: WeakSet[Lease] = WeakSet()
        self._made: Identity | None = None
        self._address = ""
        self._end: Callable[[], None] = lambda: None
        self._process = os.getpid()
        atexit.register(self._close)  # registered after Ray's own handler, so that it is called before it

    def acquire(self, address: str) -> Lease:
        with self._lock:
            found = _identity()
            if found is None:
                self._close()  # clean up after an ended connection that was made here
                self._process = os.getpid()
                self._end = join(address) if address else start_private()
                self._made = found = _identity()
                self._address = address
            if found is None:
                raise ActorLost(
                    "Ray", expected="a connection", found="it was shut down while it started", remedy="Try again.",
                )
            lease = Lease(found, self._address if found == self._made else None, self._release)
            if found == self._made:
                self._users.add(lease)
            return lease

    def _release(self, lease: Lease) -> None:
        with self._lock:
            self._users.discard(lease)
            if lease.identity == self._made and not self._users:
                self._close()

    def _close(self) -> None:
        """End the connection if it exists and was made here, and clean up after it; not in a forked process."""
        if os.getpid() != self._process:
            return
        end, made = self._end, self._made
        self._end, self._made = lambda: None, None
        if made is not None and _identity() == made:
            ray.shutdown()
        end()


_CONNECTION = _Connection()
"""Mirrors Ray's own state, of which a process has one."""
