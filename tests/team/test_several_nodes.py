"""What goes wrong on one node of several, in threads with a board each, linked over the loopback interface."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest

from teamnet.board.handshake import new_key
from teamnet.errors import ActorLost, LinkRefused, NumericalError, ResourceError
from teamnet.spec.layers import Rate
from teamnet.team.address import cluster_address
from teamnet.team.crew import ThreadCrew
from teamnet.team.node import Node
from teamnet.team.nodes import Nodes
from teamnet.team.partition import divide_all
from tests.team.exchanges import drive, spread
from tests.team.test_same_bits import TEAMS


def _segments() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith("teamnet-")}


def test_a_unit_that_diverges_on_another_node_ends_the_run_with_its_name():
    wild = [replace(layer, rate=Rate(1e300, 1e300)) for layer in TEAMS[1]]
    exchange = spread([TEAMS[0], wild], "layer", [0, 0, 0, 1, 1, 1])
    with pytest.raises(NumericalError, match="critic layer . neurons .*found NaN or infinity; .*(was|between)"):
        drive(exchange, TEAMS, 50)
    exchange.close()


def test_a_lost_link_ends_the_run_and_says_between_which_nodes():
    exchange = spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    drive(exchange, TEAMS, 3)
    exchange._nodes._here._links[0].socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ActorLost, match="node 0 lost node 1: the connection is closed.*teamnet resume"):
        drive(exchange, TEAMS, 50, first=3)
    exchange.close()


def test_what_makes_no_sense_on_a_link_ends_the_run():
    exchange = spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    drive(exchange, TEAMS, 3)
    exchange._nodes._others._workers[0]._links[0].socket.sendall(b"\xff" * 64)
    with pytest.raises(ActorLost, match="node 0 lost node 1: what it sent makes no sense"):
        drive(exchange, TEAMS, 50, first=3)
    exchange.close()


def test_nodes_of_different_runs_do_not_link_and_leave_nothing():
    units = divide_all(TEAMS, "layer", 0)
    places = [0, 0, 0, 1, 1, 1]
    before = _segments()
    here = Node(TEAMS, units, places, 0, new_key(), "127.0.0.1")
    others = ThreadCrew(Node, [(TEAMS, units, places, 1, new_key(), "127.0.0.1")])
    endpoints = [here.where()[1], others._workers[0].where()[1]]
    with pytest.raises(LinkRefused):
        others._workers[0].connect(endpoints)
    assert here.refused() >= 1
    here.close()
    others._workers[0].close()
    assert _segments() == before


def test_a_run_over_several_nodes_leaves_no_segment():
    before = _segments()
    exchange = spread(TEAMS, "layer", [0, 1, 2, 0, 1, 2])
    assert _segments() == before
    exchange.close()
    assert isinstance(exchange._nodes, Nodes)


def test_an_address_of_rays_client_is_refused_and_local_is_a_private_cluster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address("local") == cluster_address("") == ""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert cluster_address("") == "head:6379"
    with pytest.raises(ResourceError, match="ray job submit"):
        cluster_address("ray://head:10001")
