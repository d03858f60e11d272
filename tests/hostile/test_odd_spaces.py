"""Environments of any spaces: those of numbers and choices are acted in as they say, others are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from teamnet.errors import EnvironmentRefused, ResourceError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.training.spaces import MOST_NUMBERS
from tests.hostile.law import cases, obey, run_to_the_end

NAME = "teamnet/OddSpaces-v0"
STEPS = 6


class OddSpaces(gymnasium.Env):
    """Is strict about its actions."""

    def __init__(self, both: tuple[Any, Any] | None = None) -> None:
        if both:
            self.observation_space, self.action_space = both

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self._observation(), {}

    def _observation(self) -> Any:
        box = isinstance(self.observation_space, spaces.Box)
        return np.zeros(self.observation_space.shape) if box else self.observation_space.sample()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        return self._observation(), 1.0, False, False, {}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register(NAME, OddSpaces, order_enforce=False)
    yield
    gymnasium.registry.pop(NAME)


FLOATS = st.sampled_from([0.0, -1.0, 1.0, -np.inf, np.inf, 1e30, -1e30, 0.1, 3.0])
EXTREMES = st.sampled_from([-1.7e308, 1.7e308, -1e308, 1e308, 5e-324])
INTEGERS = st.sampled_from([np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
SHAPES = st.sampled_from([(1,), (2,), (3,), (4,), (5,), (0,), (2, 2)])


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    """Boxes of any shape, with bounds that may be missing, equal, or as far as numbers go."""
    shape = draw(SHAPES)
    if draw(st.booleans()):
        low, high = sorted((draw(FLOATS | EXTREMES), draw(FLOATS | EXTREMES)))
        if low == np.inf or high == -np.inf:
            low, high = -np.inf, np.inf
        return spaces.Box(low, high, shape, np.float64)
    kind = draw(INTEGERS)
    full = np.iinfo(kind)
    return spaces.Box(full.min, full.max, shape, kind) if draw(st.booleans()) else spaces.Box(0, 7, shape, kind)


DISCRETE = st.builds(
    spaces.Discrete, st.sampled_from([1, 2, 3, 7, 2**40, 2**62]), start=st.sampled_from([0, -5, 2**40, -(2**62)])
)
OTHERS = st.sampled_from([
    None, 3, "Box", spaces.MultiBinary(3), spaces.MultiDiscrete([2, 3]), spaces.Dict({"a": spaces.Discrete(2)}),
    spaces.Tuple([spaces.Discrete(2)]), spaces.Text(3), spaces.Sequence(spaces.Discrete(2)), spaces.Discrete,
])


def _mostly(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 3).flatmap(lambda kind: usual if kind else other)


def test_any_spaces_are_acted_in_or_refused():
    outcomes: Counter[str] = Counter()

    @cases(150)
    @given(_mostly(boxes(), DISCRETE | OTHERS), _mostly(boxes() | DISCRETE, OTHERS))
    def check(observations: Any, actions: Any):
        gymnasium.registry[NAME].kwargs["both"] = observations, actions
        spec = changed(preset("CartPole-v1"), task=NAME, hidden=(3, 2), env_steps=STEPS, episodes=None, settle_steps=2)
        seen = spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete, spaces.Dict, spaces.Tuple
        good = isinstance(observations, seen) and 0 < spaces.flatdim(observations) <= MOST_NUMBERS
        flat = isinstance(actions, seen) and spaces.flatdim(actions) > 0
        huge = isinstance(actions, spaces.Discrete) and actions.n > 2**30
        summary, error = obey(lambda: run_to_the_end(spec), [NAME, "the teams"])
        if good and flat and not huge:
            assert error is None, error
            assert summary is not None
            assert (summary["env_steps"], summary["episodes"]) == (STEPS, 0)
        else:
            assert isinstance(error, ResourceError if good and huge else EnvironmentRefused), error
        outcomes["refused" if error else "right"] += 1

    check()
    assert min(outcomes.values()) > 15, outcomes
    assert len(outcomes) == 2


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint64])
def test_whole_numbers_at_the_ends_of_their_type_stay_in_the_space(kind: type[np.integer]):
    full = np.iinfo(kind)
    gymnasium.registry[NAME].kwargs["both"] = spaces.Box(-1, 1, (2,)), spaces.Box(full.min, full.max, (4,), kind)
    spec = replace(preset("CartPole-v1"), task=NAME, hidden=(3,), env_steps=STEPS, episodes=None, action_scale=1e300)
    assert run_to_the_end(spec)["env_steps"] == STEPS


def test_spaces_that_are_not_there_are_refused():
    _, error = obey(lambda: run_to_the_end(replace(preset("CartPole-v1"), task=NAME)), [NAME])
    assert isinstance(error, EnvironmentRefused)
