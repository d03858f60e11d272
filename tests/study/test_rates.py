"""Timings on a machine whose host takes processor time away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study import rates
from teamnet.study.rates import ENDLESS, disturbance, timings
from teamnet.training.run import Run


@pytest.fixture
def run() -> Iterator[Run]:
    spec = changed(preset("cartpole"), hidden=(3,), settle_steps=1, env_steps=ENDLESS, episodes=None)
    its = Run(spec, LaunchSpec("local"))
    yield its
    its.close()


def _let_host_take(monkeypatch: pytest.MonkeyPatch, *shares: float) -> None:
    """During each timing; during those that follow as in the last one."""
    between = chain.from_iterable((0.0, share) for share in chain(shares, repeat(shares[-1])))
    monkeypatch.setattr(rates, "_stolen_share", lambda: next(between))


def test_disturbed_timings_are_made_again(run: Run, monkeypatch: pytest.MonkeyPatch):
    _let_host_take(monkeypatch, 0.3, 0.0, 0.5, 0.01, 0.9, 0.02, 0.0)
    assert [round(its.stolen, 6) for its in timings(run, 0.001, 3)] == [0.0, 0.01, 0.02]


def test_where_the_host_is_never_quiet_the_quietest_count(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates, "_PATIENCE", 0.0)
    _let_host_take(monkeypatch, 0.3, 0.4)
    found = timings(run, 0.001, 2)
    assert [round(its.stolen, 6) for its in found] == [0.3, 0.4]
    assert disturbance([{"stolen": its.stolen} for its in found]).startswith("During 2 of 2 measurements the host took")
    assert disturbance([{"stolen": 0.01}, {"stolen": None}]) == ""


def test_a_timing_is_as_long_as_asked_for(run: Run):
    for its in timings(run, 0.05, 2):
        assert 0.0 <= its.stolen <= 1.0
    before = run.seconds
    timings(run, 0.05, 1)
    assert run.seconds - before >= 2 * 0.05 * 0.5  # either may be faster than what came before
