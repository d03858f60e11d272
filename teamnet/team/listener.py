"""Where a node of a run takes the calls of others: one address, the run's key, and a limit on everything else."""

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
"""Handshakes at the same time beyond one for each node; who comes then is turned away at once."""
_LOGGED_ONE_BY_ONE = 20
_QUEUE = 128
_AGAIN_AFTER = 0.1


class Listener:
    """Takes connections on a port of this node's own address, and keeps those that prove to be of the run.

    Everything else is closed, counted and logged: other programs, port scans, and connections that say nothing.

    Args:
        host: the address that other nodes of the run know this one by; no other is listened at.
        key: the run's.
        number: this node's.
        nodes: how many there are.
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
            except OSError:  # it was closed, or the caller was gone, or there are too many open files
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

    def _refuse(self, peer: socket.socket, host: str, why: str) -> None:
        with self._counting:
            self.refused += 1
        if self.refused <= _LOGGED_ONE_BY_ONE or self.refused % 1000 == 0:
            _log.warning("relay refused connection %d, from %s: %s", self.refused, host, why)
        peer.close()

    def peer(self, number: int, seconds: float) -> socket.socket:
        """The connection that another node made; whoever takes it closes it.

        Raises:
            LinkLost: it did not come in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._peers, seconds):
                raise LinkLost(
                    f"relay of node {self._number}", expected=f"a call of node {number} within {seconds:g} s",
                    found="none", remedy="Let the nodes reach each other on all ports; see docs/security.md.",
                )
            return self._peers.pop(number)

    def close(self) -> None:
        """Stop listening; a thread that waits for callers ends with that."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.forget()

    def forget(self) -> None:
        """Hang up on those who have called and whom nobody has asked for."""
        with self._changed:
            for peer in self._peers.values():
                peer.close()
            self._peers.clear()


def reach(endpoint: tuple[str, int], key: bytes, number: int, expected: int, seconds: float) -> socket.socket:
    """Call the listener of another node, and again while it is too busy to answer.

    Raises:
        LinkLost: nobody answers.
        LinkRefused: who answers is not of the run.
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


