"""Locality: what a unit can reach, and that no weight ever leaves one."""

from __future__ import annotations

import numpy as np

from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.team.partition import divide_all
from tests.conftest import make_layers
from tests.team.exchanges import drive, local, state_of, threaded

TEAMS = [make_layers((3, 6, 5, 2)), make_layers((3, 6, 5, 1), team="critic", family="gaussian")]


def test_a_unit_is_handed_its_neighbours_slots_and_no_others():
    board = Board(TEAMS, private_memory(board_size(TEAMS)))
    for unit in divide_all(TEAMS, "neuron", 0):
        layer, team = unit.layer, unit.layer.team
        handed = board.hand_out(unit, peers=3)
        below = ("observation",) if layer.is_first else ("activation", team, layer.number - 1)
        allowed = {
            board.address(*below), board.address("word", *below), board.address("activation", team, layer.number),
            board.address("word", "activation", team, layer.number), board.address("delta"),
            board.address("word", "delta"), board.address("control"),
        }
        for kind, number, wanted in (
            ("error", layer.number, not layer.is_first), ("error", layer.number + 1, not layer.is_last)
        ):
            if wanted:
                allowed |= {board.address(kind, team, number), board.address("word", kind, team, number)}
        if team == "critic":
            allowed |= {board.address("gate", team), board.address("word", "gate", team)}
            if layer.is_last:
                allowed.add(board.address("value", team))
        counts = {name for name in handed if name == "peers" or name.endswith("_rounds")}
        assert {address for name, address in handed.items() if name not in counts} <= allowed


def test_no_slot_ever_holds_a_parameter():
    # the trace of a bias is left out: at the start of an episode it is the error activation itself
    exchange = threaded(TEAMS, "block:3")
    seen: set[float] = set()
    parameters: set[float] = set()
    memory = exchange.board._memory
    for step in range(40):
        drive(exchange, TEAMS, 1, first=step)
        seen |= set(memory.view(np.float64).tolist())
        state = state_of(exchange, TEAMS, "block:3")
        parameters |= {
            value for name, array in state.items() for value in array.ravel().tolist()
            if name.endswith((".value", ".first", ".second", "incoming.trace")) and value != 0.0
        }
    exchange.close()
    assert len(seen) > 1000
    assert len(parameters) > 1000
    assert not seen & parameters


def test_a_unit_writes_its_own_columns_only():
    exchange = local(TEAMS, "block:2")
    drive(exchange, TEAMS, 3)
    unit = exchange.units[1]
    layer = unit.spec.layer
    slot = exchange.board.activations(layer)
    others = np.delete(slot, np.s_[unit.spec.start : unit.spec.stop], axis=2).copy()
    own = slot[:, :, unit.spec.start : unit.spec.stop].copy()
    exchange.restore([(u.snapshot(), u.mirror()) for u in exchange.units], 3)
    from teamnet.kernels.native import native

    unit.draw_noise(1)
    native("teamnet.team.phase", "do_phase")(unit.record.ctypes.data, 0)
    assert np.array_equal(np.delete(slot, np.s_[unit.spec.start : unit.spec.stop], axis=2), others)
    assert not np.array_equal(slot[:, :, unit.spec.start : unit.spec.stop], own)
