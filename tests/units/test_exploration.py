"""REINFORCE in which a part of the hidden units explores: the others take their mean and get no update."""

from __future__ import annotations

import numpy as np
import pytest

from teamnet.dataflow.layers import UnitSpec
from teamnet.units.streams import KeyedNoise
from tests.conftest import make_layers
from tests.team.executors import drive, local, state_of


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 1.0])
def test_the_share_of_units_that_explore(share: float):
    layer = make_layers((3, 6, 2), rows=2, exploration=share)[0]
    noise = KeyedNoise(UnitSpec(layer, 0, 6, seed=3)).block(5000)
    found = (noise != 0.0).mean()
    assert abs(found - share) <= 4 * np.sqrt(share * (1 - share) / noise.size)
    if share > 0:
        assert noise[noise != 0.0].std() == pytest.approx(1.0, abs=0.02)


def test_output_units_always_explore():
    output = make_layers((3, 6, 2), family="gaussian", exploration=0.0)[1]
    assert (KeyedNoise(UnitSpec(output, 0, 2, seed=3)).block(100) != 0.0).all()


def test_rewinding_and_blocks_change_nothing_where_a_share_explores():
    unit = UnitSpec(make_layers((3, 6, 2), exploration=0.3)[0], 1, 5, 7)
    whole, parts = KeyedNoise(unit).block(30), KeyedNoise(unit)
    assert np.array_equal(np.concatenate([parts.block(7), parts.block(5)]), whole[:12])
    parts.block(9)
    parts.restore(parts.state_after(4))
    other = KeyedNoise(unit)
    other.restore(parts.state())
    assert np.array_equal(other.block(14), whole[16:])


def test_a_unit_that_does_not_explore_takes_its_mean_and_gets_no_update():
    teams = [make_layers((3, 40, 2), settle_steps=0, exploration=0.5)]
    executor = local(teams)
    drive(executor, teams, 1)
    state = state_of(executor, teams, "layer")
    explored = state["actor.1.activation"][0] != state["actor.1.mean"][0]
    assert 8 <= explored.sum() <= 32
    trace = np.abs(state["actor.1.incoming.trace"][0]).max(axis=0)
    assert (trace[explored] > 0).all()
    assert (trace[~explored] == 0).all()
