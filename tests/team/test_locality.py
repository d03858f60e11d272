"""Locality: what a unit can reach, and that no weight ever leaves one."""

from __future__ import annotations

import numpy as np
import pytest

from teamnet.board.addresses import addresses_of
from teamnet.board.board import Board, board_size
from teamnet.board.segment import private_memory
from teamnet.dataflow.graph import Dataflow
from teamnet.kernels.native import native
from teamnet.team.partition import divide_all
from tests.conftest import make_layers
from tests.team.executors import drive, local, state_of, threaded
from tests.team.test_same_bits import ALL

TEAMS = [make_layers((3, 6, 5, 2)), make_layers((3, 6, 5, 1), team="critic", family="gaussian")]


@pytest.mark.parametrize("teams", ALL.values(), ids=ALL.keys())
def test_a_unit_is_handed_its_neighbours_slots_and_no_others(teams):
    """Those of the layer below and of the layer above, its own, its team's gate, and what is global."""
    flow = Dataflow(teams)
    board = Board(flow, private_memory(board_size(flow)))
    for unit in divide_all(teams, "neuron", 0):
        layer, team = unit.layer, unit.layer.team
        addresses = addresses_of(board, unit, peers=3)
        near = [(team, layer.number), ("", 0)]
        allowed = {board.start + board.offset(key) for key in flow.slots if key[1:] in near}
        readers = [reader.number for reader in layer.readers]
        neighbours = [("activation", source) for source in layer.sources]
        neighbours += [(kind, reader) for kind in ("error", "entropy_error", "reward") for reader in readers]
        for kind, number in (*neighbours, ("gate", layer.depth)):
            if (kind, team, number) in flow.slots:
                allowed.add(board.start + board.offset((kind, team, number)))
        joined = {array.ctypes.data for array in addresses.joined}
        read = {int(record["address"]) for records in addresses.reads for record in records if record["rows"]}
        assert read <= allowed | joined
        own = {int(record["address"][0]) for record in addresses.own.values()}
        assert own == {board.start + board.offset(slot.key) for slot in flow.written_by(layer.group)}
        for kind, record in addresses.own.items():
            if flow.slots[kind, *layer.group].split:
                assert (record["first"][0], record["columns"][0]) == (unit.start, unit.size)


def test_no_slot_ever_holds_a_parameter():
    # the trace of a bias is left out: at the start of an episode it is the error activation itself
    executor = threaded(TEAMS, "block:3")
    seen: set[float] = set()
    parameters: set[float] = set()
    memory = executor.board._memory
    for step in range(40):
        drive(executor, TEAMS, 1, first=step)
        seen |= set(memory.view(np.float64).tolist())
        state = state_of(executor, TEAMS, "block:3")
        parameters |= {
            value for name, array in state.items() for value in array.ravel().tolist()
            if name.endswith((".value", ".first", ".second", "incoming.trace")) and value != 0.0
        }
    executor.close()
    assert len(seen) > 1000
    assert len(parameters) > 1000
    assert not seen & parameters


def test_a_unit_writes_its_own_columns_only():
    executor = local(TEAMS, "block:2")
    drive(executor, TEAMS, 3)
    unit = executor.units[1]
    slot = executor.board.slot(executor.board.flow.activation(unit.spec.layer).key)
    others = np.delete(slot, np.s_[unit.spec.start : unit.spec.stop], axis=2).copy()
    own = slot[:, :, unit.spec.start : unit.spec.stop].copy()
    executor.restore([(u.snapshot(), u.mirror()) for u in executor.units], 3)
    unit.draw_noise(1)
    native("teamnet.team.one_step", "run_step")(unit.address, 0)
    assert np.array_equal(np.delete(slot, np.s_[unit.spec.start : unit.spec.stop], axis=2), others)
    assert not np.array_equal(slot[:, :, unit.spec.start : unit.spec.stop], own)
