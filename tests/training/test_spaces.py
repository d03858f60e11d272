"""Spaces: what is flattened, how, and that outputs of several agents have the scores and the frequencies of theory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from teamnet import TeamAgent, TrainedPolicy
from teamnet.errors import EnvironmentRefused, Notice, SpecError
from teamnet.spec.presets import preset
from teamnet.spec.resolve import Interface
from teamnet.training.action_map import ActionMap
from teamnet.training.flat_actions import flat_actions, unflattened
from teamnet.training.spaces import find_interface
from tests.conftest import make_layers
from tests.team.executors import local

SMALL: dict[str, Any] = {"backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3}
BOX = spaces.Box(-1.0, 1.0, (2,))


class Sampled(gymnasium.Env[Any, Any]):
    """Samples its observations; keeps the actions that it was given, all of its space."""

    def __init__(self, observations: spaces.Space[Any] = BOX, actions: spaces.Space[Any] = BOX) -> None:
        self.observation_space, self.action_space = observations, actions
        self.taken: list[Any] = []
        self.steps = 0

    def _observation(self) -> Any:
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample()

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        self.taken.append(action)
        self.steps += 1
        return self._observation(), float(self.steps % 3), self.steps == 20, False, {}


OBSERVATIONS = {
    "Dict": (spaces.Dict(place=spaces.Box(0, 1, (2, 3)), key=spaces.Discrete(4, start=-2)), 10),
    "Tuple": (spaces.Tuple([spaces.MultiBinary(3), spaces.MultiDiscrete([2, 3], start=[1, 0])]), 8),
    "Discrete": (spaces.Discrete(5), 5), "MultiBinary": (spaces.MultiBinary((2, 2)), 4),
    "MultiDiscrete": (spaces.MultiDiscrete([[2, 3], [2, 2]]), 9), "no dimension": (spaces.Box(0, 1, ()), 1),
    "Box": (spaces.Box(0, 1, (2, 3, 2)), 12),
    "nested": (spaces.Dict(a=spaces.Tuple([spaces.Discrete(2), spaces.Dict(b=BOX)])), 4),
}


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_observations_are_flattened_as_gymnasium_does_it(name: str, tmp_path: Path):
    space, size = OBSERVATIONS[name]
    environment = Sampled(space)
    with pytest.warns(Notice, match=f"flattened to {size} numbers"):
        agent = TeamAgent(environment, **SMALL)
    with agent:
        agent.learn(env_steps=50)
        seen, observation = agent._run.task.outcome.observation, environment._observation()
        assert seen.shape == (1, size)
        action, _ = agent.predict(observation, deterministic=True)
        assert spaces.flatdim(space) == size
        agent.save(tmp_path)
    policy = TrainedPolicy.load(tmp_path)
    np.testing.assert_array_equal(policy.predict(observation, deterministic=True)[0], action)
    batched = gymnasium.vector.SyncVectorEnv([lambda: Sampled(space)] * 3)
    observations, _ = batched.reset(seed=1)
    actions, _ = policy.predict(observations, deterministic=True)
    each = [policy.predict(one, deterministic=True)[0] for one in gymnasium.vector.utils.iterate(
        batched.observation_space, observations)]
    np.testing.assert_array_equal(actions, each)


def test_a_vector_is_left_alone_and_an_image_has_a_hint():
    TeamAgent(Sampled(), **SMALL).close()  # a notice would be an error here
    with pytest.warns(Notice, match="GrayscaleObservation"):
        TeamAgent(Sampled(spaces.Box(0, 255, (20, 24, 3), np.uint8)), **SMALL).close()


@pytest.mark.parametrize("space", [
    spaces.Text(3), spaces.Sequence(spaces.Discrete(2)), spaces.Graph(BOX, None), spaces.Dict(a=spaces.Text(2)),
    spaces.Box(0, 1, (0,)), None,
], ids=str)
def test_observations_that_are_no_numbers_are_refused(space: Any):
    with pytest.raises(EnvironmentRefused) as refusal:
        TeamAgent(Sampled(space), **SMALL)
    assert refusal.value.where.endswith("observation space")


ACTIONS = {
    "MultiDiscrete": spaces.MultiDiscrete([3, 2, 4], start=[0, 5, -1]), "MultiBinary": spaces.MultiBinary(3),
    "matrix": spaces.Box(-2.0, 3.0, (2, 2)), "bits": spaces.MultiBinary((2, 2)),
    "table": spaces.MultiDiscrete([[2, 3], [3, 2]], start=[[1, 0], [0, 0]]),
    "Dict of choices": spaces.Dict(
        turn=spaces.Discrete(3, start=-1), on=spaces.MultiBinary(2), gear=spaces.MultiDiscrete([2, 4])
    ),
    "Tuple of boxes": spaces.Tuple([BOX, spaces.Box(0.0, 5.0, (1, 2), np.float64)]),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_is_of_the_space_and_all_are_tried(name: str, tmp_path: Path):
    environment = Sampled(actions=ACTIONS[name])
    with TeamAgent(environment, **SMALL) as agent:
        agent.learn(env_steps=400)
        agent.save(tmp_path)
        digest = agent.learn(env_steps=30).summary()["digest"]
        action = agent.predict(np.zeros(2), deterministic=True)[0]
        assert ACTIONS[name].contains(action), action
    flat = flat_actions(ACTIONS[name])
    if isinstance(flat, spaces.MultiDiscrete):
        tried = {repr(action) for action in environment.taken}
        assert 0.8 * np.prod(flat.nvec) <= len(tried) <= np.prod(flat.nvec)
    with TeamAgent.load(tmp_path, env=Sampled(actions=ACTIONS[name])) as loaded:
        assert loaded.learn(env_steps=30).summary()["digest"] == digest
    policy = TrainedPolicy.load(tmp_path)
    for row in range(20):
        assert ACTIONS[name].contains(policy.predict(np.array([row, -row]))[0])


@pytest.mark.parametrize("space", [
    spaces.Text(3), spaces.Dict(a=BOX, b=spaces.Discrete(2)), spaces.Tuple([]), spaces.Box(0, 1, (0,)), None,
], ids=str)
def test_other_actions_are_refused(space: Any):
    with pytest.raises(EnvironmentRefused) as refusal:
        TeamAgent(Sampled(actions=space), **SMALL)
    assert refusal.value.where.endswith("action space")


@given(st.data())
def test_a_flat_action_is_one_of_the_space(data: st.DataObject):
    space = data.draw(st.sampled_from([*ACTIONS.values()]))
    flat = flat_actions(space)
    assert flat is not None
    flat.seed(data.draw(st.integers(0, 2**31)))
    action = flat.sample()
    if flat == space:
        assert space.contains(action)
    else:
        assert space.contains(unflattened(space, action))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**31))
def test_several_choices_are_one_agent_each(choices: list[int], seed: int):
    space = spaces.MultiDiscrete(choices, seed=seed)
    interface = find_interface("X", BOX, space)
    assert interface == Interface(2, sum(choices), "categorical", choices=tuple(choices))
    action = space.sample()
    output = np.concatenate([np.eye(size)[place] for size, place in zip(choices, action, strict=True)])
    to_action = ActionMap(offset=np.zeros(len(choices)), dtype="<i8", choices=tuple(choices))
    np.testing.assert_array_equal(to_action(output), action)
    again = ActionMap.from_plain(to_action.as_plain())
    np.testing.assert_array_equal(again(output), action)


CHOICES = (3, 2, 4)


def _several(schedule: str, family: str = "categorical", rows: int = 2) -> Any:
    layers = make_layers((3, 6, 5, sum(CHOICES)), rows=rows, schedule=schedule, family=family)
    return [[*layers[:-1], replace(layers[-1], choices=CHOICES)]]


def _log_probability(preactivation: np.ndarray, activation: np.ndarray, temperature: float, *, fixed: bool) -> float:
    """The sum over agents of the logarithm of the softmax of what each has chosen."""
    total, first = 0.0, 0
    for size in CHOICES:
        scores = preactivation[first : first + size].copy()
        if fixed:
            scores[-1] = 0.0
        scores /= temperature
        total += (scores @ activation[first : first + size]) - np.log(np.exp(scores).sum())
        first += size
    return total


@pytest.mark.parametrize(("schedule", "family"), [("jacobi", "categorical"), ("reinforce", "categorical"),
                                                  ("weight-max", "reference")])
def test_the_score_is_the_derivative_of_the_log_probability(schedule: str, family: str):
    teams = _several(schedule, family)
    if schedule == "weight-max":
        teams = [[replace(layer, family="bernoulli") if not layer.is_last else layer for layer in teams[0]]]
    executor = local(teams)
    unit = executor.units[-1]
    generator = np.random.default_rng(3)
    for _ in range(5):
        executor.act(generator.standard_normal((2, 3)), np.ones(2))
        executor.learn(generator.standard_normal(2))
    preactivation, activation, error = (unit._arrays[name] for name in ("preactivation", "activation", "error"))
    for row in range(2):
        assert [part.sum() for part in np.split(activation[row], np.cumsum(CHOICES)[:-1])] == [1.0] * 3
        for j in range(sum(CHOICES)):
            found = []
            for shift in (1e-5, -1e-5):
                shifted = preactivation[row].copy()
                shifted[j] += shift
                found.append(_log_probability(shifted, activation[row], 2.0, fixed=family == "reference"))
            assert error[row, j] == pytest.approx((found[0] - found[1]) / 2e-5, abs=1e-8)
    executor.close()


def test_samples_have_the_frequencies_of_each_agent():
    teams = _several("reinforce", rows=4000)
    executor = local(teams)
    executor.act(np.tile([0.5, -1.0, 2.0], (4000, 1)), np.ones(4000))
    unit = executor.units[-1]
    activation, mean = unit._arrays["activation"], unit._arrays["mean"]
    np.testing.assert_allclose(activation.mean(0), mean.mean(0), atol=4 * 0.5 / np.sqrt(4000))
    first, second = activation[:, 0], activation[:, 3]
    assert abs(np.corrcoef(first - mean[:, 0], second - mean[:, 3])[0, 1]) < 4 / np.sqrt(4000), "agents choose apart"
    executor.close()


@given(npst.arrays(np.float64, (3,), elements=st.floats(-3, 3)))
def test_the_most_probable_bits_are_those_above_one_half(observation: np.ndarray):
    agent = _agent_of_bits()
    action, _ = agent.predict(observation, deterministic=True)
    samples = np.array([agent.predict(observation)[0] for _ in range(40)])
    assert action.dtype == np.int8
    assert set(np.unique(samples)) <= {0, 1}


_AGENTS: list[TeamAgent] = []


def _agent_of_bits() -> TeamAgent:
    if not _AGENTS:
        _AGENTS.append(TeamAgent(Sampled(spaces.Box(-3, 3, (3,)), spaces.MultiBinary(2)), **SMALL))
    return _AGENTS[0]


@pytest.mark.parametrize("preset", ["map", "tuned", "frugal", "map-async", "reinforce", "backprop", "weight-max"])
@pytest.mark.parametrize("kind", ["MultiDiscrete", "MultiBinary"])
def test_every_preset_learns_which_choices_pay(kind: str, preset: str):
    """A bandit of several choices, each of which pays for its own best category."""
    space = ACTIONS[kind]
    best = np.array([2, 6, -1]) if kind == "MultiDiscrete" else np.array([1, 0, 1])

    class Bandit(Sampled):
        def step(self, action: Any) -> Any:
            assert self.action_space.contains(action)
            return np.ones(2, np.float32), float((action == best).mean()), True, False, {}

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            gymnasium.Env.reset(self, seed=seed)
            return np.ones(2, np.float32), {}

    with TeamAgent(Bandit(actions=space), preset=preset, backend="local", seed=1, hidden=(16,)) as agent:
        agent.learn(episodes=1500)
        assert agent.returns[-300:].mean() > agent.returns[:100].mean() + 0.15


class Switches(gymnasium.Env[Any, Any]):
    """Booleans in, booleans or whole numbers out; writes down what it was given."""

    observation_space = spaces.Box(0, 1, (2, 2), np.bool_)

    def __init__(self, actions: Any = None) -> None:
        self.action_space = actions or spaces.Box(0, 1, (2,), np.bool_)
        self.given: list[Any] = []

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.np_random.random((2, 2)) < 0.5, {}

    def step(self, action: Any) -> Any:
        assert action in self.action_space
        self.given.append(action)
        return self.np_random.random((2, 2)) < 0.5, 0.0, False, False, {}


def test_boxes_of_booleans(tmp_path: Path):
    with TeamAgent(Switches(), **SMALL) as agent:
        agent.learn(env_steps=40)
        agent.save(tmp_path)
    policy = TrainedPolicy.load(tmp_path)
    actions = policy.predict(np.ones((50, 2, 2), np.bool_))[0]
    assert actions.dtype == np.bool_
    assert 0 < actions.mean() < 1


def test_whole_numbers_are_rounded_and_each_is_reached():
    to_action = ActionMap.of_space(preset("cartpole"), spaces.Box(-3, 3, (1,), np.int64))
    outputs = np.linspace(-0.999, 0.999, 601)
    found = np.array([to_action(np.array([output]))[0] for output in outputs])
    assert np.array_equal(found, np.round(3 * outputs))
    assert set(found) == set(range(-3, 4))


def test_masks_without_a_valid_action_are_refused(tmp_path: Path):
    with TeamAgent("CartPole-v1", **SMALL) as agent:
        path = agent.save(tmp_path)
    policy = TrainedPolicy.load(path)
    observation = np.zeros((2, 4))
    for mask in ([[1, 1], [0, 0]], [0, 0]):
        with pytest.raises(SpecError) as caught:
            policy.predict(observation if len(np.shape(mask)) > 1 else observation[0], action_masks=mask)
        assert caught.value.where == "action_masks"
    with TeamAgent("MountainCarContinuous-v0", **SMALL) as numbers:
        with pytest.raises(SpecError) as caught:
            numbers.predict(np.zeros(2), action_masks=[1])
        assert caught.value.where == "action_masks"
        with pytest.raises(SpecError) as caught:
            numbers.predict(np.zeros((0, 2)))
        assert caught.value.where == "observation"
