"""Settling with fewer exchanges: in between, units settle towards what their neighbours said last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import make_layers
from tests.team.executors import drive, local, state_of


def _state(**changes: object) -> dict[str, np.ndarray]:
    teams = [[replace(layer, rule=replace(layer.rule, **changes)) for layer in make_layers((3, 9, 6, 2), rows=2)]]
    executor = local(teams)
    drive(executor, teams, 1)
    return state_of(executor, teams, "layer")


def test_between_exchanges_a_unit_goes_all_the_way_to_what_its_neighbours_said():
    """``H <- H + s (m - H + v f)`` with fixed ``m`` and ``f`` is ``m + v f + (1 - s)^n (H_0 - m - v f)``."""
    size, steps = 0.3, 7
    one = _state(settle_steps=1, step_size=size)
    many = _state(settle_steps=steps, step_size=size, exchange_every=steps)
    acted = _state(settle_steps=0)
    for number in (1, 2):
        start = acted[f"actor.{number}.activation"]
        moved = one[f"actor.{number}.activation"] - start
        towards = start + moved / size  # m + v f
        expected = towards + (1 - size) ** steps * (start - towards)
        np.testing.assert_allclose(many[f"actor.{number}.activation"], expected, rtol=1e-9)


@pytest.mark.parametrize("every", [1, 2, 3, 50])
def test_many_steps_arrive_at_the_same_place_however_seldom_units_talk(every: int):
    often = _state(settle_steps=600)
    seldom = _state(settle_steps=600 * every, exchange_every=every)
    for name in ("actor.1.activation", "actor.2.activation", "actor.1.incoming.trace", "actor.3.incoming.trace"):
        np.testing.assert_allclose(seldom[name], often[name], rtol=1e-6, atol=1e-9)
