"""What a step takes of its noise: never more than was drawn, and more of it is an error."""

from __future__ import annotations

import numpy as np
import pytest

from teamnet.errors import StepInterrupted
from teamnet.kernels.native import native
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.units.code import compiled_code
from teamnet.units.streams import RecordedNoise
from teamnet.units.unit import Unit
from tests.conftest import make_layers
from tests.team.executors import assert_same, drive, local, state_of

TEAMS = [make_layers((3, 5, 2), rows=3), make_layers((3, 5, 1), team="critic", family="gaussian", rows=3)]


def _act_again(executor: LocalExecutor, unit: int) -> None:
    native("teamnet.team.one_step", "run_step")(executor.units[unit].address, 0)


@pytest.mark.parametrize("unit", range(4))
def test_a_unit_that_took_more_than_was_drawn_refuses_to_go_on(unit: int):
    executor = local(TEAMS)
    drive(executor, TEAMS, 2)
    executor.units[unit].draw_noise(1)
    _act_again(executor, unit)
    executor.units[unit].snapshot()
    _act_again(executor, unit)
    for call in (executor.units[unit].snapshot, lambda: executor.units[unit].draw_noise(1)):
        with pytest.raises(StepInterrupted) as caught:
            call()
        assert caught.value.where == executor.units[unit].spec.name
    executor.close()


def test_a_checkpoint_leads_back():
    expected, executor = local(TEAMS), local(TEAMS)
    drive(expected, TEAMS, 2)
    drive(executor, TEAMS, 2)
    snapshots = [(unit.snapshot(), unit.mirror()) for unit in executor.units]
    executor.units[0].draw_noise(1)
    for _ in range(5):
        _act_again(executor, 0)
    executor.restore(snapshots, 2)
    for its in (expected, executor):
        drive(its, TEAMS, 3, first=2)
    assert_same(state_of(expected, TEAMS, "layer"), state_of(executor, TEAMS, "layer"))


def test_noise_of_another_shape_is_refused():
    spec = divide_all(TEAMS, "layer", 0)[0]
    unit = Unit(spec, compiled_code(spec.layer), RecordedNoise(np.zeros((4, 3, 4))))
    with pytest.raises(ValueError, match="reshape"):
        unit.draw_noise(4)
