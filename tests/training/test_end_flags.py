"""An episode that is terminated and truncated at once is terminated: its last reward is learned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.environments import Environments
from teamnet.training.run import Run


class BothFlags(gymnasium.Wrapper):
    """As old Gym's environments did it: done is done."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        done = terminated or truncated
        return observation, reward, done, done, info


class Bandit(gymnasium.Env):
    """One step; the right one of six actions pays 1."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(6)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.ones(1), {}

    def step(self, action: int) -> Any:
        return np.ones(1), float(action == 4), True, True, {}


@pytest.fixture(autouse=True)
def _registered():
    gymnasium.register("teamnet/Both-v0", lambda **options: BothFlags(CartPoleEnv(**options)), max_episode_steps=500)
    gymnasium.register("teamnet/Bandit-v0", Bandit)
    yield
    gymnasium.registry.pop("teamnet/Both-v0")
    gymnasium.registry.pop("teamnet/Bandit-v0")


def _returns(spec: Any) -> list[float]:
    run = Run(spec, LaunchSpec("local"))
    returns: list[float] = []
    while not run.done:
        returns += [episode.total for episode in run.advance()]
    run.close()
    return returns


def test_cartpole_that_sets_both_flags_is_learned():
    returns = _returns(replace(preset("teamnet/Both-v0", "tuned"), episodes=150))
    assert np.mean(returns) > 50, "11 where the fall is never learned"
    assert np.mean(returns[-50:]) > 100


def test_a_bandit_is_learned():
    returns = _returns(replace(preset("teamnet/Bandit-v0", "tuned"), episodes=1500, hidden=(16,)))
    assert np.mean(returns[-300:]) > 0.6, "chance is 1/6"


@pytest.mark.parametrize(("terminated", "truncated", "masked"), [
    (False, False, 0.0), (True, False, 0.0), (False, True, 1.0), (True, True, 0.0),
])
def test_only_a_truncation_outside_a_terminal_state_is_masked(terminated: bool, truncated: bool, masked: float):
    class Fixed(Bandit):
        def step(self, action: int) -> Any:
            return np.ones(1), 0.5, terminated, truncated, {}

    gymnasium.registry["teamnet/Bandit-v0"].entry_point = Fixed
    task = Environments(preset("teamnet/Bandit-v0"))
    task.begin()
    ended = task.step(np.eye(6)[:1])
    assert (task.outcome.masked[0], task.outcome.terminated[0]) == (masked, float(terminated))
    assert len(ended) == (terminated or truncated)
    task.close()


def test_a_time_limit_on_the_terminal_step_counts_as_terminal():
    """Gymnasium's own TimeLimit sets ``truncated`` on the step on which the pole falls."""
    lengths = {}
    for limit in (200, 0):
        gymnasium.registry["teamnet/Both-v0"].entry_point = CartPoleEnv
        gymnasium.registry["teamnet/Both-v0"].max_episode_steps = limit or lengths[200]
        task = Environments(replace(preset("teamnet/Both-v0"), seed=4))
        task.begin()
        ended, masked = [], 0.0
        while not ended:
            ended, masked = task.step(np.eye(2)[:1]), task.outcome.masked[0]
        lengths[limit] = ended[0].length
        assert (task.outcome.terminated[0], masked) == (1.0, 0.0)
        task.close()
    assert lengths[0] == lengths[200]
