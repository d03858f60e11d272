"""Any Gymnasium environment with a flat Box observation and a Discrete or Box action; wrappers make others fit."""

from typing import Any

import gymnasium
from gymnasium.wrappers import FlattenObservation

from teamnet import TeamAgent


def make_lake(**options: Any) -> gymnasium.Env:
    return FlattenObservation(gymnasium.make("FrozenLake-v1", is_slippery=False, **options))


gymnasium.register("FlatFrozenLake-v0", make_lake)

with TeamAgent("FlatFrozenLake-v0", backend="local", hidden=(32,), num_envs=4, seed=1) as agent:
    agent.learn(env_steps=5_000)
    print(agent.summary())
    observation, _ = gymnasium.make("FlatFrozenLake-v0").reset(seed=0)
    print("first action:", agent.predict(observation, deterministic=True)[0])
