"""Episodes of a policy in an environment, without learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from teamnet.training.action_masks import mask_of
from teamnet.training.trained_policy import TrainedPolicy

MOST_STEPS = 100_000
"""Environment steps after which an episode is cut, if nothing else is given and the environment has no limit."""


@dataclass(frozen=True)
class Episodes:
    """The episodes of a policy.

    Args:
        returns, lengths: of each episode, the sum of its rewards and its environment steps.
        cut: episodes that were cut at the maximum number of steps.
    """

    returns: list[float]
    lengths: list[int]
    cut: int = 0

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float | None:
        """Standard deviation of the returns, with ``n - 1`` in the denominator; ``None`` for one episode."""
        return float(np.std(self.returns, ddof=1)) if len(self.returns) > 1 else None


def play(
    environment: gymnasium.Env[Any, Any], policy: TrainedPolicy, *, episodes: int, seed: int, greedy: bool,
    max_steps: int = MOST_STEPS, ask: Callable[..., Any] = lambda call, *arguments, **named: call(*arguments, **named),
) -> Episodes:
    """Let a policy act.

    Args:
        environment: of the policy.
        policy: acts.
        episodes: their number.
        seed: of the environment's first reset.
        greedy: take means and the most probable actions instead of samples.
        max_steps: environment steps after which an episode is cut.
        ask: calls the environment.
    """
    returns, lengths, cut = [], [], 0
    for number in range(episodes):
        observation, info = ask(environment.reset, seed=seed if number == 0 else None)
        total, length, over = 0.0, 0, False
        while not over and length < max_steps:
            valid = mask_of("environment", environment.action_space, info) if policy.masked else None
            action = policy.predict(observation, deterministic=greedy, action_masks=valid)[0]
            observation, reward, terminated, truncated, info = ask(environment.step, action)
            total, length, over = total + float(reward), length + 1, bool(terminated or truncated)
        returns.append(total)
        lengths.append(length)
        cut += not over
    return Episodes(returns, lengths, cut)
