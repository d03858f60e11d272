"""How a node of a run accepts connections of others: one address, the run's key, and a limit on everything else."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import ExitStack, suppress

from teamnet.board.handshake import answer, call
from teamnet.errors import LinkLost, TeamnetError

_log = logging.getLogger("teamnet.relay")
_AT_ONCE = 32
"""Concurrent handshakes beyond one for each node; further connections are refused at once."""
_LOGGED_ONE_BY_ONE = 20
_QUEUE = 128
_AGAIN_AFTER = 0.1


class Listener:
    """Accepts connections on a port of this node's own address, and keeps those that prove to belong to the run.

    Everything else is closed, counted and logged: other programs, port scans, and connections that send nothing.

    Args:
        host: the address at which other nodes of the run reach this one; the only one that is listened on.
        key: of the run.
        number: of this node.
        nodes: the number of nodes.
    """

    def __init__(self, host: str, key: bytes, number: int, nodes: int) -> None:
        self.refused = 0
        self._closed = False
        self._key, self._number, self._nodes = key, number, nodes
        self._free = threading.Semaphore(_AT_ONCE + nodes)
        self._changed, self._counting = threading.Condition(), threading.Lock()
        self._peers: dict[int, socket.socket] = {}
        self._socket = socket.create_server((host, 0), backlog=_QUEUE)
        self.endpoint: tuple[str, int] = self._socket.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True, name="relay listener").start()

    def _accept(self) -> None:
        while True:
            try:
                peer, (host, *_) = self._socket.accept()
            except OSError:  # the socket is closed, or the caller has disconnected, or too many files are open
                if self._closed:
                    return
                time.sleep(_AGAIN_AFTER)
                continue
            if not self._free.acquire(blocking=False):
                self._refuse(peer, host, "too many handshakes at once")
                continue
            threading.Thread(target=self._answer, args=(peer, host), daemon=True, name="relay handshake").start()

    def _answer(self, peer: socket.socket, host: str) -> None:
        try:
            caller = answer(peer, self._key, self._number, self._nodes)
            with self._changed:
                if caller in self._peers:
                    self._refuse(peer, host, f"node {caller} is connected already")
                    return
                self._peers[caller] = _ready(peer)
                self._changed.notify_all()
        except (OSError, TeamnetError) as error:
            self._refuse(peer, host, str(error))
        finally:
            self._free.release()

    def _refuse(self, peer: socket.socket, host: str, reason: str) -> None:
        with self._counting:
            self.refused += 1
        if self.refused <= _LOGGED_ONE_BY_ONE or self.refused % 1000 == 0:
            _log.warning("relay refused connection %d, from %s: %s", self.refused, host, reason)
        peer.close()

    def peer(self, number: int, seconds: float) -> socket.socket:
        """The connection that another node made; the caller closes it.

        Raises:
            LinkLost: the node did not connect in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._peers, seconds):
                raise LinkLost(
                    f"relay of node {self._number}", expected=f"a call of node {number} within {seconds:g} s",
                    found="none", remedy="Let the nodes reach each other on all ports; see docs/security.md.",
                )
            return self._peers.pop(number)

    def close(self) -> None:
        """Stop listening; this ends the thread that accepts connections."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.forget()

    def forget(self) -> None:
        """Close the accepted connections that :meth:`peer` has not returned."""
        with self._changed:
            for peer in self._peers.values():
                peer.close()
            self._peers.clear()


def reach(endpoint: tuple[str, int], key: bytes, number: int, expected: int, seconds: float) -> socket.socket:
    """Connect to the listener of another node; try again while it is too busy to answer.

    Raises:
        LinkLost: there is no answer.
        LinkRefused: the listener does not belong to the run.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with ExitStack() as unless_proved:
                peer = unless_proved.enter_context(socket.create_connection(endpoint, timeout=seconds))
                call(peer, key, number, expected)
                unless_proved.pop_all()
                return _ready(peer)
        except (OSError, LinkLost) as error:
            busy = isinstance(error, LinkLost | ConnectionResetError)
            if not busy or time.monotonic() >= deadline:
                raise LinkLost(
                    f"relay of node {number}", expected=f"node {expected} at {endpoint[0]}:{endpoint[1]}",
                    found=str(error), remedy="Let the nodes reach each other on all ports; see docs/security.md.",
                ) from None
            time.sleep(_AGAIN_AFTER)


def _ready(peer: socket.socket) -> socket.socket:
    peer.settimeout(None)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


