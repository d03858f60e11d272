from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from teamnet.errors import EnvironmentRefused, NumericalError
from teamnet.spec.presets import ENVIRONMENTS, preset
from teamnet.training.action_map import ActionMap
from teamnet.training.environments import Environments
from teamnet.training.spaces import make_environment


class Scripted(gymnasium.Env):
    """Ends by truncation after three steps, by termination after the action 1, and misbehaves when told to."""

    observation_space = spaces.Box(-10, 10, (2,), np.float32)
    action_space = spaces.Discrete(3, start=5)

    def __init__(self, fault: str = "", **kwargs):
        self.fault, self.count = fault, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.array([self.np_random.uniform(), 0], np.float32), {}

    def step(self, action):
        self.count += 1
        observation = np.array([self.np_random.uniform(), self.count], np.float32)
        reward = 1.0
        if self.fault and self.count == 2:
            if self.fault == "raise":
                raise RuntimeError("out of order")
            if self.fault == "shape":
                observation = np.zeros(3, np.float32)
            elif self.fault == "reward":
                reward = float("inf")
            else:
                observation[0] = np.nan
        return observation, reward, action == 6, self.count == 3, {}


@pytest.fixture(autouse=True)
def _registered():
    gymnasium.register("teamnet/Scripted-v0", Scripted)
    yield
    gymnasium.registry.pop("teamnet/Scripted-v0")


def _outputs(actions: list[int], size: int) -> np.ndarray:
    return np.eye(size)[actions]


def test_the_scripted_environment_is_a_good_one():
    check_env(Scripted(), skip_render_check=True)


def test_next_step_autoreset_is_gymnasiums(generator: np.random.Generator):
    spec = replace(preset("cartpole"), num_envs=3, seed=5)
    ours = Environments(spec)
    ours.begin()
    theirs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make("CartPole-v1")] * 3, autoreset_mode=gymnasium.vector.AutoresetMode.NEXT_STEP
    )
    theirs.reset(seed=0)
    for env, row in zip(theirs.envs, ours._rows, strict=True):
        env.unwrapped.np_random.bit_generator.state = row.origin.generator
    observations, _ = theirs.reset()
    ended = 0
    for step in range(300):
        assert np.array_equal(ours.outcome.observation, observations), step
        actions = generator.integers(0, 2, 3)
        episodes = ours.step(_outputs(actions, 2))
        observations, rewards, terminated, truncated, _ = theirs.step(actions)
        assert np.array_equal(ours.outcome.reward, rewards)
        assert np.array_equal(ours.outcome.terminated.astype(bool), terminated)
        assert len(episodes) == (terminated | truncated).sum()
        ended += len(episodes)
    assert ended == ours.episodes > 10
    assert ours.env_steps == 900 - ended + sum(row.over for row in ours._rows)
    theirs.close()


def test_truncation_is_told_apart_from_termination():
    task = Environments(replace(preset("teamnet/Scripted-v0"), num_envs=2))
    task.begin()
    outcome = task.outcome
    assert outcome.masked.tolist() == [1, 1]
    assert outcome.keep.tolist() == [0, 0]
    task.step(_outputs([0, 1], 3))
    assert (outcome.terminated.tolist(), outcome.masked.tolist(), outcome.keep.tolist()) == ([0, 1], [0, 0], [1, 1])
    task.step(_outputs([0, 0], 3))
    assert (outcome.terminated.tolist(), outcome.masked.tolist(), outcome.keep.tolist()) == ([0, 0], [0, 1], [1, 0])
    assert outcome.reward.tolist() == [1, 0]
    episodes = task.step(_outputs([0, 0], 3))
    assert (outcome.terminated.tolist(), outcome.masked.tolist()) == ([0, 0], [1, 0])
    assert [(episode.total, episode.length) for episode in episodes] == [(3.0, 3)]


@pytest.mark.parametrize("task", [*ENVIRONMENTS.values(), "Pendulum-v1", "teamnet/Scripted-v0"])
def test_a_restored_batch_goes_on_exactly(task: str, generator: np.random.Generator):
    spec = replace(preset(task), num_envs=2)
    ours, restored = Environments(spec), Environments(spec)
    ours.begin()
    size = ours.interface.action_size

    def outputs() -> np.ndarray:
        if ours.interface.action_family == "categorical":
            return _outputs(generator.integers(0, size, 2), size)
        return generator.standard_normal((2, size))

    for _ in range(130):
        ours.step(outputs())
    restored.begin()
    restored.restore(ours.state())
    for name in ("observation", "reward", "terminated", "masked", "keep"):
        getattr(restored.outcome, name)[:] = getattr(ours.outcome, name)
    for _ in range(60):
        output = outputs()
        assert ours.step(output) == restored.step(output)
        assert np.array_equal(ours.outcome.observation, restored.outcome.observation)
    assert ours.env_steps == restored.env_steps


def test_an_unknown_environment_is_refused():
    with pytest.raises(EnvironmentRefused, match="expected a registered Gymnasium environment"):
        make_environment(replace(preset("CartPole-v1"), task="CartPoole-v1"))


def test_missing_box2d_is_refused_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    def make(*args: object, **kwargs: object):
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed")

    monkeypatch.setattr(gymnasium, "make", make)
    with pytest.raises(EnvironmentRefused, match=r"pip install 'gymnasium\[box2d\]'"):
        make_environment(preset("lunarlander"))


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("raise", EnvironmentRefused, "environment 0, step 1.*RuntimeError: out of order"),
        ("shape", EnvironmentRefused, "environment 0, step 1.*expected an observation of the promised shape"),
        ("nan", NumericalError, "observation, environment step 2.*nan"),
        ("reward", NumericalError, "reward, environment step 2.*inf"),
    ],
)
def test_a_misbehaving_environment_stops_the_run(fault: str, error: type[Exception], message: str):
    gymnasium.registry["teamnet/Scripted-v0"].kwargs["fault"] = fault
    task = Environments(preset("teamnet/Scripted-v0"))
    task.begin()
    task.step(_outputs([0], 3))
    with pytest.raises(error, match=message):
        task.step(_outputs([0], 3))


def test_actions_by_hand():
    discrete = ActionMap.of_space(preset("cartpole"), spaces.Discrete(3, start=5))
    assert discrete(np.array([0.0, 0.0, 1.0])) == 7
    mountaincar = ActionMap.of_space(preset("mountaincar"), spaces.Box(-1, 1, (1,)))
    assert mountaincar(np.array([-0.75])).tolist() == [-0.5]
    assert mountaincar(np.array([3.0])).tolist() == [1.0]
    spanning = ActionMap.of_space(preset("Pendulum-v1"), spaces.Box(-2, 6, (1,)))
    assert spanning(np.array([0.5])).tolist() == [4.0]
    unbounded = ActionMap.of_space(preset("Pendulum-v1"), spaces.Box(-np.inf, np.inf, (1,)))
    assert unbounded(np.array([17.0])).tolist() == [17.0]
