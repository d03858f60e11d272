"""Mutual authentication of two nodes of a run before they exchange messages: HMAC-SHA-256 with the run's key.

    listener -> caller     greeting, 32 random bytes
    caller   -> listener   its node number, 32 random bytes of its own, proof of both with the key
    listener -> caller     its own proof

The key is never sent here: the nodes of a run receive it through Ray. Later messages are neither encrypted nor signed,
so the network between the nodes must be trusted to deliver them (``docs/security.md``).
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
import time

from teamnet.errors import LinkLost, LinkRefused

KEY_BYTES = 32
SECONDS = 10.0
"""Time limit of a whole handshake; a slower peer is refused."""
_GREETING = b"teamnet relay 1\n"
_NUMBER = struct.Struct("<I")
_PROOF_BYTES = 32


def new_key() -> bytes:
    """A key for one run."""
    return secrets.token_bytes(KEY_BYTES)


def call(peer: socket.socket, key: bytes, number: int, expected: int) -> None:
    """Prove to a listening node that this is node ``number`` of the run, and verify that it is node ``expected``.

    Raises:
        LinkRefused: it is not a node of the run, or does not answer in time.
        LinkLost: it closes the connection, or does not answer, before it identifies itself.
    """
    deadline = time.monotonic() + SECONDS
    try:
        greeting = _read(peer, len(_GREETING) + KEY_BYTES, deadline)
    except LinkRefused as error:  # it may be busy with other callers
        raise LinkLost(error.where, expected=error.expected, found=error.found, remedy=error.remedy) from None
    if not greeting.startswith(_GREETING):
        raise _refusal("a node of this run", "another greeting")
    peer_nonce, nonce = greeting[len(_GREETING) :], secrets.token_bytes(KEY_BYTES)
    peer.sendall(_NUMBER.pack(number) + nonce + _proof(key, b"calls", number, peer_nonce, nonce))
    proof = _read(peer, _PROOF_BYTES, deadline)
    if not hmac.compare_digest(proof, _proof(key, b"listens", expected, peer_nonce, nonce)):
        raise _refusal("a proof of the run's key", "another proof")


def answer(peer: socket.socket, key: bytes, number: int, nodes: int) -> int:
    """Verify that a caller is a node of the run, then prove that this is node ``number``; returns the caller's number.

    Raises:
        LinkRefused: it does not have the key, or does not answer in time.
    """
    deadline = time.monotonic() + SECONDS
    nonce = secrets.token_bytes(KEY_BYTES)
    peer.sendall(_GREETING + nonce)
    received = _read(peer, _NUMBER.size + KEY_BYTES + _PROOF_BYTES, deadline)
    (caller,) = _NUMBER.unpack_from(received)
    peer_nonce, proof = received[_NUMBER.size : -_PROOF_BYTES], received[-_PROOF_BYTES:]
    if not hmac.compare_digest(proof, _proof(key, b"calls", caller, nonce, peer_nonce)):
        raise _refusal("a proof of the run's key", "another proof")
    if caller >= nodes:
        raise _refusal(f"a node number below {nodes}", str(caller))
    peer.sendall(_proof(key, b"listens", number, nonce, peer_nonce))
    return caller


def _proof(key: bytes, role: bytes, number: int, listener: bytes, caller: bytes) -> bytes:
    return hmac.digest(key, role + _NUMBER.pack(number) + listener + caller, "sha256")


def _read(peer: socket.socket, size: int, deadline: float) -> bytes:
    content = b""
    while len(content) < size:
        peer.settimeout(max(1e-3, deadline - time.monotonic()))
        try:
            part = peer.recv(size - len(content))
        except TimeoutError:
            raise _refusal(f"{size} bytes within {SECONDS:g} s", f"{len(content)}") from None
        if not part:
            raise _refusal(f"{size} bytes", f"{len(content)} before it hung up")
        content += part
    return content


def _refusal(expected: str, found: str) -> LinkRefused:
    return LinkRefused("relay", expected=expected, found=found, remedy="Let only nodes of the same run connect.")
