"""A short campaign, on every test run; ``make chaos`` is the long one."""

from __future__ import annotations

import random
from pathlib import Path

from tests.chaos.campaign import disturbed, reference
from tests.chaos.faults import ONE_MACHINE
from tests.chaos.worlds import OneMachine

STEPS = 7_000


def test_a_run_whose_actors_and_driver_are_killed_ends_as_one_that_nothing_disturbs(tmp_path: Path):
    kinds = {"two actors, the second while recovering": 2, "driver": 1, "actor stopped for a while": 1}
    faults = {name: (ONE_MACHINE[name][0], weight) for name, weight in kinds.items()}
    expected = reference(tmp_path / "calm", 3, STEPS, OneMachine())
    outcome, hit = disturbed(tmp_path / "run", 3, random.Random(4), 3, STEPS, OneMachine(), faults)
    assert hit.total() >= 1
    assert outcome[:3] == expected[:3]
    assert not expected.recoveries
    for its in outcome.recoveries:
        assert its["replayed_env_steps"] <= 1_100, "never more than since the newest checkpoint"
