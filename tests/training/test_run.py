"""Whole runs: the same result everywhere, learning to a threshold, saving and resuming."""

from __future__ import annotations

import collections
import json
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from teamnet import TeamAgent
from teamnet.errors import ActorLost, CheckpointError, NumericalError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.checkpoint import checksum, load_checkpoint, newest_checkpoint
from teamnet.training.run import Run
from teamnet.training.saving import IfPresent, Saving
from teamnet.training.session import resume, train
from tests.team.executors import assert_same

SMALL = replace(preset("cartpole"), hidden=(6, 4), env_steps=400, episodes=None, seed=3)
LOCAL = LaunchSpec("local")

pytestmark = pytest.mark.usefixtures("shared_ray")


def _result(spec: RunSpec, launch: LaunchSpec) -> tuple[str, list[float], dict]:
    run = Run(spec, launch)
    returns = []
    try:
        while not run.done:
            returns += [episode.total for episode in run.advance()]
        summary = run.summary()
    finally:
        run.close()
    return summary["digest"], returns, summary


@pytest.mark.parametrize(
    ("spec", "launch"),
    [
        (replace(SMALL, env_steps=150), LaunchSpec(grain="layer")),
        (replace(SMALL, env_steps=150), LaunchSpec(grain="block:3")),
        (replace(SMALL, env_steps=120, num_envs=2), LaunchSpec(grain="neuron")),
        (replace(SMALL, env_steps=60), LaunchSpec(transport="ray")),
        (replace(preset("multiplexer"), env_steps=1280, address_bits=2), LaunchSpec(grain="block:16")),
        (replace(preset("regression"), env_steps=1280), LaunchSpec()),
        (changed(SMALL, schedule="sweeps", settle_steps=2, env_steps=200), LaunchSpec(grain="block:3")),
        (changed(SMALL, schedule="sweeps", settle_steps=2, env_steps=60), LaunchSpec(transport="ray")),
        (changed(SMALL, rule="backprop", exploration=0.5, entropy=0.1, env_steps=200), LaunchSpec()),
        (changed(SMALL, rule="map-async", env_steps=100), LaunchSpec()),
    ],
    ids=[
        "layer", "block", "neuron", "ray transport", "multiplexer", "regression", "sweeps", "sweeps by ray transport",
        "backpropagation", "asynchronous",
    ],
)
def test_ray_gives_the_same_digest_and_returns_as_local(spec: RunSpec, launch: LaunchSpec):
    digest, returns, summary = _result(spec, launch)
    local_digest, local_returns, local_summary = _result(spec, LOCAL)
    assert (digest, returns) == (local_digest, local_returns)
    assert summary["env_steps"] == local_summary["env_steps"]
    assert summary["mean_return"] == local_summary["mean_return"]
    assert summary["actors"] > 0 == local_summary["actors"]


def test_the_seed_and_the_spec_change_the_digest():
    digests = {_result(spec, LOCAL)[0] for spec in (SMALL, replace(SMALL, seed=4), replace(SMALL, discount=0.9))}
    assert len(digests) == 3


def test_cartpole_is_learned():
    _, returns, _ = _result(replace(preset("cartpole"), episodes=80), LOCAL)
    assert np.mean(returns[:10]) < 60
    assert np.mean(returns[40:]) > 200


def test_the_multiplexer_is_learned():
    _, means, summary = _result(replace(preset("multiplexer"), address_bits=2, env_steps=128_000), LOCAL)
    assert means[0] < 0.8
    assert means[-1] > 0.95
    assert summary["episodes"] == 128_000


def test_reinforce_learns_the_multiplexer_more_slowly():
    spec = replace(preset("multiplexer"), address_bits=2, env_steps=64_000)
    _, map_means, _ = _result(spec, LOCAL)
    _, reinforce_means, _ = _result(changed(spec, rule="reinforce"), LOCAL)
    assert reinforce_means[-1] < map_means[-1]
    assert _result(changed(spec, env_steps=1280, rule="reinforce"), LOCAL)[0] == _result(
        changed(spec, env_steps=1280, settle_steps=0), LOCAL
    )[0]


def test_regression_is_learned():
    _, means, _ = _result(replace(preset("regression"), env_steps=128_000), LOCAL)
    assert means[-1] > means[0] / 3 > -10


@pytest.mark.parametrize("hidden", [(), (5,), (7, 6, 5)])
def test_any_depth_spreads_the_presets_values(hidden: tuple[int, ...]):
    run = Run(replace(preset("mountaincar"), hidden=hidden, env_steps=5), LOCAL)
    assert run.spec.actor is not None
    assert run.spec.actor.variances == ((0.03,) + (0.1,) * (len(hidden) - 1) if hidden else ()) + (0.5,)
    assert len(run.spec.actor.rates) == len(hidden) + 1
    assert run.spec.actor.rates[-1] == 4e-8
    run.close()


def _train(out: Path, spec: RunSpec, save_every: int = 10**9) -> dict:
    return train(spec, LOCAL, out, saving=Saving(save_every))[0]


@pytest.mark.parametrize("task", ["cartpole", "lunarlander", "multiplexer"])
def test_a_resumed_run_is_the_run_that_never_stopped(task: str, tmp_path: Path):
    whole = replace(preset(task), hidden=(6, 4), env_steps=15_000 if task == "multiplexer" else 700, episodes=None)
    half = replace(whole, env_steps=whole.env_steps // 2)
    expected = _train(tmp_path / "whole", whole)
    _train(tmp_path / "parts", half)
    summary, _ = resume(tmp_path / "parts", env_steps=whole.env_steps, episodes=None, saving=Saving(10**9))
    for key in ("digest", "mean_return", "env_steps", "episodes"):
        assert summary[key] == expected[key], key
    assert (tmp_path / "parts/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()
    states = [load_checkpoint(newest_checkpoint(tmp_path / name))[0] for name in ("whole", "parts")]
    assert_same(*states)


def test_resuming_under_ray_changes_no_bit(tmp_path: Path):
    expected = _train(tmp_path / "whole", SMALL)
    _train(tmp_path / "parts", replace(SMALL, env_steps=150))
    summary, _ = resume(
        tmp_path / "parts", env_steps=400, episodes=None, saving=Saving(100),
        launch_changes={"backend": "ray", "grain": "block:4"},
    )
    assert summary["digest"] == expected["digest"]
    assert (tmp_path / "parts/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_resuming_from_an_older_checkpoint_writes_no_line_twice(tmp_path: Path):
    expected = _train(tmp_path / "whole", SMALL)
    _train(tmp_path / "run", SMALL, save_every=150)
    newest = newest_checkpoint(tmp_path / "run")
    newest.unlink()
    newest.with_suffix(".safetensors").unlink()
    summary, _ = resume(tmp_path / "run", env_steps=None, episodes=None, saving=Saving(10**9))
    assert summary["digest"] == expected["digest"]
    assert (tmp_path / "run/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_the_folder_holds_everything(tmp_path: Path):
    summary = _train(tmp_path, SMALL)
    written = json.loads((tmp_path / "summary.json").read_text())
    assert {name: value for name, value in written.items() if name not in ("run", "metrics")} == summary
    for path in (tmp_path / "spec.json", newest_checkpoint(tmp_path)):
        assert json.loads(path.read_text())["run"] == written["run"]
    assert json.loads((tmp_path / "spec.json").read_text())["spec"]["hidden"] == [6, 4]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["episode"] for line in lines] == list(range(1, summary["episodes"] + 1))
    assert np.mean([line["return"] for line in lines]) == pytest.approx(summary["mean_return"])
    assert sum(line["length"] for line in lines) <= summary["env_steps"]
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents*"))


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_checkpoint_is_refused(cut: int, tmp_path: Path):
    _train(tmp_path, replace(SMALL, env_steps=20))
    path = newest_checkpoint(tmp_path)
    for file, message in ((path.with_suffix(".safetensors"), "other bytes"), (path, "expected a whole checkpoint")):
        whole = file.read_bytes()
        file.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(path)
        file.write_bytes(whole)
    load_checkpoint(path)


def test_a_checkpoint_of_another_spec_or_a_newer_format_is_refused(tmp_path: Path):
    _train(tmp_path, replace(SMALL, env_steps=20))
    path = newest_checkpoint(tmp_path)
    run = Run(replace(SMALL, discount=0.5), LOCAL)
    with pytest.raises(CheckpointError, match=r"expected discount = 0.5; found discount = 0.98"):
        run.load(path)
    run.close()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 4}))
    with pytest.raises(CheckpointError, match="expected format 3; found format 4"):
        load_checkpoint(path)


def test_a_checkpoint_of_before_a_field_was_added_is_taken_up(tmp_path: Path):
    _train(tmp_path, replace(SMALL, env_steps=20))
    path = newest_checkpoint(tmp_path)
    about = json.loads(path.read_text())
    del about["spec"]["messages"], about["spec"]["actor"]["exploration"], about["checksum"]
    path.write_text(json.dumps(about | {"checksum": checksum(about)}))
    run = Run(SMALL, LOCAL)
    run.load(path)
    assert run.task.env_steps == 20
    run.close()


def test_an_empty_folder_cannot_be_resumed(tmp_path: Path):
    with pytest.raises(CheckpointError, match="expected a folder with a checkpoint; found none"):
        resume(tmp_path, env_steps=None, episodes=None, saving=Saving(1))


def test_training_without_a_folder_goes_past_the_checkpoint_interval():
    summary, interrupted = train(SMALL, LOCAL, None, saving=Saving(50))
    assert (summary["env_steps"], interrupted) == (400, False)


def test_a_new_run_replaces_an_older_one_in_its_folder(tmp_path: Path):
    _train(tmp_path, SMALL)
    short, _ = train(
        replace(SMALL, env_steps=60), LOCAL, tmp_path, saving=Saving(25), if_present=IfPresent.OVERWRITE
    )
    assert load_checkpoint(newest_checkpoint(tmp_path))[1]["task"]["env_steps"] == 60
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == short["episodes"]
    summary, _ = resume(tmp_path, env_steps=400, episodes=None, saving=Saving(10**9))
    assert summary["digest"] == _result(SMALL, LOCAL)[0]
    assert summary["seconds"] > short["seconds"]


@pytest.mark.parametrize(
    ("out", "save_every", "message"), [("file", 1, "out: expected a folder"), ("a", 0, "save_every")]
)
def test_a_bad_folder_or_interval_is_refused(out: str, save_every: int, message: str, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match=message):
        train(SMALL, LOCAL, tmp_path / out, saving=Saving(save_every))


def test_a_missing_team_is_refused():
    with pytest.raises(SpecError, match="critic: expected an actor and a critic"):
        TeamAgent("cartpole", backend="local", critic=None)


class Exploding(gymnasium.Env):
    """Observations grow until the activations overflow, but stay finite themselves."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.size = 1.0
        return np.full(2, self.size), {}

    def step(self, action):
        self.size *= 1e40
        return np.full(2, min(self.size, 1e308)), 0.0, False, False, {}


@pytest.mark.parametrize("launch", [LOCAL, LaunchSpec()], ids=["local", "ray"])
def test_an_activation_that_is_not_finite_stops_the_run_and_names_the_unit(launch: LaunchSpec, tmp_path: Path):
    gymnasium.register("teamnet/Exploding-v0", Exploding)
    try:
        spec = replace(preset("teamnet/Exploding-v0"), hidden=(4,), function="linear", env_steps=100, episodes=None)
        with pytest.raises(NumericalError, match=r"(layer \d neurons|TD error).*step \d+.*expected finite"):
            train(spec, launch, tmp_path, saving=Saving(2))
        assert load_checkpoint(newest_checkpoint(tmp_path))[1]["step"] >= 2
    finally:
        gymnasium.registry.pop("teamnet/Exploding-v0")


def test_a_killed_actor_is_noticed():
    import ray

    run = Run(replace(SMALL, env_steps=10**6), LaunchSpec())
    try:
        run.advance(lambda: run.task.env_steps >= 50)
        ray.kill(run._executor._pool._actors[2])
        with pytest.raises(ActorLost, match="expected all actors alive"):
            collections.deque(iter(run.advance, None), maxlen=0)
    finally:
        run.close()


def test_an_actor_killed_within_a_step_does_not_hang_a_pause():
    import ray

    run = Run(replace(SMALL, env_steps=10**6), LaunchSpec())
    try:
        run.advance(lambda: run.task.env_steps >= 50)
        ray.kill(run._executor._pool._actors[1])
        with pytest.raises(ActorLost, match="expected all actors alive"):
            run.state()
    finally:
        run.close()


def test_the_agent_learns_predicts_saves_and_loads(tmp_path: Path):
    with TeamAgent("cartpole", backend="local", hidden=(6, 4), seed=3) as agent:
        agent.learn(env_steps=200)
        assert agent.summary()["env_steps"] == 200
        action, state = agent.predict(np.zeros(4), deterministic=True)
        assert action in (0, 1)
        assert state is None
        assert agent.predict(np.zeros((5, 4)))[0].shape == (5,)
        agent.save(tmp_path)
        with TeamAgent.load(tmp_path) as loaded:
            assert_same(loaded.state(), agent.state())
            observations = np.random.default_rng(0).standard_normal((20, 4))
            expected = agent.predict(observations, deterministic=True)[0]
            assert np.array_equal(loaded.predict(observations, deterministic=True)[0], expected)
            loaded.learn(env_steps=200)
            agent.learn(env_steps=200)
            assert loaded.summary()["digest"] == agent.summary()["digest"] == _result(SMALL, LOCAL)[0]


def test_the_agent_refuses_what_it_does_not_know(tmp_path: Path):
    with TeamAgent("cartpole", backend="local", hidden=(6,)) as agent:
        with pytest.raises(SpecError, match="env_steps: expected a whole number from 0"):
            agent.learn(env_steps=-3)
        agent.save(tmp_path)
    with pytest.raises(SpecError, match="backed: expected a known option; found 'backed'. Did you mean 'backend'"):
        TeamAgent.load(tmp_path, backed="local")
