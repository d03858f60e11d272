"""A run that loses units takes up its newest checkpoint by itself, and ends as if nothing had happened."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from teamnet.errors import (
    ActorLost,
    CheckpointError,
    Diverged,
    LinkLost,
    LinkRefused,
    ResourceError,
    TeamnetError,
)
from teamnet.kernels.constants import BROKEN
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team import executor
from teamnet.team.board_executor import BoardExecutor
from teamnet.team.executor import failed
from teamnet.training.checkpoint import load_checkpoint, newest_checkpoint, spec_of_checkpoint
from teamnet.training.metrics import Extent, MetricsFile
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train
from tests.chaos.processes import CALLED, UNIT, actors, descendants, is_dead, left_after

SPEC = replace(preset("cartpole"), hidden=(6,), env_steps=700, episodes=None, seed=11)
LOCAL = LaunchSpec("local")


class Losing:
    """Makes a run lose its team at some environment steps, once each or for ever."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, steps: list[int], *, beyond_mending: type[TeamnetError] | None = None
    ) -> None:
        self.left = list(steps)
        advance, remedy = Run.advance, Run.repair

        def losing(run: Run, *arguments):
            if self.left and run.task.env_steps >= self.left[0]:
                self.left.pop(0)
                raise ActorLost("team", expected="all actors alive", found="a test", remedy="")
            return advance(run, *arguments)

        def mending(run: Run, path: Path):
            if beyond_mending:
                raise beyond_mending("team", expected="some actors alive", found="none", remedy="")
            return remedy(run, path)

        monkeypatch.setattr(Run, "advance", losing)
        monkeypatch.setattr(Run, "repair", mending)


class Full(io.BytesIO):
    """A file for which the disk has no room."""

    name = "metrics.jsonl"

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def seek(self, *place: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Drifting(gymnasium.Env):
    """Tells how often it has been asked in this process, which its generator and actions do not bring back."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    asked = 0

    def _observe(self) -> np.ndarray:
        Drifting.asked += 1
        return np.full(2, 1.0 / Drifting.asked)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action):
        observation = self._observe()
        return observation, 1.0, Drifting.asked % 30 == 0, False, {}


class Sole(Drifting):
    """There can be only one at a time."""

    there = 0

    def __init__(self, **kwargs):
        if Sole.there:
            raise RuntimeError("the port is taken")
        Sole.there += 1

    def close(self):
        Sole.there -= 1


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    folder = tmp_path_factory.mktemp("calm")
    summary, _ = train(SPEC, LOCAL, folder, saving=Saving(100))
    return summary["digest"], (folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("beyond_mending", [None, ActorLost, LinkLost, LinkRefused])
def test_the_end_is_the_same_and_no_line_is_missing_or_there_twice(
    beyond_mending: type[TeamnetError] | None, calm: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    Losing(monkeypatch, [20, 150, 150, 333, 560], beyond_mending=beyond_mending)
    said: list[str] = []
    summary, interrupted = train(SPEC, LOCAL, tmp_path, saving=Saving(100), say=said.append)
    assert (summary["digest"], (tmp_path / "metrics.jsonl").read_bytes()) == calm
    assert not interrupted
    assert len(summary["recoveries"]) == 5
    assert summary["recoveries"][0]["how"] == "a new team", "there was no checkpoint yet"
    hows = {its["how"] for its in summary["recoveries"][1:]}
    assert hows == ({"a new team"} if beyond_mending else {"the same units"})
    assert all(0 <= its["replayed_env_steps"] <= 210 for its in summary["recoveries"])
    assert sum("environment steps are done again" in line for line in said) == 5


def test_a_run_that_gets_no_further_gives_up_with_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    losing = Losing(monkeypatch, [150] * 9)
    with pytest.raises(ActorLost, match="found a test"):
        train(SPEC, LOCAL, tmp_path, saving=Saving(100, recoveries=3))
    assert len(losing.left) == 9 - 4


@pytest.mark.parametrize(("out", "recoveries"), [(True, 0), (False, 10)])
def test_without_a_folder_or_without_leave_nothing_is_mended(
    out: bool, recoveries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    Losing(monkeypatch, [150])
    with pytest.raises(ActorLost):
        train(SPEC, LOCAL, tmp_path if out else None, saving=Saving(100, recoveries=recoveries))


def _wild(rate: float) -> RunSpec:
    assert SPEC.actor is not None
    return replace(SPEC, actor=replace(SPEC.actor, rates=(rate, rate), final_rates=(rate, rate)), divergence_retries=3)


def test_a_run_that_diverges_goes_back_with_smaller_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    advance, left = Run.advance, [350, 420]

    def diverging(run: Run, *arguments):
        if left and run.task.env_steps >= left[0]:
            left.pop(0)
            raise failed(BROKEN, run.units[0], run.step, np.zeros(0))
        return advance(run, *arguments)

    monkeypatch.setattr(Run, "advance", diverging)
    summary, _ = train(replace(SPEC, divergence_retries=3), LOCAL, tmp_path, saving=Saving(100))
    assert summary["env_steps"] == 700
    assert [its["how"] for its in summary["recoveries"]] == ["half the step size and half the learning rates"] * 2
    assert [its["replayed_env_steps"] < 110 for its in summary["recoveries"]] == [True, True]
    resolved = json.loads((tmp_path / "spec.json").read_text())["spec"]
    assert (resolved["rule"]["settings"]["step_size"], resolved["divergence_retries"]) == (SPEC.rule.step_size / 4, 1)
    assert SPEC.actor
    assert SPEC.critic
    for name, team in (("actor", SPEC.actor), ("critic", SPEC.critic)):
        for rates in ("rates", "final_rates"):
            assert resolved[name][rates][0] == getattr(team, rates)[0] / 4
    found, _ = spec_of_checkpoint(newest_checkpoint(tmp_path))
    assert found.rule.step_size == SPEC.rule.step_size / 4, "who resumes has the smaller steps too"
    numbers = [json.loads(line)["episode"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_run_that_diverges_again_and_again_says_where_and_what_it_last_saw(tmp_path: Path):
    message = r"layer \d neurons .*, step \d+: expected finite activations; found NaN or infinity.*(was|between)"
    with pytest.raises(Diverged, match=message):
        train(_wild(1e300), LOCAL, tmp_path, saving=Saving(100))
    written = json.loads((tmp_path / "spec.json").read_text())["spec"]
    assert written["divergence_retries"] == 0, "three times it was halved"
    with pytest.raises(Diverged):
        train(replace(_wild(1e300), divergence_retries=0), LOCAL, tmp_path / "at once")
    kept = json.loads((tmp_path / "at once" / "spec.json").read_text())["spec"]
    assert kept["rule"]["settings"]["step_size"] == SPEC.rule.step_size


def test_metrics_that_find_no_room_end_the_run_and_nothing_is_lost(
    calm: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    extent, left = MetricsFile.extent, [0, 0, 0]

    def full(its: MetricsFile) -> Extent:
        if not left:
            its.close()
            its._file = Full()
        else:
            left.pop()
        return extent(its)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "extent", full)
        with pytest.raises(ResourceError, match="metrics.jsonl: expected room for .*No space left.*teamnet resume"):
            train(SPEC, LOCAL, tmp_path, saving=Saving(100))
    summary, _ = resume(tmp_path, saving=Saving(100))
    assert (summary["digest"], (tmp_path / "metrics.jsonl").read_bytes()) == calm


def test_metrics_that_find_no_room_while_a_run_goes_back_are_named(tmp_path: Path):
    metrics = MetricsFile(tmp_path)
    metrics._file.close()
    metrics._file = Full()
    run = Run(SPEC, LOCAL)
    with pytest.raises(ResourceError, match="metrics.jsonl: expected room for .*No space left.*teamnet resume"):
        metrics.rewind(run, {})
    run.close()


def test_metrics_that_are_shorter_than_a_checkpoint_knows_are_refused(tmp_path: Path):
    train(SPEC, LOCAL, tmp_path, saving=Saving(100))
    (tmp_path / "metrics.jsonl").write_bytes((tmp_path / "metrics.jsonl").read_bytes()[:40])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(CheckpointError, match="40 bytes") as refused:
        resume(tmp_path, env_steps=800)
    assert refused.value.where == str(tmp_path / "metrics.jsonl")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_drafts_of_a_killed_driver_are_removed(tmp_path: Path):
    train(replace(SPEC, env_steps=100), LOCAL, tmp_path)
    run = json.loads((tmp_path / "spec.json").read_text())["run"]
    (tmp_path / f".checkpoint-000000000200-{run}.json.{run}.0a1b2c3d.draft").touch()
    (tmp_path / f".summary.json.{run}.0a1b2c3d.draft").touch()
    others = [".summary.json.bak", ".summary.json.0123456789ab.0a1b2c3d.draft", ".writable", ".x.json.4711"]
    for name in others:
        (tmp_path / name).touch()
    resume(tmp_path, env_steps=150)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == sorted(others)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped for good"])
def test_an_actor_that_is_gone_is_replaced_under_ray(
    fault: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_ray: None
):
    if fault == signal.SIGSTOP:  # a killed one is noticed at once, and a slow machine is silent for a while too
        monkeypatch.setattr(executor, "SILENCE", 8.0)
    monkeypatch.setattr(executor, "PATIENCE", 2.0)
    spec = replace(SPEC, env_steps=1_000)
    expected = train(spec, LOCAL, tmp_path / "calm")[0]
    hit: list[int] = []

    def harm() -> None:
        while not list((tmp_path / "run").glob("checkpoint-*.json")):
            time.sleep(0.01)
        hit.append(actors(descendants(os.getpid()))[1])
        os.kill(hit[0], fault)

    thread = threading.Thread(target=harm)
    thread.start()
    summary, _ = train(spec, LaunchSpec(), tmp_path / "run", saving=Saving(200))
    thread.join()
    assert summary["digest"] == expected["digest"]
    (recovery,) = summary["recoveries"]
    assert recovery["how"] == "1 new units"
    assert hit[0] not in actors(descendants(os.getpid())), "nobody keeps a stopped process"


def test_who_dies_within_a_step_is_missed_at_once(monkeypatch: pytest.MonkeyPatch, shared_ray: None):
    monkeypatch.setattr(executor, "SILENCE", 20.0)
    run, learn = Run(SPEC, LaunchSpec()), BoardExecutor.learn

    def learn_bereaved(its: BoardExecutor, delta: np.ndarray) -> None:
        if run.step == 19:
            unit = actors(descendants(os.getpid()))[1]
            os.kill(unit, signal.SIGKILL)
            while not is_dead(unit):
                time.sleep(0.01)
        learn(its, delta)

    monkeypatch.setattr(BoardExecutor, "learn", learn_bereaved)
    try:
        run.advance(lambda: run.step == 20)
        with pytest.raises(ActorLost, match="expected all actors alive"):
            run.pause()
    finally:
        run.close()


@pytest.mark.parametrize(("transport", "kind", "asked"), [
    ("board", UNIT, Run.state), ("board", UNIT, Run.ledger), ("board", UNIT, lambda run: run.trace(3)),
    ("ray", CALLED, lambda run: run.advance(lambda: False)), ("ray", CALLED, Run.ledger),
])
def test_whatever_is_asked_of_a_stopped_actor_ends(
    transport: str, kind: str, asked: Callable[[Run], object], monkeypatch: pytest.MonkeyPatch, shared_ray: None
):
    run = Run(SPEC, LaunchSpec(transport=transport))
    try:
        run.advance(lambda: run.task.env_steps >= 5)
        run.pause()
        there = {number: line for number, line in descendants(os.getpid()).items() if line.startswith(kind)}
        monkeypatch.setattr(executor, "SILENCE", 1.0)
        os.kill(actors(there, kind)[1], signal.SIGSTOP)
        with pytest.raises(ActorLost, match="expected an answer of every unit; found none for 1 s"):
            asked(run)
    finally:
        run.close()
    assert not left_after(there, 10.0)


@pytest.mark.parametrize("environment", [Drifting, Sole])
def test_an_environment_that_does_not_come_back_is_named_with_the_first_checkpoint(
    environment: type[gymnasium.Env], tmp_path: Path
):
    gymnasium.register("teamnet/Drifting-v0", environment)
    said: list[str] = []
    spec = replace(preset("teamnet/Drifting-v0"), hidden=(6,), num_envs=1, env_steps=450, episodes=None)
    try:
        summary, _ = train(spec, LOCAL, tmp_path, saving=Saving(100, keep=9), say=said.append)
        with pytest.raises(CheckpointError, match="expected an environment that .* back to the same observation"):
            resume(tmp_path, env_steps=500)
    finally:
        gymnasium.registry.pop("teamnet/Drifting-v0")
    assert summary["resumable"] is False
    assert len([line for line in said if line.startswith("teamnet/Drifting-v0 depends on more than")]) == 1
    assert load_checkpoint(newest_checkpoint(tmp_path))[1]["replayable"] is False


def test_a_usual_environment_comes_back_and_a_run_without_a_folder_cannot_be_resumed(tmp_path: Path):
    said: list[str] = []
    assert train(SPEC, LOCAL, tmp_path, saving=Saving(100), say=said.append)[0]["resumable"] is True
    assert train(SPEC, LOCAL, None)[0]["resumable"] is False
    assert not [line for line in said if "depends on more" in line]
