"""Neurons that have settled stop publishing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teamnet.dataflow.slots import Messages
from teamnet.team.ledger import Ledger
from teamnet.team.state import State
from tests.conftest import make_layers
from tests.team.executors import assert_same, drive, local, state_of

STEPS, ROWS = 6, 2
SIZES = (3, 9, 6, 2)


def _run(tolerance: float, settle_steps: int = 8, steps: int = STEPS, schedule: str = "jacobi") -> tuple[State, Ledger]:
    layers = make_layers(SIZES, rows=ROWS, settle_steps=settle_steps, schedule=schedule)
    teams = [[replace(layer, messages=Messages(send_threshold=tolerance)) for layer in layers]]
    executor = local(teams)
    drive(executor, teams, steps)
    return state_of(executor, teams, "layer"), executor.ledger()


@pytest.mark.parametrize("schedule", ["jacobi", "sweeps", "descents"])
def test_without_slack_only_what_has_not_moved_at_all_is_left_unsaid(schedule: str):
    exact, _ = _run(0.0, schedule=schedule)
    held, _ = _run(1e-300, schedule=schedule)
    assert_same(exact, held)


def test_who_need_not_move_says_only_what_it_begins_with():
    state, _ = _run(1e9, steps=1)
    acted, _ = _run(0.0, settle_steps=0, steps=1)
    np.testing.assert_array_equal(state["actor.1.activation"], acted["actor.1.activation"])
    _, ledger = _run(1e9)
    said = [8 * ROWS * size + -(-ROWS * size // 8) for size in (9, 6, 2)]
    assert ledger.edges["activation"] == (STEPS * 2, STEPS * sum(said[:2]))
    assert ledger.edges["error"] == (STEPS * 2, STEPS * sum(said[1:]))


def test_a_team_falls_silent_once_all_have_settled_and_is_where_it_would_have_come_to():
    """Settling contracts by a half, so that who moves by less than a tolerance has about as much to go."""
    tolerance = 1e-4
    exact, _ = _run(0.0, settle_steps=400, steps=1)
    state, ledger = _run(tolerance, settle_steps=200, steps=1)
    longer, later = _run(tolerance, settle_steps=400, steps=1)
    assert_same(state, longer)
    assert later.total == ledger.total, "200 more steps, and nobody says a word"
    assert 10 < ledger.edges["activation"].messages < 80
    for number in (1, 2):
        deviation = np.sqrt(0.05 * number)
        name = f"actor.{number}.activation"
        assert 0 < np.abs(state[name] - exact[name]).max() < 10 * tolerance * deviation


def test_bytes_are_of_the_numbers_that_moved():
    _, everything = _run(0.0)
    _, some = _run(0.05)
    assert some.edges["activation"].messages <= everything.edges["activation"].messages
    assert 0.1 * everything.total.bytes < some.total.bytes < 0.8 * everything.total.bytes
    assert some.edges["observation"] == everything.edges["observation"]
