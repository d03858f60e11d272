"""What users of Gymnasium and Stable-Baselines3 are used to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from teamnet import TeamAgent, TrainedPolicy, __version__
from teamnet.cli.counts import in_digits
from teamnet.errors import SpecError
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.spec.synonyms import SYNONYMS
from tests.commands import run_command

SMALL = {"hidden": (6, 4), "backend": "local", "env_steps": 300, "episodes": None}


def test_learning_without_numbers_goes_to_the_end_of_the_spec(tmp_path: Path):
    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(env_steps=50)
        assert agent.summary()["env_steps"] == 50
        path = agent.learn(episodes=2).save(tmp_path)
        with TeamAgent.load(path) as loaded:
            assert loaded.learn().summary()["env_steps"] == 300
        assert agent.learn().learn().summary()["env_steps"] == 300, "it is at its end"
        assert agent.learn(env_steps=7).summary()["env_steps"] == 307


def test_timesteps_are_environment_steps():
    with TeamAgent("cartpole", **SMALL) as agent:
        assert agent.learn(total_timesteps=60).summary()["env_steps"] == 60
        assert agent.learn(total_timesteps=0).summary()["env_steps"] == 60
        with pytest.raises(SpecError) as error:
            agent.learn(env_steps=3, total_timesteps=3)
    assert error.value.where == "total_timesteps"


def test_numbers_of_numpy_are_numbers():
    rates = np.array([1e-2, 1e-5, 1e-6])
    options = {"seed": np.int64(3), "hidden": np.array([6, 4]), "discount": np.float32(0.5), "actor": {"rates": rates}}
    plain = {"seed": 3, "hidden": (6, 4), "discount": 0.5, "actor": {"rates": tuple(rates.tolist())}}
    digests = []
    for each in (options, plain):
        with TeamAgent("cartpole", **(SMALL | each)) as agent:
            digests.append(agent.learn(env_steps=np.int32(40)).summary()["digest"])
    assert digests[0] == digests[1]


def test_the_return_of_every_episode_is_known():
    with TeamAgent("cartpole", **SMALL) as agent:
        assert agent.returns.shape == (0,)
        agent.learn(env_steps=100)
        first = agent.returns
        summary = agent.learn(env_steps=100).summary()
        assert np.array_equal(agent.returns[: len(first)], first)
        assert len(agent.returns) == summary["episodes"] > len(first)
        assert agent.returns.mean() == pytest.approx(summary["mean_return"])


def test_stable_baselines_evaluates_an_agent_and_a_policy(tmp_path: Path):
    from stable_baselines3.common.evaluation import evaluate_policy

    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(env_steps=20).save(tmp_path)
        for policy in (agent, TrainedPolicy.load(tmp_path)):
            with gymnasium.make("CartPole-v1") as environment:
                environment.reset(seed=1)
                evaluated: Any = policy  # its type hints ask for its own agents
                mean, _ = evaluate_policy(evaluated, environment, n_eval_episodes=3, warn=False)
            assert 8 <= mean <= 500


@pytest.mark.parametrize("name", ["learning_rate", "lr", "gamma", "total_timesteps", "net_arch", "n_envs"])
def test_options_of_other_libraries_are_refused_with_those_of_this_one(
    name: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SpecError) as error:
        TeamAgent("cartpole", **{name: 1})
    assert (error.value.where, error.value.remedy) == (name, SYNONYMS[name])
    _, err = run_command(capsys, "train", "cartpole", f"--{name.replace('_', '-')}", "1", code=2)
    assert err.startswith(f"teamnet: {name}: ")


def test_no_synonym_hides_an_option():
    assert not {*SYNONYMS} & {*RunSpec.__dataclass_fields__, *LaunchSpec.__dataclass_fields__}


def test_the_version(capsys: pytest.CaptureFixture[str]):
    assert run_command(capsys, "--version")[0] == f"teamnet {__version__}\n"


@pytest.mark.parametrize(("given", "expected"), [
    (["--env-steps", "1e6"], ["--env-steps", "1000000"]), (["--episodes=2.5E3"], ["--episodes=2500"]),
    (["--actor.settle-steps", "1e1"], ["--actor.settle-steps", "10"]),
    (["--save_every", "5e4"], ["--save_every", "50000"]),
    (["--env-steps", "1.5"], ["--env-steps", "1.5"]), (["--env-steps", "1.25e1"], ["--env-steps", "1.25e1"]),
    (["--out", "1e6"], ["--out", "1e6"]), (["--discount", "9e-1"], ["--discount", "9e-1"]), ([], []),
])
def test_counts_in_scientific_notation(given: list[str], expected: list[str]):
    assert in_digits(given) == expected


def test_an_agent_and_its_policy_show_what_they_are(tmp_path: Path):
    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2) as agent:
        shown = repr(agent.learn(env_steps=30).save(tmp_path) and agent)
        assert "cartpole by map" in shown
        assert "30 env steps" in shown
    assert "observations of 4" in repr(TrainedPolicy.load(tmp_path))
