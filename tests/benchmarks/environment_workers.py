"""``make bench-env-workers``: from which cost of a step processes for environments pay; nothing else should run."""

from __future__ import annotations

import statistics
import time
from typing import Any

from gymnasium.envs.classic_control import CartPoleEnv

from teamnet import TeamAgent
from teamnet.team.cores import usable_cores

COSTS = 0.0, 0.05e-3, 0.1e-3, 0.2e-3, 0.5e-3, 1e-3, 5e-3
"""Seconds that a step computes beside CartPole's own."""
ROWS, REPEATS, SECONDS = 8, 5, 1.0


class Costly(CartPoleEnv):
    """CartPole whose step computes longer."""

    def __init__(self, cost: float = 0.0) -> None:
        super().__init__()
        self.cost = cost

    def step(self, action: Any) -> Any:
        end = time.perf_counter() + self.cost
        while time.perf_counter() < end:
            pass
        return super().step(action)


def _rate(agent: TeamAgent) -> float:
    """Environment steps in a second."""
    begun, steps = time.perf_counter(), agent.summary()["env_steps"]
    while time.perf_counter() < begun + SECONDS:
        agent.learn(env_steps=10 * ROWS)
    return (agent.summary()["env_steps"] - steps) / (time.perf_counter() - begun)


def main() -> None:
    """Print a table: the median of alternating runs."""
    workers = len(usable_cores())
    print(f"CartPole by frugal, {ROWS} environments, in one process, and in {workers} processes of their own\n")
    print("| step, ms | one process, steps/s | workers, steps/s | ratio |")
    print("| ---: | ---: | ---: | ---: |")
    for cost in COSTS:
        options: dict[str, Any] = {
            "preset": "frugal", "backend": "local", "num_envs": ROWS, "env_kwargs": {"cost": cost},
        }
        with TeamAgent(Costly, **options) as alone, TeamAgent(Costly, env_workers=workers, **options) as spread:
            _rate(alone), _rate(spread)
            rates = [(_rate(alone), _rate(spread)) for _ in range(REPEATS)]
        one, many = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"| {1e3 * cost:.2f} | {one:,.0f} | {many:,.0f} | {many / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
