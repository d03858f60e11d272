"""Statistics of wrappers: kept in checkpoints, exact on resume, frozen in evaluation; and what cannot be kept."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.wrappers import NormalizeObservation, NormalizeReward
from gymnasium.wrappers.utils import RunningMeanStd

from teamnet import TeamAgent, TrainedPolicy
from teamnet.errors import CheckpointError, EnvironmentRefused, NumericalError, SpecError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.evaluate import EvaluationSettings, evaluate
from teamnet.training.checkpoint import load_checkpoint, newest_checkpoint
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train
from teamnet.training.statistics import Statistics

LOCAL = LaunchSpec("local")


class Centred(gymnasium.Wrapper):
    """Keeps a state of its own, by the two methods that checkpoints know."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.mean, self.training = [0.0] * 4, True

    def get_training_state(self) -> Any:
        return self.mean

    def set_training_state(self, state: Any) -> None:
        self.mean = state

    def _centre(self, observation: np.ndarray) -> np.ndarray:
        if self.training:
            self.mean = [0.99 * mean + 0.01 * float(value) for mean, value in zip(self.mean, observation, strict=True)]
        return observation - np.array(self.mean)

    def reset(self, **options: Any) -> Any:
        observation, info = self.env.reset(**options)
        return self._centre(observation), info

    def step(self, action: Any) -> Any:
        observation, *rest = self.env.step(action)
        return self._centre(observation), *rest


class Home(gymnasium.Wrapper):
    """Running means in a wrapper that nobody knows."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.own = RunningMeanStd(shape=(4,))

    def reset(self, **options: Any) -> Any:
        observation, info = self.env.reset(**options)
        self.own.update(observation[None])
        return observation - self.own.mean, info


class Late(NormalizeObservation):
    """Has its running means from the first reset on, and a table whose methods are called as their parts are."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        del self.obs_rms
        self.table = Table()

    def reset(self, **options: Any) -> Any:
        if "obs_rms" not in vars(self):
            self.obs_rms = RunningMeanStd(shape=(4,))
        return super().reset(**options)


class Table:
    """What pandas' tables have, and a remote client's answer to every name."""

    def __init__(self) -> None:
        self.count = 3

    def mean(self) -> float:
        raise AssertionError("nobody asked for it")

    var = mean

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asked for {name}")


class Freezing(Home):
    """The same, and it knows when not to learn."""

    update_running_mean = True

    def reset(self, **options: Any) -> Any:
        observation, info = self.env.reset(**options)
        if self.update_running_mean:
            self.own.update(observation[None])
        return observation - self.own.mean, info


class Counting(gymnasium.Wrapper):
    """Depends on how many episodes there were, which nobody can know."""

    episodes = 0

    def reset(self, **options: Any) -> Any:
        observation, info = self.env.reset(**options)
        self.episodes += 1
        return observation * self.episodes, info


WRAPPED = {
    "observation": lambda env: NormalizeObservation(env), "reward": lambda env: NormalizeReward(env),
    "both": lambda env: NormalizeReward(NormalizeObservation(env)), "own": Centred, "unknown": Home,
    "counting": Counting, "late": Late, "freezing": Freezing,
}


def _spec(name: str, **changes: Any):
    return replace(
        preset(f"teamnet/Wrapped-{name}-v0"), **{"hidden": (5,), "env_steps": 400, "episodes": None, **changes}
    )


@pytest.fixture(autouse=True)
def _registered():
    for name, wrapper in WRAPPED.items():
        gymnasium.register(
            f"teamnet/Wrapped-{name}-v0", lambda wrapper=wrapper, **options: wrapper(CartPoleEnv(**options)),
            max_episode_steps=50,
        )
    yield
    for name in WRAPPED:
        gymnasium.registry.pop(f"teamnet/Wrapped-{name}-v0")


@pytest.mark.parametrize("name", ["observation", "reward", "both", "own", "unknown", "late", "freezing"])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_resumed_run_is_the_run_that_never_stopped(name: str, rows: int, tmp_path: Path):
    spec = _spec(name, num_envs=rows)
    whole, _ = train(spec, LOCAL, tmp_path / "whole", saving=Saving(90))
    assert whole["resumable"]
    train(replace(spec, env_steps=170), LOCAL, tmp_path / "parts")
    summary, _ = resume(tmp_path / "parts", env_steps=400)
    assert summary["digest"] == whole["digest"]
    assert (tmp_path / "parts/metrics.jsonl").read_bytes() == (tmp_path / "whole/metrics.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["observation", "own", "late", "freezing"])
def test_statistics_are_those_of_training_and_frozen_in_evaluation(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train(_spec(name), LOCAL, tmp_path)
    about = load_checkpoint(newest_checkpoint(tmp_path))[1]
    seen: list[dict[str, Any]] = []
    close = gymnasium.Wrapper.close

    def closing(environment: gymnasium.Wrapper) -> None:
        if "Order" in type(environment).__name__ or "TimeLimit" in type(environment).__name__:
            seen.append(Statistics(environment).capture())
        close(environment)

    monkeypatch.setattr(gymnasium.Wrapper, "close", closing)
    evaluate(tmp_path, EvaluationSettings(3))
    assert about["statistics"]
    assert seen[0].keys() == about["statistics"].keys()
    assert seen[0] == about["statistics"], "after three episodes nothing has changed"


def test_evaluation_sees_what_training_saw(tmp_path: Path):
    """CartPole with normalised observations: a run that has learned keeps its return in evaluation."""
    spec = replace(preset("teamnet/Wrapped-observation-v0", "tuned"), episodes=150)
    summary, _ = train(spec, LOCAL, tmp_path, say=print)
    assert summary["mean_return"] > 30
    assert evaluate(tmp_path, EvaluationSettings(20)).mean > 40, "of at most 50"
    fresh = NormalizeObservation(CartPoleEnv())
    policy, returns = TrainedPolicy.load(tmp_path), []
    for seed in range(20):
        (observation, _), total, over = fresh.reset(seed=seed), 0, False
        while not over and total < 50:
            observation, _, over, _, _ = fresh.step(policy.predict(observation)[0])
            total += 1
        returns.append(total)
    with TeamAgent.load(tmp_path) as agent:
        environment = agent.make_environment()
        assert Statistics(environment).capture() == load_checkpoint(newest_checkpoint(tmp_path))[1]["statistics"]
        assert not environment.get_wrapper_attr("update_running_mean")
        environment.close()


def test_other_wrappers_than_in_training_are_refused(tmp_path: Path):
    train(_spec("observation"), LOCAL, tmp_path)
    gymnasium.registry["teamnet/Wrapped-observation-v0"].entry_point = CartPoleEnv
    with pytest.raises(CheckpointError) as refused:
        evaluate(tmp_path, EvaluationSettings(1))
    assert "NormalizeObservation" in refused.value.expected
    with pytest.raises(CheckpointError):
        resume(tmp_path, env_steps=500)


def test_what_cannot_be_kept_is_told_by_training_evaluation_and_loading(tmp_path: Path):
    messages: list[str] = []
    summary, _ = train(_spec("counting"), LOCAL, tmp_path, saving=Saving(100), say=messages.append)
    assert summary["resumable"] is False
    assert len([line for line in messages if "depends on more than" in line]) == 1
    messages.clear()
    evaluate(tmp_path, EvaluationSettings(1), messages.append)
    assert len([line for line in messages if "depends on more than" in line]) == 1
    with pytest.raises(CheckpointError):
        resume(tmp_path, env_steps=500)
    with pytest.warns(UserWarning, match="predicts, but does not learn"):
        agent = TeamAgent.load(tmp_path)
    with agent:
        assert agent.predict(np.zeros(4))[0] in (0, 1)
        assert agent.summary()["digest"] == summary["digest"]
        with pytest.raises(CheckpointError):
            agent.learn(env_steps=1)


def test_running_means_that_cannot_be_frozen_are_named(tmp_path: Path):
    messages: list[str] = []
    train(_spec("unknown"), LOCAL, tmp_path)
    evaluate(tmp_path, EvaluationSettings(1), messages.append)
    assert [line for line in messages if "Home" in line]
    messages.clear()
    train(_spec("freezing"), LOCAL, tmp_path / "freezing")
    evaluate(tmp_path / "freezing", EvaluationSettings(1), messages.append)
    assert not messages


def test_a_state_that_is_not_json_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Centred, "get_training_state", lambda self: object())
    with pytest.raises(EnvironmentRefused):
        train(_spec("own"), LOCAL, tmp_path)


def test_a_policy_needs_no_environment(tmp_path: Path):
    _summary, _ = train(_spec("observation"), LOCAL, tmp_path)
    with TeamAgent.load(tmp_path) as agent:
        expected = agent.predict(np.eye(4), deterministic=True)[0]
    gymnasium.registry.pop("teamnet/Wrapped-observation-v0")
    try:
        policy = TrainedPolicy.load(tmp_path)
        assert np.array_equal(policy.predict(np.eye(4), deterministic=True)[0], expected)
    finally:
        gymnasium.register("teamnet/Wrapped-observation-v0", CartPoleEnv)
    with pytest.raises(CheckpointError):
        TrainedPolicy.load(tmp_path / "none")


@pytest.mark.parametrize("task", ["cartpole", "mountaincar", "Pendulum-v1", "multiplexer", "regression"])
def test_a_loaded_policy_acts_as_the_agent_does(task: str, tmp_path: Path):
    with TeamAgent(task, backend="local", hidden=(4,), num_envs=2) as agent:
        agent.learn(env_steps=40)
        agent.save(tmp_path)
        size = agent._run.task.interface.observation_size
        observations = np.random.default_rng(1).standard_normal((6, size))
        for deterministic in (True, False):
            expected = agent.predict(observations, deterministic=deterministic)[0]
            found = TrainedPolicy.load(tmp_path).predict(observations, deterministic=deterministic)[0]
            if deterministic:
                assert np.array_equal(found, expected)
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


@pytest.mark.parametrize("observation", [
    np.zeros(3), np.zeros((2, 3)), np.zeros((1, 1, 4)), 0.5, [], [[1, 2], [3]], ["a"] * 4, np.zeros(4, complex), None,
    [None] * 4, {"a": 1},
])
def test_a_wrong_observation_is_refused(observation: Any):
    with TeamAgent("cartpole", backend="local", hidden=(3,)) as agent, pytest.raises(SpecError) as refused:
        agent.predict(observation)
    assert refused.value.where == "observation"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_observation_that_is_not_finite_gets_no_action(value: float):
    with TeamAgent("cartpole", backend="local", hidden=(3,)) as agent, pytest.raises(NumericalError) as refused:
        agent.predict([[0.0] * 4, [0.0, value, 0.0, 0.0]])
    assert refused.value.where == "observation"


class Endless(gymnasium.Env):
    """Never ends."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action: Any) -> Any:
        return self.np_random.uniform(-1.0, 1.0, 2), 1.0, False, False, {}


def test_evaluation_has_an_end(tmp_path: Path):
    gymnasium.register("teamnet/Endless-v0", Endless)
    try:
        train(replace(preset("teamnet/Endless-v0"), hidden=(3,), env_steps=30, episodes=None), LOCAL, tmp_path)
        result = evaluate(tmp_path, EvaluationSettings(2, max_steps=70))
        assert (result.lengths, result.cut) == ([70, 70], 2)
        with pytest.raises(SpecError) as refused:
            evaluate(tmp_path, EvaluationSettings(2, max_steps=0))
        assert refused.value.where == "max_steps"
    finally:
        gymnasium.registry.pop("teamnet/Endless-v0")


def test_a_task_of_one_step_has_no_video(tmp_path: Path):
    train(replace(preset("multiplexer"), address_bits=1, hidden=(3,), env_steps=256), LOCAL, tmp_path)
    with pytest.raises(SpecError) as refused:
        evaluate(tmp_path, EvaluationSettings(1, render=True))
    assert refused.value.where == "render"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert -1.0 <= evaluate(tmp_path, EvaluationSettings(3)).mean <= 1.0
