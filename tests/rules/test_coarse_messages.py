"""Messages of few bits in a batch whose errors differ in size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teamnet import TeamAgent


@pytest.mark.parametrize("preset", ["tuned", "frugal"])
def test_an_error_that_is_rounded_to_zero_teaches_nothing(preset: str):
    """One scale for sixteen environments rounds some of the critic's errors to 0, by which its gate divides."""
    def learned(message_dtype: str) -> Any:
        options: Any = {"num_envs": 16, "message_dtype": message_dtype, "hidden": (8, 4), "seed": 1}
        with TeamAgent("cartpole", preset=preset, backend="local", **options) as agent:
            before = agent.state()["critic.1.incoming.value"]
            return agent.learn(env_steps=16 * 100).state()["critic.1.incoming.value"] - before

    coarse, exact = learned("int8"), learned("float64")
    assert 0.1 < np.linalg.norm(coarse) / np.linalg.norm(exact) < 10.0
