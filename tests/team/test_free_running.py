"""Asynchronous MAP propagation without a common tick: nobody waits for a slow unit, and the team learns all the same.

Nothing here is reproducible bit for bit, so nothing here compares bits but what was restored.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec, Rate, linked
from teamnet.errors import ActorLost, Diverged, NumericalError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team.executor import Executor, OutputReader
from teamnet.team.free_executor import FreeExecutor
from teamnet.team.partition import divide_all
from teamnet.team.state import split
from teamnet.team.worker import FreeWorker
from teamnet.training.run import Run
from teamnet.units.streams import initial_weights
from teamnet.units.unit import Snapshot
from tests.conftest import make_layers
from tests.team.executors import assert_same, drive, running_free, state_of

CARTPOLE = changed(
    preset("cartpole", "map-async"), hidden=(6,), env_steps=10**6, episodes=None, free_running=True,
    acting_steps=4, settle_steps=4,
)
TEAMS = [
    make_layers((3, 9, 6, 2), rows=2, schedule="free", settle_steps=4),
    make_layers((3, 5, 1), team="critic", family="gaussian", rows=2, schedule="free", settle_steps=6, acting_steps=2),
]
CONTINUOUS = [make_layers((3, 6, 5, 4), family="gaussian", rows=3, schedule="free", acting_steps=1, settle_steps=0)]
FLAT = [
    make_layers((3, 2), schedule="free", settle_steps=2),
    make_layers((3, 1), team="critic", family="gaussian", schedule="free", settle_steps=2),
]


@contextmanager
def _closing(executor: FreeExecutor):
    try:
        yield executor
    finally:
        executor.close()


def _until_all_take_part(executor: FreeExecutor, teams: list[list[LayerSpec]]) -> tuple[int, list[Snapshot]]:
    """Steps of a made-up task, until each unit has learned; returns their number, and the state of all units."""
    steps = 0
    while True:
        drive(executor, teams, 30, first=steps)
        steps += 30
        units = executor.snapshot()
        if all(unit["counters"][1] > 0 and np.any(unit["incoming.trace"]) for unit in units):
            return steps, units
        assert steps < 30_000


@pytest.mark.parametrize("teams", [TEAMS, CONTINUOUS, FLAT], ids=["two teams", "continuous", "no hidden"])
@pytest.mark.parametrize("grain", ["layer", "block:2"])
def test_every_unit_takes_part_and_can_be_paused(teams: list[list[LayerSpec]], grain: str):
    with _closing(running_free(teams, grain)) as executor:
        steps, units = _until_all_take_part(executor, teams)
        for unit, spec in zip(units, divide_all(teams, grain, 0), strict=True):
            assert np.isfinite(unit["incoming.value"]).all()
            if spec.layer.is_last:
                assert list(unit["counters"]) == [steps, steps - 1], "outputs see and learn from every observation"


def test_a_snapshot_restored_is_the_state_that_was_taken_and_goes_on():
    with _closing(running_free(TEAMS)) as executor:
        drive(executor, TEAMS, 25)
        state = state_of(executor, TEAMS, "layer")
    with _closing(running_free(TEAMS, "block:3")) as restored:
        restored.restore(split(divide_all(TEAMS, "block:3", 0), state), 25)
        assert_same(state_of(restored, TEAMS, "block:3"), state)
        drive(restored, TEAMS, 10, first=25)
        counters = state_of(restored, TEAMS, "block:3")["actor.3.counters"]
        assert list(counters) == [35, 34]


class Blocked(FreeWorker):
    """A worker whose hidden units do not begin before they are let go."""

    gate = threading.Event()

    def run(self, noise_steps: int) -> tuple[int, int, np.ndarray | None]:
        if not self._unit.spec.layer.is_last:
            self.gate.wait()
        return super().run(noise_steps)


def test_hidden_units_that_do_not_run_hold_up_nobody():
    Blocked.gate.clear()
    with _closing(running_free(TEAMS, worker=Blocked)) as executor:
        generator = np.random.default_rng(0)
        try:
            for _ in range(200):
                executor.act(generator.standard_normal((2, 3)), np.ones(2))
                executor.learn(generator.standard_normal(2))
            units = [worker._unit for worker in executor._pool._workers]
            seen = [int(unit.record["step"][0]) for unit in units]
            assert [count >= 199 for count in seen] == [unit.spec.layer.is_last for unit in units]
        finally:
            Blocked.gate.set()
        executor.pause()


def test_a_unit_that_was_away_starts_anew_with_the_episode_that_it_missed():
    Blocked.gate.clear()
    with _closing(running_free(TEAMS, worker=Blocked)) as executor:
        hidden = executor._pool._workers[0]._unit
        arrays = hidden._arrays
        arrays["activation"][:], arrays["incoming.trace"][:], arrays["decay"][:] = 1e6, 1e6, 1.0
        try:
            for number in range(6):
                executor.act(np.zeros((2, 3)), np.array([float(number != 2), 1.0]))
                executor.learn(np.zeros(2))
        finally:
            Blocked.gate.set()
        executor.act(np.zeros((2, 3)), np.ones(2))
        executor.learn(np.zeros(2))
        while hidden.record["noted"][0] < 7:  # before that a pause finds it with the decay that its trace is owed
            time.sleep(0.001)
        executor.pause()
        assert np.all(arrays["decay"] == 1.0)
        trace = hidden.snapshot()["incoming.trace"]
        assert np.abs(trace[0]).max() < 1e4
        assert trace[1].max() == pytest.approx(1e6 * TEAMS[0][0].trace_decay ** 7, rel=0.2)


def test_a_value_that_is_not_finite_stops_the_run():
    def drive_on(executor: Executor) -> None:
        for _ in range(10_000):
            executor.act(np.full((1, 3), 1e308), np.ones(1))
            executor.learn(np.ones(1))

    executor = running_free([make_layers((3, 4, 4, 2), function="linear", schedule="free")])
    with _closing(executor), pytest.raises(NumericalError, match="expected finite activations"):
        drive_on(executor)


def _learned(executor: FreeExecutor, teams: list[list[LayerSpec]], steps: int) -> float:
    """Name the sides on which points lie: the share of right ones in the last 20 batches, once it is above 0.85.

    By chance it gets there once in 10**30 windows. Before all units take part the output would learn by itself, until
    it always names the same side.
    """
    _until_all_take_part(executor, teams)
    generator, rows = np.random.default_rng(0), teams[0][0].rows
    reader = OutputReader(executor.board)
    right: deque[float] = deque(maxlen=20)
    reward, value = np.zeros(rows), np.zeros(rows)
    for _ in range(steps):
        side = generator.integers(2, size=rows)
        executor.act(np.stack([2.0 * side - 1.0, np.ones(rows)], axis=1), np.zeros(rows))
        executor.learn(reward - value)
        chosen = reader.output(0, executor._step - 1).argmax(axis=1)
        value[:] = reader.value(1)
        reward = np.where(chosen == side, 1.0, -1.0)
        right.append(float(np.mean(chosen == side)))
        if len(right) == 20 and np.mean(right) > 0.85:
            break
    return float(np.mean(right))


def _able_to_learn(feedback: str) -> list[list[LayerSpec]]:
    common = {
        "rows": 16, "schedule": "free", "acting_steps": 10, "settle_steps": 10, "trace_decay": 0.0,
        "feedback": feedback,
    }
    teams = [make_layers((2, 8, 6, 2), **common), make_layers((2, 8, 1), team="critic", family="gaussian", **common)]
    return [linked(team[0].fan_in, [replace(layer, rate=Rate(4e-3, 4e-3)) for layer in team]) for team in teams]


def _learned_or_diverged(teams: list[list[LayerSpec]]) -> float:
    with _closing(running_free(teams)) as executor, suppress(Diverged):
        return _learned(executor, teams, 6000)
    return 0.0


def test_it_learns_from_products_that_are_sent_down():
    """On a busy machine a unit may get no core for so long that the others diverge: one run in some hundred."""
    teams = _able_to_learn("backprojected")
    assert any(_learned_or_diverged(teams) > 0.85 for _ in range(3))


def test_it_learns_and_mirrors_stay_near_their_originals():
    teams = _able_to_learn("mirror")
    with _closing(running_free(teams)) as executor:
        assert _learned(executor, teams, 6000) > 0.85
        executor.pause()
        state = state_of(executor, teams, "layer")
        cosines, learned = [], []
        for unit, mirror in zip(divide_all(teams, "layer", 0), executor.mirrors(), strict=True):
            if not unit.layer.is_last:
                copy, original = mirror["value"], state[f"{unit.layer.team}.{unit.layer.number + 1}.incoming.value"]
                assert not np.array_equal(copy, original)
                cosines.append((copy * original).sum() / np.linalg.norm(copy) / np.linalg.norm(original))
                start = initial_weights(unit.layer, unit.layer.number + 1, *original.shape, 0)
                one, other = copy - start, original - start
                learned.append((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))
        assert np.mean(cosines) > 0.2
        assert np.mean(learned) > 0.2


@pytest.mark.parametrize(
    ("spec", "launch", "where"),
    [
        (changed(CARTPOLE, actor={"free_running": False}), LaunchSpec(), "actor.rule"),
        (CARTPOLE, LaunchSpec("local"), "backend"), (CARTPOLE, LaunchSpec(transport="ray"), "transport"),
    ],
)
def test_where_it_cannot_run_it_is_refused(spec, launch: LaunchSpec, where: str):
    with pytest.raises(SpecError) as refusal:
        Run(spec, launch)
    assert refusal.value.where == where


def _processes(run: Run) -> list[int]:
    import ray

    actors = run._executor._pool._actors
    return ray.get([actor.__ray_call__.remote(lambda worker: os.getpid()) for actor in actors])


def _all_gone(processes: list[int]) -> bool:
    for _ in range(200):
        if not any(Path(f"/proc/{process}").exists() for process in processes):
            return True
        time.sleep(0.1)
    return False


def test_a_stopped_actor_under_ray_holds_up_nobody_and_a_killed_one_is_noticed(shared_ray: None, tmp_path: Path):
    import ray

    run = Run(CARTPOLE, LaunchSpec())
    try:
        processes = _processes(run)
        assert len(processes) == 4
        run.advance(lambda: run.task.env_steps >= 30)
        os.kill(processes[0], signal.SIGSTOP)  # the actor's hidden layer
        try:
            before = run.task.env_steps
            while run.task.env_steps < before + 200:
                run.advance(lambda: run.task.env_steps >= before + 200)
            assert "T (stopped)" in Path(f"/proc/{processes[0]}/status").read_text()
        finally:
            os.kill(processes[0], signal.SIGCONT)
        run.save(tmp_path)
        assert run.state()["actor.1.counters"][1] < run.step - 150, "it has learned from few"
        ray.kill(run._executor._pool._actors[2])  # the critic's hidden layer
        with pytest.raises(ActorLost, match="expected all actors alive"):
            deque(iter(run.advance, None), maxlen=0)
    finally:
        run.close()
    assert _all_gone(processes)
    resumed = Run(CARTPOLE, LaunchSpec())
    try:
        step = resumed.load(next(tmp_path.glob("*.json")))["step"]
        while resumed.step < step + 20:
            resumed.advance(lambda: resumed.step >= step + 20)
    finally:
        resumed.close()
