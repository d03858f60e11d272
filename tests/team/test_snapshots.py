"""Snapshots are taken while the units run, and are those of their step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pytest

from teamnet.errors import ActorLost
from teamnet.spec.layers import LayerSpec
from teamnet.team import partition
from teamnet.team.board_exchange import BoardExchange
from teamnet.team.exchange import Exchange
from teamnet.team.partition import divide_all
from teamnet.team.state import merge
from tests.team.exchanges import assert_same, local, running_free, signals, spread, state_of, threaded
from tests.team.test_same_bits import ALL, TEAMS

GRAIN = "block:4"
APART = (0, 1, 0, 1, 0, 1)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "_NOISE_STEPS", 3)  # so that noise is drawn anew between a copy and its fetching


def _step(exchange: Exchange, teams: Sequence[Sequence[LayerSpec]], step: int) -> None:
    observation, delta, keep = signals(teams[0][0], step)
    exchange.act(observation, keep)
    exchange.learn(delta)


def _started(teams: Sequence[Sequence[LayerSpec]], places: tuple[int, ...]) -> tuple[BoardExchange, str]:
    return (spread(teams, "layer", places), "layer") if places else (threaded(teams, GRAIN), GRAIN)


@pytest.mark.parametrize("places", [(), APART])
def test_nobody_stops_for_a_snapshot(places: tuple[int, ...]):
    alone, (team, grain) = local(TEAMS), _started(TEAMS, places)
    with closing(team):
        for step in range(20):
            for exchange in (alone, team):
                _step(exchange, TEAMS, step)
            running = team._running
            assert_same(state_of(team, TEAMS, grain), state_of(alone, TEAMS, "layer"))
            assert running
            assert team._running is running


@pytest.mark.parametrize(("teams", "places"), [
    *((teams, ()) for teams in ALL.values()), (TEAMS, APART),
], ids=[*ALL, "two nodes"])
def test_copies_are_those_of_their_step_however_late_they_are_fetched(
    teams: Sequence[Sequence[LayerSpec]], places: tuple[int, ...]
):
    alone, (team, grain) = local(teams), _started(teams, places)
    with closing(team):
        for late in (0, 1, 2, 7):
            first = team._step
            fetch = team.copy_after(first + 1)
            for exchange in (alone, team):
                _step(exchange, teams, first)
            expected = state_of(alone, teams, "layer")
            for step in range(first + 1, first + 1 + late):
                for exchange in (alone, team):
                    _step(exchange, teams, step)
            assert fetch
            assert_same(merge(divide_all(teams, grain, 0), fetch()), expected)
        assert_same(state_of(team, teams, grain), state_of(alone, teams, "layer"))


def test_copies_of_a_run_that_has_ended_are_a_lost_team():
    with closing(threaded(TEAMS, "layer")) as team:
        _step(team, TEAMS, 0)
        fetch = team.copy_after(9)
        team._nodes.abort()
        assert fetch
        with pytest.raises(ActorLost, match="expected a copy of every unit's state; found a run that has ended"):
            fetch()


def test_teams_without_a_step_in_common_make_no_copies():
    with closing(running_free(TEAMS)) as team:
        assert team.copy_after(1) is None
