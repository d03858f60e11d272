"""The relay's port: who proves the run's key is let in; everything else is refused, and nothing stops."""

from __future__ import annotations

import logging
import socket
import threading
import time

import numpy as np
import pytest

from teamnet.board import handshake
from teamnet.board.handshake import KEY_BYTES, new_key
from teamnet.errors import LinkLost, LinkRefused
from teamnet.team.listener import Listener, reach
from tests.team.executors import assert_same, drive, local, spread, state_of
from tests.team.test_same_bits import TEAMS

HOST = "127.0.0.1"


@pytest.fixture
def key():
    return new_key()


@pytest.fixture
def listener(key: bytes):
    its = Listener(HOST, key, number=0, nodes=3)
    yield its
    its.close()


def _until(condition, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_node_of_the_run_is_let_in(listener: Listener, key: bytes):
    caller = reach(listener.endpoint, key, 2, 0, seconds=5)
    answered = listener.peer(2, seconds=5)
    caller.sendall(b"hello")
    assert answered.recv(5) == b"hello"
    assert listener.refused == 0
    caller.close()
    answered.close()


def test_a_wrong_key_is_refused_and_logged_without_the_key(
    listener: Listener, key: bytes, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, "teamnet.relay"), pytest.raises(LinkRefused, match="before it hung up"):
        reach(listener.endpoint, new_key(), 1, 0, seconds=5)
    assert _until(lambda: listener.refused == 1)
    assert "a proof of the run's key" in caplog.text
    assert HOST in caplog.text
    assert key.hex() not in caplog.text


def test_a_listener_of_another_run_is_refused(listener: Listener):
    stranger = socket.create_server((HOST, 0))

    def pretend() -> None:
        peer, _ = stranger.accept()
        peer.sendall(b"teamnet relay 1\n" + bytes(KEY_BYTES))
        peer.recv(1000)
        peer.sendall(bytes(32))
        peer.close()

    thread = threading.Thread(target=pretend)
    thread.start()
    with pytest.raises(LinkRefused, match="a proof of the run's key"):
        reach(stranger.getsockname(), new_key(), 1, 0, seconds=5)
    thread.join()
    stranger.close()


def test_nobody_there_is_said_with_the_address(key: bytes):
    with socket.create_server((HOST, 0)) as gone:
        endpoint = gone.getsockname()
    with pytest.raises(LinkLost, match=f"node 0 at {HOST}:{endpoint[1]}"):
        reach(endpoint, key, 1, 0, seconds=5)


def test_a_node_that_does_not_call_is_named(listener: Listener):
    with pytest.raises(LinkLost, match="a call of node 2 within 0.05 s"):
        listener.peer(2, seconds=0.05)


def test_a_second_connection_of_a_node_is_refused(listener: Listener, key: bytes):
    first = reach(listener.endpoint, key, 1, 0, seconds=5)
    second = reach(listener.endpoint, key, 1, 0, seconds=5)
    assert second.recv(1) == b""
    assert listener.refused == 1
    first.close()


def test_a_number_beyond_the_run_is_refused(listener: Listener, key: bytes):
    with pytest.raises(LinkRefused):
        reach(listener.endpoint, key, 3, 0, seconds=5)


def test_who_says_nothing_is_hung_up_on(listener: Listener, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshake, "SECONDS", 0.2)
    silent = socket.create_connection(listener.endpoint)
    silent.settimeout(5)
    greeting = b""
    while part := silent.recv(1000):
        greeting += part
    assert len(greeting) == len(b"teamnet relay 1\n") + KEY_BYTES
    assert listener.refused == 1
    silent.close()


def test_many_half_open_connections_leave_room_for_nodes(
    listener: Listener, key: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(handshake, "SECONDS", 0.5)
    silent = [socket.create_connection(listener.endpoint) for _ in range(100)]
    assert _until(lambda: listener.refused >= 60)  # turned away at once; the rest holds every place for half a second
    caller = reach(listener.endpoint, key, 1, 0, seconds=5)
    listener.peer(1, seconds=5).close()
    for each in (caller, *silent):
        each.close()


def test_a_thousand_random_byte_strings_do_not_disturb_a_run():
    expected = local(TEAMS)
    drive(expected, TEAMS, 60)
    executor = spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    port = executor._nodes._here._listener.endpoint
    generator = np.random.default_rng(0)

    def attack() -> None:
        for _ in range(1000):
            try:
                with socket.create_connection(port, timeout=5) as caller:
                    caller.sendall(generator.bytes(int(generator.integers(1, 200))))
            except OSError:
                continue

    attacker = threading.Thread(target=attack)
    attacker.start()
    drive(executor, TEAMS, 60)
    attacker.join()
    assert_same(state_of(executor, TEAMS, "layer"), state_of(expected, TEAMS, "layer"))
    assert _until(lambda: executor._nodes._here.refused() >= 1000, 20)
    executor.close()
