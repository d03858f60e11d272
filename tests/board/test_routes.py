"""What travels between nodes: the slots that another node reads, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from teamnet.board.board import Board, board_size
from teamnet.board.routes import Routes
from teamnet.board.segment import private_memory
from teamnet.dataflow.graph import Dataflow, Teams
from teamnet.dataflow.ports import OBSERVATION, TD_ERROR
from teamnet.dataflow.slots import COORDINATOR, Group, Key
from teamnet.kernels.constants import BELL, EVERY, NODES, WHOLE
from teamnet.team.partition import divide_all
from tests.conftest import make_layers

TEAMS = [make_layers((3, 8, 4, 2), rows=2), make_layers((3, 8, 4, 1), team="critic", family="gaussian", rows=2)]
TICKS = [
    make_layers((3, 8, 4, 2), rows=2, schedule="ticks"),
    make_layers((3, 8, 4, 1), team="critic", family="gaussian", rows=2, schedule="ticks"),
]
NOTHING_DOWN = [
    make_layers((3, 8, 4, 2), rows=2, schedule="reinforce"),
    make_layers((3, 8, 4, 1), team="critic", family="gaussian", rows=2, schedule="reinforce"),
]
NUMBER = 8
KEEP = 2
"""Numbers of a mask: one for each row."""


def _routes(places: list[int], grain: str = "layer", teams: Teams = TEAMS) -> tuple[Routes, Board]:
    flow = Dataflow(teams)
    return Routes(flow, divide_all(teams, grain, 0), places), Board(flow, private_memory(board_size(flow)))


def _sizes(places: list[int], source: int, target: int, grain: str = "layer", teams: Teams = TEAMS) -> dict[Key, int]:
    routes, board = _routes(places, grain, teams)
    return {route.slot: route.size // NUMBER for route in routes.between(board, source, target)}


def test_a_team_of_its_own_node_gets_observations_and_td_errors_and_gives_its_value():
    places = [0, 0, 0, 1, 1, 1]
    assert _sizes(places, 0, 1) == {OBSERVATION: 2 * 3, TD_ERROR: 2 + KEEP}
    value = 2
    assert _sizes(places, 1, 0) == {("activation", "critic", 3): 2 * 1 + value}


def test_a_layer_of_its_own_node_exchanges_with_its_neighbours_only():
    places = [0, 1, 0, 0, 0, 0]
    assert _sizes(places, 0, 1) == {
        TD_ERROR: 2 + KEEP, ("activation", "actor", 1): 2 * 8, ("error", "actor", 3): 2 * 2
    }
    assert _sizes(places, 1, 0) == {("activation", "actor", 2): 2 * 4, ("error", "actor", 2): 2 * 4}


def test_where_nothing_comes_down_nothing_travels_down():
    places = [0, 1, 0, 0, 0, 0]
    assert _sizes(places, 0, 1, teams=NOTHING_DOWN) == {TD_ERROR: 2 + KEEP, ("activation", "actor", 1): 2 * 8}
    assert _sizes(places, 1, 0, teams=NOTHING_DOWN) == {("activation", "actor", 2): 2 * 4}


def test_of_a_slot_and_what_it_carries_a_node_is_sent_what_it_takes():
    """The episode mask comes with the observation: layers above the first take it alone."""
    assert _sizes([0, 1, 0, 0, 0, 0], 0, 1, teams=TICKS)[OBSERVATION] == KEEP
    assert _sizes([1, 0, 0, 0, 0, 0], 0, 1, teams=TICKS)[OBSERVATION] == 2 * 3 + KEEP
    assert OBSERVATION not in _sizes([0, 1, 0, 0, 0, 0], 0, 1)


def test_blocks_of_one_layer_send_their_own_columns():
    units = divide_all(TEAMS, "block:4", 0)
    assert [(unit.layer.number, unit.start) for unit in units[:4]] == [(1, 0), (1, 4), (2, 0), (3, 0)]
    places = [0, 1, 0, 0] + [0] * (len(units) - 4)
    key = ("activation", "actor", 1)
    assert _sizes(places, 1, 0, "block:4") == {key: 2 * 4}
    routes, board = _routes(places, "block:4")
    first, second = routes.between(board, 1, 0)[0].pieces
    start = board.offset(key)
    assert (first.offset - start, second.offset - start) == (4 * NUMBER, (8 + 4) * NUMBER)
    assert first.size == second.size == 4 * NUMBER


def test_gates_go_to_every_node_of_the_critic():
    assert ("gate", "critic", 3) in _sizes([0, 0, 0, 1, 0, 0], 0, 1)
    assert ("gate", "critic", 3) not in _sizes([1, 1, 1, 0, 0, 0], 0, 1)


@pytest.mark.parametrize("teams", [TEAMS, TICKS, NOTHING_DOWN], ids=["jacobi", "ticks", "reinforce"])
@pytest.mark.parametrize("places", [[0] * 6, [1] * 6, [0, 1, 2, 0, 1, 2], [2, 1, 0, 0, 0, 1]])
def test_whoever_waits_for_a_slot_gets_it_from_all_who_write_it(places: list[int], teams: Teams):
    routes, board = _routes(places, teams=teams)
    nodes = range(max(places) + 1)
    routes_to = [
        (target, route) for source in nodes for target in nodes for route in routes.between(board, source, target)
    ]
    arriving = Counter((route.slot, target) for target, route in routes_to)
    assert set(arriving.values()) <= {1}  # whole layers have one writer
    assert all(route.arrivals == 1 for _, route in routes_to)
    assert bool(arriving) == (len(set(places) | {0}) > 1)
    flow = routes.flow
    node_of: dict[Group, int] = dict(zip(flow.layers, places, strict=True)) | {COORDINATOR: 0}
    assert set(arriving) == {
        (key, node_of[group]) for group, steps in flow.steps.items() for step in steps for key, _ in step.awaited
        if node_of[group] != node_of[key[1:]]
    }


def test_counters_say_where_a_round_goes():
    routes, board = _routes([0, 1, 0, 0] + [0] * (len(divide_all(TEAMS, "block:4", 0)) - 4), "block:4")
    routes.connect(board, 0)
    first, second = ("activation", "actor", 1), ("activation", "actor", 2)
    shared, alone = board.line(first, part=True), board.line(second)
    here = board.counter(first, part=True)
    assert here + shared[WHOLE] == board.counter(first)
    assert (shared[NODES], shared[EVERY]) == (2, 1)
    assert shared[BELL] == 0  # nobody reads it at node 1
    assert alone[WHOLE] == 0
    down = ("error", "actor", 2)
    assert board.counter(down) + board.line(down)[BELL] == board.doorbell
    board.begin_at(3)
    assert shared[WHOLE] != 0
