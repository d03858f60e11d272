"""Masks of invalid actions mean what Gymnasium's do; the masked policy has the score and the frequencies of theory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from teamnet import TeamAgent, TrainedPolicy
from teamnet.callbacks import Evaluation
from teamnet.errors import EnvironmentRefused, SpecError
from teamnet.training.action_masks import mask_of
from teamnet.training.flat_actions import choices_of, flat_actions
from tests.conftest import make_layers
from tests.team.executors import local

SMALL: dict[str, Any] = {
    "backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3, "num_envs": 2, "mask_actions": True,
}
PRESETS = ["map", "tuned", "frugal", "map-async", "reinforce", "backprop", "weight-max"]
SPACES = {
    "Discrete": spaces.Discrete(5, start=-2), "MultiDiscrete": spaces.MultiDiscrete([3, 2, 4], start=[0, 5, -1]),
    "square": spaces.MultiDiscrete([[2, 3], [4, 2]]),
    "Dict": spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2, 2])])),
}


class Masked(gymnasium.Env[Any, Any]):
    """Random masks; an invalid action is an error. The state tells the first valid action, which pays."""

    def __init__(self, actions: spaces.Space[Any] = SPACES["Discrete"]) -> None:
        self.observation_space, self.action_space = spaces.Box(-1.0, 1.0, (3,)), actions
        flat = flat_actions(actions)
        assert flat is not None
        self._sizes = choices_of(flat)
        self.steps = 0

    def _answer(self) -> Any:
        self.valid = [np.zeros(size, np.int8) for size in self._sizes]
        for agent in self.valid:
            agent[self.np_random.choice(len(agent), self.np_random.integers(1, len(agent) + 1), replace=False)] = 1
        given = self.valid[0] if len(self.valid) == 1 else tuple(self.valid)
        return self.np_random.uniform(-1, 1, 3), {"action_mask": given}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._answer()

    def step(self, action: Any) -> Any:
        start = getattr(self.action_space, "start", 0)
        chosen = np.ravel(action - start)
        assert all(agent[place] for agent, place in zip(self.valid, chosen, strict=True)), f"{action} is invalid"
        self.steps += 1
        observation, info = self._answer()
        if over := self.steps == 15:
            info = {"action_mask": np.zeros_like(info["action_mask"])} if len(self.valid) == 1 else info
        return observation, float(chosen[0] % 2), over, False, info


def _gymnasium_mask(space: spaces.Space[Any], generator: np.random.Generator) -> Any:
    """A random mask as a space's own ``sample`` takes it; sometimes ``None``."""
    if isinstance(space, spaces.Dict):
        return {name: _gymnasium_mask(member, generator) for name, member in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_gymnasium_mask(member, generator) for member in space.spaces)
    if generator.random() < 0.2:
        return None
    if isinstance(space, spaces.MultiBinary):
        return generator.integers(0, 3, space.shape).astype(np.int8)
    agents = [generator.integers(0, 2, size).astype(np.int8) for size in choices_of(space)]
    for agent in agents:
        agent[generator.integers(len(agent))] = 1
    if isinstance(space, spaces.Discrete):
        return agents[0]
    if space.shape == (2, 2):
        return tuple(tuple(agents[2 * row : 2 * row + 2]) for row in range(2))
    return tuple(agents)


@pytest.mark.parametrize("kind", SPACES)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_a_mask_allows_what_gymnasium_samples(kind: str, seed: int):
    space = SPACES[kind]
    generator = np.random.default_rng(seed)
    mask = _gymnasium_mask(space, generator)
    found = mask_of("X", space, {"action_mask": mask})
    flat = flat_actions(space)
    assert flat is not None
    sizes = choices_of(flat)
    seen = [np.zeros(size) for size in sizes]
    space.seed(seed)
    for _ in range(300):
        places = _places(space, space.sample(mask=mask))
        for agent, place in zip(seen, places, strict=True):
            agent[place] = 1.0
    np.testing.assert_array_equal(found, np.concatenate(seen))


def _places(space: spaces.Space[Any], action: Any) -> list[int]:
    """The category of each agent."""
    if isinstance(space, spaces.Dict):
        return [place for name, member in space.spaces.items() for place in _places(member, action[name])]
    if isinstance(space, spaces.Tuple):
        return [place for member, part in zip(space.spaces, action, strict=True) for place in _places(member, part)]
    return [int(number) for number in np.ravel(action - getattr(space, "start", 0))]


CHOICES = (3, 2, 4)
VALID = np.array([[1, 0, 1, 0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0, 1, 0, 1]], float)


def _log_probability(preactivation: np.ndarray, valid: np.ndarray, activation: np.ndarray, *, fixed: bool) -> float:
    """The sum over agents of the logarithm of the softmax over valid categories of what each has chosen."""
    total, first = 0.0, 0
    for size in CHOICES:
        part = slice(first, first + size)
        scores = preactivation[part].copy()
        if fixed:
            scores[-1] = 0.0
        scores /= 2.0
        total += scores[activation[part] == 1.0][0] - np.log(np.exp(scores[valid[part] == 1.0]).sum())
        first += size
    return total


@pytest.mark.parametrize(("schedule", "family"), [
    ("jacobi", "categorical"), ("sweeps", "categorical"), ("reinforce", "categorical"), ("backprop", "categorical"),
    ("weight-max", "reference"),
])
def test_the_score_is_the_derivative_of_the_masked_log_probability(schedule: str, family: str):
    layers = make_layers((3, 6, 5, sum(CHOICES)), rows=2, schedule=schedule, family=family)
    layers = [*layers[:-1], replace(layers[-1], choices=CHOICES, masked=True)]
    if schedule == "weight-max":
        layers = [replace(layer, family="bernoulli") if not layer.is_last else layer for layer in layers]
    executor = local([layers])
    unit = executor.units[-1]
    generator = np.random.default_rng(3)
    for _ in range(5):
        executor.act(generator.standard_normal((2, 3)), np.ones(2), VALID)
        executor.learn(generator.standard_normal(2))
    activation, mean, error = (unit._arrays[name] for name in ("activation", "mean", "error"))
    assert (mean[VALID == 0.0] == 0.0).all()
    assert (activation[VALID == 0.0] == 0.0).all()
    for row in range(2):
        valid = VALID[row]
        preactivation = np.where(valid == 1.0, unit._arrays["preactivation"][row], 0.3)
        for j in range(sum(CHOICES)):
            found = []
            for shift in (1e-5, -1e-5):
                shifted = preactivation.copy()
                shifted[j] += shift
                found.append(_log_probability(shifted, valid, activation[row], fixed=family == "reference"))
            assert error[row, j] == pytest.approx((found[0] - found[1]) / 2e-5, abs=1e-8)
    executor.close()


def test_samples_have_the_frequencies_of_the_softmax_over_valid_actions():
    layers = make_layers((3, 4, 5), rows=8000, schedule="reinforce", family="categorical")
    executor = local([[*layers[:-1], replace(layers[-1], masked=True)]])
    valid = np.tile([1.0, 0.0, 1.0, 1.0, 0.0], (8000, 1))
    executor.act(np.tile([0.5, -1.0, 2.0], (8000, 1)), np.ones(8000), valid)
    activation, preactivation = (executor.units[-1]._arrays[name] for name in ("activation", "preactivation"))
    scores = np.exp(preactivation / layers[-1].temperature) * valid
    expected = (scores / scores.sum(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(activation.mean(0), expected, atol=4 * 0.5 / np.sqrt(8000))
    assert activation[:, [1, 4]].sum() == 0.0
    executor.close()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", ["Discrete", "MultiDiscrete", "square"])
def test_invalid_actions_are_never_chosen(kind: str, preset: str):
    with TeamAgent(Masked(SPACES[kind]), preset=preset, **SMALL) as agent:
        agent.learn(env_steps=300)
        assert agent.returns.size == 20


def test_without_the_option_masks_change_nothing():
    with pytest.raises(EnvironmentRefused), TeamAgent(Masked, **SMALL | {"mask_actions": False}) as agent:
        agent.learn(env_steps=300)


def _digest(**options: Any) -> str:
    with TeamAgent(Masked, **SMALL | options) as agent:
        agent.learn(env_steps=200)
        return agent.summary()["digest"]


def test_every_backend_and_workers_have_the_same_bits():
    expected = _digest()
    assert _digest(backend="ray") == expected
    assert _digest(backend="ray", transport="ray", grain="block:3") == expected
    assert _digest(env_workers=2) == expected
    assert _digest(mask_actions=True, seed=4) != expected


def test_a_saved_agent_continues_with_the_masks_of_its_episode(tmp_path: Path):
    with TeamAgent(Masked, **SMALL) as agent:
        agent.learn(env_steps=100).save(tmp_path)
        expected = agent.learn(env_steps=100).summary()["digest"]
    with TeamAgent.load(tmp_path, env=Masked) as agent:
        assert agent.learn(env_steps=100).summary()["digest"] == expected


@given(st.lists(st.booleans(), min_size=5, max_size=5).filter(any), st.booleans())
@settings(max_examples=30)
def test_a_policy_chooses_by_the_mask_that_it_is_given(valid: list[bool], deterministic: bool):
    policy = _policy()
    batch = np.tile([0.3, -0.2, 0.9], (50, 1))
    masks = np.tile(valid, (50, 1))
    actions, _ = policy.predict(batch, deterministic=deterministic, action_masks=masks)
    assert all(valid[action + 2] for action in actions)
    alone, _ = policy.predict(batch[0], action_masks=valid)
    assert valid[alone + 2]


_POLICIES: list[TrainedPolicy] = []


def _policy() -> TrainedPolicy:
    if not _POLICIES:
        with TeamAgent(Masked, **SMALL) as agent:
            _POLICIES.append(agent._run.policy())
    return _POLICIES[0]


@pytest.mark.parametrize("masks", [np.ones(4), np.full(5, 2), np.ones((2, 5)), [[1], [1, 1]], "11111"])
def test_a_mask_of_another_shape_is_refused(masks: Any):
    with pytest.raises(SpecError) as caught:
        _policy().predict(np.zeros(3), action_masks=masks)
    assert caught.value.where == "action_masks"


@pytest.mark.parametrize("kind", ["MultiDiscrete", "square", "Dict"])
def test_a_policy_takes_a_mask_as_the_environment_gives_it(kind: str):
    space, generator = SPACES[kind], np.random.default_rng(1)

    class Sampled(Masked):
        def _answer(self) -> Any:
            self.mask = _gymnasium_mask(space, self.np_random)
            return self.np_random.uniform(-1, 1, 3), {"action_mask": self.mask}

        def step(self, action: Any) -> Any:
            return *self._answer()[:1], 0.0, False, False, {"action_mask": self.mask}

    with TeamAgent(Sampled(space), **SMALL | {"num_envs": 1}) as agent:
        for _ in range(50):
            mask = _gymnasium_mask(space, generator)
            action, _ = agent.predict(np.zeros(3), action_masks=mask)
            valid = mask_of("X", space, {"action_mask": mask})
            flat = flat_actions(space)
            assert flat is not None
            begins = np.cumsum([0, *choices_of(flat)[:-1]])
            assert all(valid[begin + place] for begin, place in zip(begins, _places(space, action), strict=True))


def test_evaluations_choose_valid_actions():
    evaluation = Evaluation(every=50, episodes=2)
    with TeamAgent(Masked, **SMALL) as agent:
        agent.learn(env_steps=100, callback=evaluation)
    assert [len(found.returns) for _, found in evaluation.results] == [2, 2]


class Other(Masked):
    """Gives some other info."""

    def __init__(self, info: Any) -> None:
        super().__init__()
        self.info = info

    def reset(self, **options: Any) -> Any:
        return super().reset(**options)[0], self.info


@pytest.mark.parametrize("info", [
    {}, None, {"action_mask": np.ones(4)}, {"action_mask": np.full(5, 3)}, {"action_mask": np.zeros(5)},
    {"action_mask": "11111"}, {"action_mask": {}}, {"action_mask": [[1, 1], [1]]},
])
def test_masks_that_do_not_fit_are_refused(info: Any):
    with pytest.raises(EnvironmentRefused) as caught, TeamAgent(Other(info), **SMALL | {"num_envs": 1}) as agent:
        agent.learn(env_steps=5)
    assert "info['action_mask']" in caught.value.where


@pytest.mark.parametrize("actions", [spaces.Box(-1, 1, (2,)), spaces.MultiBinary(3)])
def test_actions_that_are_not_chosen_have_no_mask(actions: spaces.Space[Any]):
    with pytest.raises(EnvironmentRefused) as caught:
        TeamAgent(Masked(actions), **SMALL | {"num_envs": 1})
    assert "action space" in caught.value.where


@pytest.mark.parametrize(("where", "options"), [
    ("feedback", {"feedback": "recomputed"}), ("mask_actions", {"preset": "map-async", "free_running": True}),
])
def test_rules_that_cannot_have_masks_are_refused(where: str, options: dict[str, Any]):
    with pytest.raises(SpecError) as caught:
        TeamAgent(Masked, **SMALL | options)
    assert caught.value.where == where


def test_a_task_of_one_step_has_no_masks():
    with pytest.raises(SpecError) as caught:
        TeamAgent("multiplexer", backend="local", mask_actions=True)
    assert caught.value.where == "mask_actions"


def test_taxi_loses_less_where_walls_are_masked():
    """The published environment gives masks; unmasked, drop-offs elsewhere cost ten each."""
    found = {}
    for masked in (False, True):
        with TeamAgent("Taxi-v4", **SMALL | {"num_envs": 1, "mask_actions": masked}) as agent:
            found[masked] = agent.learn(episodes=5).returns.mean()
    assert found[True] >= -200.0
    assert found[False] < -300.0
