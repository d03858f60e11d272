"""How two nodes of a run make sure of each other before any of their numbers counts: HMAC-SHA-256 with the run's key.

    who listens -> who calls     greeting, 32 random bytes
    who calls   -> who listens   its node number, 32 random bytes of its own, proof of both with the key
    who listens -> who calls     its own proof

The key never travels here: whoever belongs to the run has it from Ray. What is sent afterwards is neither encrypted nor
signed, so the network between the nodes must be trusted to deliver it (``docs/security.md``).
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
"""For a whole handshake; who takes longer is refused."""
_GREETING = b"teamnet relay 1\n"
_NUMBER = struct.Struct("<I")
_PROOF_BYTES = 32


def new_key() -> bytes:
    """A key for one run."""
    return secrets.token_bytes(KEY_BYTES)


def call(peer: socket.socket, key: bytes, number: int, expected: int) -> None:
    """Prove to a listening node that this is node ``number`` of the run, and have it prove that it is ``expected``.

    Raises:
        LinkRefused: it is none of the run's, or does not answer in time.
        LinkLost: it hangs up before it says who it is.
    """
    deadline = time.monotonic() + SECONDS
    try:
        greeting = _read(peer, len(_GREETING) + KEY_BYTES, deadline)
    except LinkRefused as error:  # it may be busy with others
        raise LinkLost(error.where, expected=error.expected, found=error.found, remedy=error.remedy) from None
    if not greeting.startswith(_GREETING):
        raise _refusal("a node of this run", "another greeting")
    theirs, ours = greeting[len(_GREETING) :], secrets.token_bytes(KEY_BYTES)
    peer.sendall(_NUMBER.pack(number) + ours + _proof(key, b"calls", number, theirs, ours))
    if not hmac.compare_digest(_read(peer, _PROOF_BYTES, deadline), _proof(key, b"listens", expected, theirs, ours)):
        raise _refusal("a proof of the run's key", "another one")


def answer(peer: socket.socket, key: bytes, number: int, nodes: int) -> int:
    """Have a caller prove that it is a node of the run, then prove that this is node ``number``; returns the caller's.

    Raises:
        LinkRefused: it does not know the key, or does not answer in time.
    """
    deadline = time.monotonic() + SECONDS
    ours = secrets.token_bytes(KEY_BYTES)
    peer.sendall(_GREETING + ours)
    said = _read(peer, _NUMBER.size + KEY_BYTES + _PROOF_BYTES, deadline)
    (caller,) = _NUMBER.unpack_from(said)
    theirs, proof = said[_NUMBER.size : -_PROOF_BYTES], said[-_PROOF_BYTES:]
    if not hmac.compare_digest(proof, _proof(key, b"calls", caller, ours, theirs)):
        raise _refusal("a proof of the run's key", "another one")
    if caller >= nodes:
        raise _refusal(f"a node number below {nodes}", str(caller))
    peer.sendall(_proof(key, b"listens", number, ours, theirs))
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
    return LinkRefused("relay", expected=expected, found=found, remedy="Let only nodes of the same run call it.")
