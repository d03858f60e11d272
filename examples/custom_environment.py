"""An environment of your own: a class, with its arguments and wrappers. Ids, factories and objects work alike."""

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.wrappers import RecordEpisodeStatistics

from teamnet import TeamAgent


class Corridor(gymnasium.Env[Any, Any]):
    """Walk to the right end; every step costs a little."""

    def __init__(self, length: int = 5, cost: float = 0.1) -> None:
        self.observation_space, self.action_space = spaces.Discrete(length), spaces.Discrete(2)
        self.length, self.cost, self.place = length, cost, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 0
        return self.place, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.place = max(0, min(self.length - 1, self.place + 2 * int(action) - 1))
        arrived = self.place == self.length - 1
        return self.place, float(arrived) - self.cost, arrived, False, {}


with TeamAgent(
    Corridor, env_kwargs={"length": 8}, wrappers=[RecordEpisodeStatistics], max_episode_steps=100,
    backend="local", hidden=(32,), num_envs=4, seed=1,
) as agent:
    agent.learn(env_steps=5_000)
    print(agent.summary())
    print("last returns:", agent.returns[-5:])
    print("first action:", agent.predict(0, deterministic=True)[0])
