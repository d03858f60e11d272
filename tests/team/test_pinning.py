"""Units on cores: which cores there are, who gets which, and what happens when another process takes one."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.errors import SpecError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.bench.measure import _spin
from teamnet.study.rates import advance
from teamnet.team import core_watch
from teamnet.team.core_watch import Account, account, busy_seconds, taken
from teamnet.team.cores import Claim, usable_cores
from teamnet.team.partition import divide_all
from teamnet.team.pinning import check_pin, mapped, share_out
from teamnet.training.run import Run
from teamnet.training.session import train
from tests.conftest import make_layers

TEAMS = [
    make_layers((3, 9, 6, 5, 2), rows=2), make_layers((3, 6, 4, 1), team="critic", family="gaussian", rows=2)
]
SMALL = replace(preset("cartpole"), hidden=(8, 6), env_steps=120, episodes=None)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Eight processors on four cores, of which the last two are on another NUMA node."""
    for number in range(8):
        topology = tmp_path / f"sys/devices/system/cpu/cpu{number}/topology"
        topology.mkdir(parents=True)
        core = number % 4
        (topology / "thread_siblings_list").write_text(f"{core},{core + 4}\n")
        (topology.parent / f"node{int(core < 2)}").mkdir()
    return tmp_path


@pytest.mark.parametrize(("allowed", "cores"), [
    (set(range(8)), [2, 3, 0, 1]), ({1, 4, 5, 6}, [6, 1, 4]), ({7}, [7]),
])
def test_a_core_counts_once(machine: Path, allowed: set[int], cores: list[int]):
    assert usable_cores(machine, allowed) == cores


def test_a_machine_that_tells_nothing_has_a_core_for_each_processor(tmp_path: Path):
    assert usable_cores(tmp_path, {0, 3}) == [0, 3]


def test_two_runs_do_not_take_the_same_cores(tmp_path: Path):
    first = Claim([0, 1, 2, 3], 2, tmp_path / "cores")
    second = Claim([0, 1, 2], 8, tmp_path / "cores")
    assert (first.cores, second.cores) == ([0, 1], [2])
    first.release(but=[1])
    with Claim([0, 1, 2, 3], 8, tmp_path / "cores") as third:
        assert third.cores == [0, 3]
    first.release()
    assert Claim([0, 1], 8, tmp_path / "cores").cores == [0, 1]
    assert not Claim([], 8, tmp_path / "none").cores
    assert not (tmp_path / "none").exists()


def test_no_core_is_claimed_through_a_link_or_where_no_file_can_be(tmp_path: Path):
    (tmp_path / "cores").mkdir()
    (tmp_path / "cores/0").symlink_to(tmp_path / "elsewhere")
    assert Claim([0, 1], 8, tmp_path / "cores").cores == [1]
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "file").touch()
    assert Claim([0], 8, tmp_path / "file").cores == []
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    assert Claim([0], 8, tmp_path / "linked").cores == []


@given(st.integers(0, 20), st.sampled_from(["layer", "block:2", "neuron"]), st.integers(0, 1), st.booleans())
def test_every_unit_gets_a_core_and_one_of_its_own_if_there_are_enough(
    count: int, grain: str, spare: int, large: bool
):
    rows = 50_000 if large else 1
    teams = [[replace(layer, rows=rows) for layer in team] for team in TEAMS]
    units, cores = divide_all(teams, grain, 0), list(range(10, 10 + count))
    found = share_out(units, cores, spare)
    if count < 2 or len(units) > 16 * count:
        assert found == []
        return
    assert len(found) == len(units)
    assert set(found) <= set(cores)
    if count >= len(units) + spare:
        assert len(set(found)) == len(units)
        return
    by_team = [{core for core, unit in zip(found, units, strict=True) if unit.layer.team == name}
               for name in ("actor", "critic")]
    assert not by_team[0] & by_team[1]
    if not large:
        assert [len(cores) for cores in by_team] == [1, 1], "waking a sleeper elsewhere takes longer than the work"
    elif count >= 4:
        assert all(len(cores) > 1 for cores in by_team)


def test_a_map_names_teams_and_layers():
    units = divide_all(TEAMS, "layer", 0)
    assert mapped("actor=1,critic.2=0", units, units, {0, 1}) == {0: 1, 1: 1, 2: 1, 3: 1, 5: 0}
    assert mapped("actor=7,critic.2=0", units[4:], units, {0, 1}) == {1: 0}, "a node has some units of the run"
    for pin in ("actor=2", "critic.9=0", "actor.1=0,actr=1"):
        with pytest.raises(SpecError) as refusal:
            mapped(pin, units, units, {0, 1})
        assert refusal.value.where == "pin"


@pytest.mark.parametrize(
    "pin", ["", "al", "actor", "actor=", "actor=x", "team=0", "actor.x=0", "actor=99999", "actor=0,"]
)
def test_what_is_no_map_is_refused(pin: str):
    with pytest.raises(SpecError) as refusal:
        check_pin(pin)
    assert refusal.value.where == "pin"
    check_pin("actor=0,critic.3=1")


def test_a_core_is_taken_for_as_long_as_a_unit_waited_for_no_other_unit():
    cores = {1: 0, 2: 0, 3: 1}
    before = dict.fromkeys(cores, Account(100, 50))
    alone = {1: Account(160, 90), 2: Account(140, 110), 3: Account(200, 50)}
    assert taken(before, alone, cores) == {0: 0, 1: 0}, "each waited for the other"
    others = {1: Account(110, 140), 2: Account(120, 130), 3: Account(100, 250)}
    assert taken(before, others, cores) == {0: 70, 1: 200}
    assert taken(before, {1: Account(110, 140)}, cores) == {0: 90, 1: 0}, "the others have ended"


def test_the_kernels_accounts_are_about_what_ran():
    thread, cores = os.getpid(), sorted(os.sched_getaffinity(0))
    before, busy, own = account(thread), busy_seconds(cores), time.process_time()
    while time.process_time() - own < 0.3:
        pass
    after = account(thread)
    assert before
    assert after
    assert 0.2e9 < after.ran - before.ran < 3e9
    assert busy_seconds(cores) - busy > 0.2
    assert account(2**22 + 1) is None


@pytest.fixture
def own_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests on this machine may hold its cores."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def busy_cores() -> Iterator[list[multiprocessing.Process]]:
    processes: list[multiprocessing.Process] = []
    yield processes
    for process in processes:
        process.kill()
        process.join()


def _affinities(run: Run) -> set[frozenset[int]]:
    return {frozenset(os.sched_getaffinity(thread)) for thread in run._executor._nodes._here._pinning._cores}


def _advance_until(run: Run, reached: bool, seconds: float = 40.0) -> None:
    """Train until the units are let go, or pinned again."""
    end = time.monotonic() + seconds
    while any(len(cores) > 1 for cores in _affinities(run)) is not reached:
        assert time.monotonic() < end
        advance(run, 20)


@pytest.mark.usefixtures("shared_ray", "own_claims")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one core there is nothing to choose")
def test_units_are_unpinned_while_others_use_their_cores(
    busy_cores: list[multiprocessing.Process], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(core_watch, "busy_seconds", lambda cores: 0.0)  # other tests keep this machine busy
    allowed = os.sched_getaffinity(0)
    run = Run(replace(SMALL, env_steps=10**9), LaunchSpec())
    try:
        assert "units on cores" in run.summary()["pinning"]
        for _ in range(len(allowed)):
            busy_cores.append(multiprocessing.get_context("spawn").Process(target=_spin, daemon=True))
            busy_cores[-1].start()
        _advance_until(run, True)
        used = set(run._executor._nodes._here._pinning._cores.values())
        elsewhere = allowed - used if len(allowed - used) >= len(used) else allowed
        assert _affinities(run) == {frozenset(elsewhere)}
        while busy_cores:
            process = busy_cores.pop()
            process.kill()
            process.join()
        monkeypatch.setattr(core_watch, "taken", lambda before, after, cores: {})  # nor do they unpin these again
        _advance_until(run, False)
        assert "unpinned" in run.summary()["pinning"]
    finally:
        run.close()
    with Claim(usable_cores(), 99) as claim:
        assert claim.cores == usable_cores(), "the cores are free again"


@pytest.mark.usefixtures("shared_ray", "own_claims")
def test_where_units_are_changes_no_bit():
    expected = train(SMALL, LaunchSpec("local"), None)[0]
    assert expected["pinning"] == "none"
    core = min(os.sched_getaffinity(0))
    for pin in ("auto", "none", f"actor={core},critic.2={core}"):
        found = train(SMALL, LaunchSpec(pin=pin), None)[0]
        assert found["digest"] == expected["digest"]
        assert found["communication"]["late_wakeups"] == 0
    with pytest.raises(SpecError) as refusal:
        train(SMALL, LaunchSpec(pin="actor=9999"), None)
    assert refusal.value.where == "pin"
