"""The distribution of the times of steps, beside NumPy's quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.run import Run
from teamnet.training.step_times import StepTimes

TIMES = st.lists(st.integers(0, 10**14), min_size=1, max_size=200)


@given(TIMES, st.floats(0.01, 1.0))
def test_quantiles_are_those_of_numpy_within_3_percent(times: list[int], share: float):
    found = StepTimes()
    for number, time in enumerate(times):
        found.add(time, number)
    expected = np.quantile(times, share, method="inverted_cdf") / 1e9
    assert found.quantile(share) == pytest.approx(expected, rel=0.032, abs=1e-9)


@given(TIMES)
def test_the_slowest_step_is_known_exactly(times: list[int]):
    found = StepTimes()
    for number, time in enumerate(times, 7):
        found.add(time, number)
    plain = found.as_plain()
    assert plain is not None
    assert plain["worst"] == max(times) / 1e9
    assert times[plain["worst_step"] - 7] == max(times)
    assert plain["median"] <= plain["p90"] <= plain["p99"] <= plain["worst"]


def test_without_a_step_there_is_no_distribution():
    assert StepTimes().as_plain() is None


def test_a_run_counts_every_step_and_a_step_takes_as_long_as_it_does():
    run = Run(changed(preset("cartpole"), hidden=(6, 4), env_steps=200, episodes=None), LaunchSpec("local"))
    assert run.ledger().step_times is None
    while not run.done:
        run.advance()
    times = run.ledger().step_times
    run.close()
    assert times is not None
    assert run.step * times["median"] * 0.5 < run.seconds, "half of the steps take at least the median"
    assert times["worst"] <= run.seconds
    assert 0 <= times["worst_step"] < run.step
