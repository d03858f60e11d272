"""What travels between nodes: the slots that another node reads, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from teamnet.board.board import Board, board_size
from teamnet.board.routes import Routes
from teamnet.board.segment import private_memory
from teamnet.kernels.constants import BELL, NODES, WHOLE
from teamnet.team.partition import divide_all
from tests.conftest import make_layers

TEAMS = [make_layers((3, 8, 4, 2), rows=2), make_layers((3, 8, 4, 1), team="critic", family="gaussian", rows=2)]
NUMBER = 8


def _routes(places: list[int], grain: str = "layer") -> tuple[Routes, Board]:
    return Routes(TEAMS, divide_all(TEAMS, grain, 0), places), Board(TEAMS, private_memory(board_size(TEAMS)))


def _sizes(places: list[int], source: int, target: int, grain: str = "layer") -> dict[tuple[object, ...], int]:
    routes, board = _routes(places, grain)
    return {route.slot: route.size // NUMBER for route in routes.between(board, source, target)}


def test_a_team_of_its_own_node_gets_observations_and_td_errors_and_gives_its_value():
    places = [0, 0, 0, 1, 1, 1]
    keep = 2
    assert _sizes(places, 0, 1) == {("observation",): 2 * 3, ("delta",): 2 + keep}
    value = 2
    assert _sizes(places, 1, 0) == {("activation", "critic", 3): 2 * 1 + value}


def test_a_layer_of_its_own_node_exchanges_with_its_neighbours_only():
    places = [0, 1, 0, 0, 0, 0]
    keep = 2
    assert _sizes(places, 0, 1) == {
        ("delta",): 2 + keep, ("activation", "actor", 1): 2 * 8, ("error", "actor", 3): 2 * 2
    }
    assert _sizes(places, 1, 0) == {("activation", "actor", 2): 2 * 4, ("error", "actor", 2): 2 * 4}


def test_blocks_of_one_layer_send_their_own_columns():
    units = divide_all(TEAMS, "block:4", 0)
    assert [(unit.layer.number, unit.start) for unit in units[:4]] == [(1, 0), (1, 4), (2, 0), (3, 0)]
    places = [0, 1, 0, 0] + [0] * (len(units) - 4)
    assert _sizes(places, 1, 0, "block:4") == {("activation", "actor", 1): 2 * 4}
    routes, board = _routes(places, "block:4")
    first, second = routes.between(board, 1, 0)[0].pieces
    start = board.offset("activation", "actor", 1)
    assert (first.offset - start, second.offset - start) == (4 * NUMBER, (8 + 4) * NUMBER)
    assert first.size == second.size == 4 * NUMBER


def test_gates_go_to_every_node_of_the_critic():
    assert ("gate", "critic") in _sizes([0, 0, 0, 1, 0, 0], 0, 1)
    assert ("gate", "critic") not in _sizes([1, 1, 1, 0, 0, 0], 0, 1)


@pytest.mark.parametrize("places", [[0] * 6, [1] * 6, [0, 1, 2, 0, 1, 2], [2, 1, 0, 0, 0, 1]])
def test_whoever_waits_for_a_slot_gets_it_from_all_who_write_it(places: list[int]):
    routes, board = _routes(places)
    nodes = range(max(places) + 1)
    routes_to = [
        (target, route) for source in nodes for target in nodes for route in routes.between(board, source, target)
    ]
    arriving = Counter((route.slot, target) for target, route in routes_to)
    assert set(arriving.values()) <= {1}  # whole layers have one writer
    assert all(route.arrivals == 1 for _, route in routes_to)
    assert bool(arriving) == (len(set(places) | {0}) > 1)


def test_counters_say_where_a_round_goes():
    routes, board = _routes([0, 1, 0, 0] + [0] * (len(divide_all(TEAMS, "block:4", 0)) - 4), "block:4")
    routes.connect(board, 0)
    shared, alone = board.line("part", "activation", "actor", 1), board.line("word", "activation", "actor", 2)
    here = board.offset("part", "activation", "actor", 1)
    assert here + shared[WHOLE] == board.offset("word", "activation", "actor", 1)
    assert shared[NODES] == 2
    assert shared[BELL] == 0  # nobody reads it at node 1
    assert alone[WHOLE] == 0
    board.begin_at(3)
    assert shared[WHOLE] != 0
