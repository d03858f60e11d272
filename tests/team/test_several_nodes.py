"""What goes wrong on one node of several, in threads with a board each, linked over the loopback interface."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from teamnet.board.handshake import new_key
from teamnet.dataflow.layers import Rate
from teamnet.errors import ActorLost, LinkRefused, NumericalError, ResourceError
from teamnet.team import executor as exchanges
from teamnet.team.address import cluster_address
from teamnet.team.listener import reach
from teamnet.team.node import Node
from teamnet.team.partition import divide_all
from teamnet.team.state import split
from teamnet.team.worker import BoardWorker
from teamnet.team.worker_pool import ThreadPool
from tests.segments import held_segments
from tests.team.executors import assert_same, drive, local, spread, state_of, threaded
from tests.team.test_same_bits import TEAMS


def test_a_unit_that_diverges_on_another_node_ends_the_run_with_its_name():
    wild = [replace(layer, rate=Rate(1e300, 1e300)) for layer in TEAMS[1]]
    executor = spread([TEAMS[0], wild], "layer", [0, 0, 0, 1, 1, 1])
    with pytest.raises(NumericalError, match="critic layer . neurons .*found NaN or infinity; .*(was|between)"):
        drive(executor, TEAMS, 50)
    executor.close()


def test_a_lost_link_ends_the_run_and_says_between_which_nodes():
    executor = spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    drive(executor, TEAMS, 3)
    executor._nodes._here._links[0].socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ActorLost, match="node 0 lost node 1: the connection is closed.*teamnet resume"):
        drive(executor, TEAMS, 50, first=3)
    executor.close()


def test_what_makes_no_sense_on_a_link_ends_the_run():
    executor = spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    drive(executor, TEAMS, 3)
    executor._nodes._others._workers[0]._links[0].socket.sendall(b"\xff" * 64)
    with pytest.raises(ActorLost, match="node 0 lost node 1: what it sent makes no sense"):
        drive(executor, TEAMS, 50, first=3)
    executor.close()


def test_nodes_of_different_runs_do_not_link_and_leave_nothing():
    units = divide_all(TEAMS, "layer", 0)
    places = [0, 0, 0, 1, 1, 1]
    before = held_segments()
    here = Node(TEAMS, units, places, 0, new_key(), "127.0.0.1")
    others = ThreadPool(Node, [(TEAMS, units, places, 1, new_key(), "127.0.0.1")])
    endpoints = [here.where()[1], others._workers[0].where()[1]]
    with pytest.raises(LinkRefused):
        others._workers[0].connect(endpoints)
    assert here.refused() >= 1
    here.close()
    others._workers[0].close()
    del here, others
    assert held_segments() == before


def test_a_run_over_several_nodes_leaves_no_segment_and_may_be_closed_twice():
    before = held_segments()
    executor = spread(TEAMS, "layer", [0, 1, 2, 0, 1, 2])
    assert len(held_segments() - before) == 3
    executor.close()
    executor.close()
    del executor
    assert held_segments() == before


def test_a_board_whose_holder_is_gone_is_a_lost_actor():
    unit = divide_all(TEAMS, "layer", 0)[0]
    with pytest.raises(ActorLost, match=f"{unit.name}: expected the board of this node; found .*No such file"):
        BoardWorker(TEAMS, unit).attach(Path("/proc/self/fd/99999"), 1, shared=False)


def test_who_called_before_everybody_begins_anew_is_forgotten():
    alone, teams = local(TEAMS), spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    for executor in (alone, teams):
        drive(executor, TEAMS, 5)
    state = state_of(teams, TEAMS, "layer")
    here = teams._nodes._here
    reach(here._listener.endpoint, here._key, 1, 0, 5.0).close()
    teams.restore(split(divide_all(TEAMS, "layer", 0), state), 5)
    for executor in (alone, teams):
        drive(executor, TEAMS, 5, first=5)
    assert_same(state_of(teams, TEAMS, "layer"), state_of(alone, TEAMS, "layer"))
    teams.close()


def test_a_node_that_has_said_nothing_is_not_waited_for_as_long_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchanges, "SILENCE", 1.0)
    monkeypatch.setattr(exchanges, "PATIENCE", 2.0)
    teams = spread(TEAMS, "layer", [0, 1, 0, 1, 0, 1])
    stopped = teams._nodes._others._threads[0].submit(time.sleep, 4.0)
    for seconds in (1, 2):
        with pytest.raises(ActorLost, match=f"expected an answer of every unit; found none for {seconds} s"):
            teams._nodes.check()
    stopped.result()
    teams._nodes.check()
    teams.close()


@pytest.mark.parametrize("gone", [True, False], ids=["a node that is gone", "a unit that is stopped"])
def test_who_is_told_to_end_is_not_waited_for_as_long_as_who_runs(gone: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchanges, "PATIENCE", 1.0)
    teams = threaded(TEAMS, "layer")

    def check() -> None:
        if gone:
            raise ActorLost("team", expected="all actors alive", found="a relay that is gone", remedy="")

    monkeypatch.setattr(teams._nodes, "check", check)
    teams._nodes.abort()
    with pytest.raises(ActorLost, match="a relay that is gone" if gone else "found none for 1 s"):
        teams._wait_for([Future()])
    teams.close()


def test_an_address_of_rays_client_is_refused_and_local_is_a_private_cluster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address("local") == cluster_address("") == ""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert cluster_address("") == "head:6379"
    with pytest.raises(ResourceError, match="ray job submit"):
        cluster_address("ray://head:10001")
