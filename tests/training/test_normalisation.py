"""Running means of observations and rewards: as Gymnasium's wrappers, kept by checkpoints, used by policies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import NormalizeObservation, NormalizeReward

from teamnet import TeamAgent, TrainedPolicy
from teamnet.errors import CheckpointError, NumericalError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.training.environments import Environments
from tests.commands import run_command

SMALL: dict[str, Any] = {"backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3}
BOTH = {"normalise_observations": True, "normalise_rewards": True}


def _spec(**options: Any) -> Any:
    return changed(preset("mountaincar"), **{"action_scale": None, "action_offset": None, "seed": 5, **options})


def test_one_environment_is_normalised_as_gymnasiums_wrappers_do_it():
    spec = _spec(**BOTH, discount=0.9)
    ours, raw = Environments(spec), Environments(_spec())
    wrapped = NormalizeReward(NormalizeObservation(gymnasium.make("MountainCarContinuous-v0")), gamma=0.9)
    generator = np.random.default_rng(1)
    ours.begin()
    raw.begin()
    wrapped.reset(seed=ours._rows[0].place.environment.np_random_seed)
    wrapped.get_wrapper_attr("obs_rms").mean[:] = 0.0  # the reset that seeds is not an observation of the run
    observation_moments = wrapped.env.obs_rms  # type: ignore[attr-defined]  # of NormalizeObservation
    observation_moments.mean, observation_moments.var, observation_moments.count = np.zeros(2), np.ones(2), 1e-4
    expected, _ = wrapped.reset()
    np.testing.assert_allclose(ours.outcome.observation[0], expected, rtol=1e-6)  # theirs is float32
    for _ in range(300):
        output = generator.standard_normal((1, 1))
        action = ours.actions(output[0])
        ours.step(output)
        raw.step(output)
        expected, reward, *_ = wrapped.step(action)
        np.testing.assert_allclose(ours.outcome.observation[0], expected, rtol=1e-6, atol=1e-6)
        assert ours.outcome.reward[0] == pytest.approx(reward, rel=1e-6)
        assert ours._rows[0].total == raw._rows[0].total, "returns are those of the environment"


@pytest.mark.parametrize("rows", [1, 3])
def test_a_scale_multiplies_observations_in_training_in_policies_and_after_resuming(rows: int, tmp_path: Path):
    scale, unclipped = (0.5, 30.0), {"action_scale": 0.01, "action_offset": 0.0}
    ours, raw = (Environments(_spec(num_envs=rows, **more)) for more in ({"observation_scale": scale}, {}))
    for environments in (ours, raw):
        environments.begin()
        for step in range(20):
            environments.step(np.random.default_rng(step).standard_normal((rows, 1)))
    np.testing.assert_array_equal(ours.outcome.observation, raw.outcome.observation * [0.5, 30.0])
    np.testing.assert_array_equal(ours.replayed(), ours.outcome.observation)
    with TeamAgent("mountaincar", num_envs=rows, observation_scale=scale, **unclipped, **SMALL) as agent:
        agent.learn(env_steps=200).save(tmp_path)
        observation, _ = agent.make_environment().reset(seed=1)
        action = agent.predict(observation, deterministic=True)[0]
        digest = agent.learn(env_steps=100).summary()["digest"]
    policy = TrainedPolicy.load(tmp_path)
    assert policy.predict(observation, deterministic=True)[0] == action
    with pytest.raises(NumericalError):
        policy.predict([0.0, 1e308])
    with TeamAgent.load(tmp_path) as loaded:
        assert loaded.predict(observation, deterministic=True)[0] == action
        assert loaded.learn(env_steps=100).summary()["digest"] == digest


@pytest.mark.parametrize("options", [
    {"observation_scale": (1.0,)}, {"observation_scale": (1.0, 0.0)}, {"observation_scale": (1.0, float("nan"))},
    {"observation_scale": (1.0, 2.0), "normalise_observations": True},
])
def test_a_scale_that_does_not_fit_is_refused(options: Any):
    with pytest.raises(SpecError) as refusal:
        TeamAgent("mountaincar", **options, **SMALL)
    assert refusal.value.where.startswith("observation_scale")


def test_all_rows_share_one_mean():
    spec = _spec(num_envs=3, normalise_observations=True)
    ours, raw = Environments(spec), Environments(_spec(num_envs=3))
    seen = []
    ours.begin()
    raw.begin()
    for _ in range(50):
        seen.append(raw.outcome.observation.copy())
        output = np.random.default_rng(len(seen)).standard_normal((3, 1))
        ours.step(output)
        raw.step(output)
    seen.append(raw.outcome.observation.copy())
    every = np.concatenate(seen)
    moments = ours.normalisation._observations
    np.testing.assert_allclose(moments.mean, every.mean(0), atol=1e-5)
    np.testing.assert_allclose(moments.var, every.var(0), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_resumed_run_and_its_policy_have_the_same_means(rows: int, tmp_path: Path):
    unclipped = {"action_scale": 0.01, "action_offset": 0.0}
    with TeamAgent("mountaincar", num_envs=rows, **unclipped, **BOTH, **SMALL) as agent:
        agent.learn(env_steps=200)
        agent.save(tmp_path)
        observation, _ = agent.make_environment().reset(seed=1)
        action = agent.predict(observation, deterministic=True)[0]
        assert agent.learn(env_steps=100).predict(observation, deterministic=True)[0] != action
        digest = agent.summary()["digest"]
    assert TrainedPolicy.load(tmp_path).predict(observation, deterministic=True)[0] == action
    with TeamAgent.load(tmp_path) as loaded:
        assert loaded.predict(observation, deterministic=True)[0] == action
        assert loaded.learn(env_steps=100).summary()["digest"] == digest
    with TeamAgent("mountaincar", num_envs=rows, **unclipped, **SMALL) as other:
        assert other.learn(env_steps=300).summary()["digest"] != digest


def test_eval_uses_the_means_and_leaves_them(tmp_path: Path, capsys: Any):
    run_command(capsys, "train", "cartpole", "--backend", "local", "--hidden", 4, "--env-steps", 300,
                "--normalise-observations", "--out", tmp_path)
    found = []
    for _ in range(2):
        out, _ = run_command(capsys, "eval", tmp_path, "--episodes", 3, "--json")
        found.append(json.loads(out)["returns"])
    assert found[0] == found[1]
    policy, environment = TrainedPolicy.load(tmp_path), gymnasium.make("CartPole-v1")
    observation, _ = environment.reset(seed=0)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = environment.step(policy.predict(observation)[0])
        total, over = total + float(reward), terminated or truncated
    assert total == found[0][0]


@pytest.mark.parametrize("damage", [
    {}, {"observations": 3, "sums": [0.0]},
    {"observations": {"mean": [0.0], "var": [1.0], "count": 1.0}, "sums": [0.0]},
    {"observations": {"mean": [0.0, float("nan")], "var": [1.0, 1.0], "count": 1.0}, "sums": [0.0]},
])
def test_damaged_means_are_refused(damage: Any):
    environments = Environments(_spec(normalise_observations=True))
    environments.begin()
    state = environments.state()
    with pytest.raises(CheckpointError):
        environments.restore({**state, "normalisation": damage})
    environments.restore(state)


def test_tasks_of_one_step_and_other_names_are_refused():
    for options, where in (
        ({"normalise_rewards": True}, "normalise_rewards"), ({"normalize_rewards": True}, "normalize_rewards"),
    ):
        with pytest.raises(SpecError) as refusal:
            TeamAgent("multiplexer", backend="local", **options)
        assert refusal.value.where == where
    assert replace(preset("cartpole")).normalise_observations is False
