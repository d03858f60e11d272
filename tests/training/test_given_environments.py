"""Environments as objects, classes, factories, specs and texts: what is recorded, and that all of them train alike."""

from __future__ import annotations

import json
import keyword
import re
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv, MountainCarEnv
from gymnasium.wrappers import NormalizeObservation, RescaleAction, TimeLimit, TransformReward
from hypothesis import given
from hypothesis import strategies as st

from teamnet import TeamAgent, TrainedPolicy
from teamnet.errors import EnvironmentRefused, Notice, SpecError, TeamnetError
from teamnet.spec.environment_options import Call, arguments_of, call_of, texts_of
from teamnet.training.given_environment import as_given
from tests.commands import run_command

SMALL: dict[str, Any] = {"backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3}
GRID = '''
import gymnasium, numpy as np
from gymnasium import spaces

class Corridor(gymnasium.Env):
    """Walk to the right end."""
    observation_space, action_space = spaces.Discrete(5), spaces.Discrete(2)

    def __init__(self, goal: float = 1.0, render_mode=None):
        self.goal, self.place = goal, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.place, {}

    def step(self, action):
        self.place = max(0, min(4, self.place + 2 * int(action) - 1))
        return self.place, self.goal * (self.place == 4), self.place == 4, False, {}
'''


def _digest(task: Any, **options: Any) -> str:
    with TeamAgent(task, **{**SMALL, **options}) as agent:
        agent.learn(env_steps=60)
        return agent.summary()["digest"]


def _cartpole(sutton_barto_reward: bool = False) -> gymnasium.Env[Any, Any]:
    return TimeLimit(CartPoleEnv(sutton_barto_reward=sutton_barto_reward), 500)


@pytest.mark.parametrize("rows", [1, 2])
def test_all_kinds_of_one_environment_train_alike(rows: int):
    expected = _digest("CartPole-v1", num_envs=rows)
    for given_task in (
        gymnasium.make("CartPole-v1"), gymnasium.spec("CartPole-v1"), _cartpole, lambda: _cartpole(),
        partial(_cartpole), _cartpole(),
    ):
        assert _digest(given_task, num_envs=rows, episodes=1000) == expected
    assert _digest(CartPoleEnv, num_envs=rows, max_episode_steps=500) == expected


def test_arguments_and_wrappers_are_those_that_were_given():
    def negated(environment: Any) -> Any:
        return TransformReward(environment, lambda reward: -reward)

    for task, options in (
        ("CartPole-v1", {}), (CartPoleEnv, {"max_episode_steps": 500}), (_cartpole, {}),
        (gymnasium.spec("CartPole-v1"), {}),
    ):
        with TeamAgent(
            task, env_kwargs={"sutton_barto_reward": True}, wrappers=[negated], **{**SMALL, **options}
        ) as agent:
            agent.learn(episodes=3)
            assert list(agent.returns) == [1.0, 1.0, 1.0], "-1 for the fall alone, negated"
    made = gymnasium.make("CartPole-v1", sutton_barto_reward=True)
    with TeamAgent(made, wrappers=negated, **SMALL) as agent:
        assert list(agent.learn(episodes=2).returns) == [1.0, 1.0]
        assert agent.summary()["task"] == "cartpole", "the id of a preset is that preset"


def test_what_can_be_imported_is_recorded_by_its_name():
    made = gymnasium.wrappers.FrameStackObservation(gymnasium.make("CartPole-v1", sutton_barto_reward=True), 2)
    for task, options, expected in (
        (CartPoleEnv, {"env_kwargs": {"sutton_barto_reward": True}},
         (f"{CartPoleEnv.__module__}:CartPoleEnv", ("sutton_barto_reward=True",), (), None)),
        (made, {}, ("CartPole-v1", ("sutton_barto_reward=True",), (
            "gymnasium.wrappers.stateful_observation:FrameStackObservation(stack_size=2, padding_type='reset')",
        ), None)),
        (gymnasium.make("CartPole-v1", max_episode_steps=7), {"wrappers": [NormalizeObservation]},
         ("CartPole-v1", (), ("gymnasium.wrappers.stateful_observation:NormalizeObservation",), 7)),
    ):
        found = as_given(task, **options)
        kwargs, wrappers, limit = expected[1:]
        assert found.task == expected[0]
        assert found.options == {"env_kwargs": kwargs, "wrappers": wrappers, "max_episode_steps": limit}


@pytest.mark.parametrize(("task", "options", "name"), [
    (lambda: CartPoleEnv(), {}, "<lambda>>"), (CartPoleEnv(), {}, "CartPoleEnv>"),
    ("CartPole-v1", {"wrappers": [lambda environment: environment]}, ""),
    ("CartPole-v1", {"env_kwargs": {"sutton_barto_reward": Fraction(1)}}, "<CartPole-v1>"),
])
def test_what_has_no_name_has_to_be_given_again(task: Any, options: dict[str, Any], name: str, tmp_path: Path):
    with TeamAgent(task, **options, **SMALL) as agent:
        agent.learn(env_steps=30)
        agent.save(tmp_path)
        assert agent.summary()["task"].endswith(name)
        agent.learn(env_steps=30)
        digest = agent.summary()["digest"]
    with pytest.raises(EnvironmentRefused):
        TeamAgent.load(tmp_path)
    environment = CartPoleEnv(sutton_barto_reward=True) if "env_kwargs" in options else CartPoleEnv()
    with TeamAgent.load(tmp_path, env=environment) as loaded:
        assert loaded.learn(env_steps=30).summary()["digest"] == digest
    observation, _ = CartPoleEnv().reset(seed=0)
    assert TrainedPolicy.load(tmp_path).predict(observation)[0] in (0, 1), "a policy needs no environment"


class Scaled(gymnasium.RewardWrapper[Any, Any]):
    def __init__(self, environment: Any, factor: float = 10.0) -> None:
        super().__init__(environment)
        self.factor = factor

    def reward(self, reward: Any) -> float:
        return self.factor * float(reward)


def test_what_is_recorded_goes_with_an_environment_that_is_given_again(tmp_path: Path):
    class Local(CartPoleEnv):
        pass

    options = {"env_kwargs": {"sutton_barto_reward": True}, "wrappers": [Scaled], "max_episode_steps": 9}
    with TeamAgent(Local, **options, **SMALL) as agent:
        agent.learn(env_steps=40)
        agent.save(tmp_path / "named")
        digest, returns = agent.learn(env_steps=40).summary()["digest"], set(agent.returns)
    assert returns <= {0.0, -10.0}
    with TeamAgent.load(tmp_path / "named", env=Local) as loaded:
        assert loaded.learn(env_steps=40).summary()["digest"] == digest
    with TeamAgent(Local, **{**options, "wrappers": [lambda inner: Scaled(inner)]}, **SMALL) as agent:
        agent.learn(env_steps=40)
        agent.save(tmp_path / "unnamed")
    for again in ({"env": Local}, {"env": Local, "env_kwargs": {}}):
        with pytest.raises(SpecError) as refusal:
            TeamAgent.load(tmp_path / "unnamed", **again)
        assert refusal.value.where == "wrappers"
    with TeamAgent.load(tmp_path / "unnamed", env=Local, wrappers=[Scaled]) as loaded:
        assert loaded.learn(env_steps=40).summary()["digest"] == digest
    whole = TimeLimit(Local(sutton_barto_reward=True), 9)
    with TeamAgent.load(tmp_path / "unnamed", env=Scaled(whole)) as loaded:
        assert loaded.learn(env_steps=40).summary()["digest"] == digest


def test_a_policy_whose_wrappers_normalise_says_so(tmp_path: Path):
    with TeamAgent("CartPole-v1", wrappers=[NormalizeObservation], **SMALL) as agent:
        agent.learn(env_steps=40)
        agent.save(tmp_path)
    with pytest.warns(Notice, match="NormalizeObservation"):
        TrainedPolicy.load(tmp_path)


def test_an_environment_that_cannot_be_copied_is_refused_for_several_rows():
    class Locked(CartPoleEnv):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("cannot be copied")

    with TeamAgent(Locked(), **SMALL) as agent:
        agent.learn(env_steps=20)
    with pytest.raises(EnvironmentRefused) as refusal:
        TeamAgent(Locked(), num_envs=2, **SMALL)
    assert refusal.value.where == "task"


@pytest.mark.parametrize(("task", "options", "where"), [
    (3, {}, "task"), (gymnasium.vector.SyncVectorEnv([CartPoleEnv]), {}, "task"),
    (CartPoleEnv(), {"env_kwargs": {"a": 1}}, "env_kwargs"), ("cartpole", {"wrappers": [3]}, "wrappers"),
    ("cartpole", {"env_kwargs": ["=3"]}, "env_kwargs"), ("cartpole", {"wrappers": ["nothing"]}, "wrappers"),
    ("cartpole", {"wrappers": ["a:B(3)"]}, "wrappers"), ("cartpole", {"max_episode_steps": 0}, "max_episode_steps"),
    ("multiplexer", {"env_kwargs": {"a": 1}}, "env_kwargs"), (lambda: 3, {}, ""), ("no_such_module:Class", {}, "task"),
    ("cartpole", {"wrappers": ["gymnasium.wrappers:NoSuch"]}, "wrappers"),
    ("cartpole", {"env_kwargs": {"no_such": 1}}, "CartPole-v1"),
])
def test_what_is_no_environment_is_refused(task: Any, options: dict[str, Any], where: str):
    with pytest.raises(TeamnetError) as refusal:
        TeamAgent(task, **options, **SMALL)
    assert isinstance(refusal.value, SpecError | EnvironmentRefused)
    assert where in refusal.value.where


@pytest.mark.filterwarnings("default::teamnet.errors.Notice")
def test_the_command_line_takes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any):
    (tmp_path / "my_tasks.py").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    common = ("--backend", "local", "--hidden", "4", "--settle-steps", "2", "--episodes", "5", "--json")
    found = []
    for task in ("my_tasks:Corridor", "my_tasks.py:Corridor", "my_tasks.py"):
        out, error = run_command(
            capsys, "train", task, "--env-kwargs", "goal=2.5", "--wrapper",
            "gymnasium.wrappers:RecordEpisodeStatistics(buffer_length=3)", "--max-episode-steps", 400, *common,
            "--out", tmp_path / "run", "--overwrite",
        )
        found.append(json.loads(out.splitlines()[-1]))
        assert error.count("Discrete, is flattened to 5 numbers") == 1
    assert {summary["mean_return"] for summary in found} == {2.5}
    assert len({summary["digest"] for summary in found}) == 1
    assert [summary["task"] for summary in found] == ["my_tasks:Corridor", "my_tasks.py:Corridor", "my_tasks.py"]
    spec = json.loads((tmp_path / "run/spec.json").read_text())["spec"]
    assert (spec["env_kwargs"], spec["max_episode_steps"]) == (["goal=2.5"], 400)
    out, _ = run_command(capsys, "eval", tmp_path / "run", "--episodes", 2, "--json")
    assert json.loads(out)["returns"] == [2.5, 2.5]
    out, _ = run_command(capsys, "resume", tmp_path / "run", "--episodes", 7, "--json")
    assert json.loads(out.splitlines()[-1])["episodes"] == 7


@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_a_continuous_action_in_a_wrapper_with_arguments():
    with TeamAgent(
        "mountaincar", wrappers=["gymnasium.wrappers:RescaleAction(min_action=-2.0, max_action=2.0)"], **SMALL
    ) as one, TeamAgent(
        "mountaincar", wrappers=[partial(RescaleAction, min_action=-2.0, max_action=2.0)], **SMALL
    ) as other:
        for agent in (one, other):
            agent.learn(env_steps=50)
        assert one.summary()["digest"] == other.summary()["digest"]
        assert one.summary()["task"] == "mountaincar"
        assert re.fullmatch("<.*partial>", other._run.spec.wrappers[0])


def test_the_statistics_of_wrappers_are_those_of_training():
    environment = NormalizeObservation(gymnasium.make("MountainCar-v0"))
    with TeamAgent(environment, **SMALL) as agent:
        agent.learn(env_steps=100)
        copy = agent.make_environment()
        assert isinstance(copy.unwrapped, MountainCarEnv)
        assert copy.unwrapped is not environment.unwrapped
        found = copy.get_wrapper_attr("obs_rms")
        np.testing.assert_array_equal(found.mean, environment.obs_rms.mean)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner), max_leaves=5,
)
_NAMES = st.from_regex("[a-z_]{1,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
_ARGUMENTS = st.dictionaries(_NAMES, _VALUES, max_size=3)


@given(_ARGUMENTS)
def test_arguments_survive_as_texts(arguments: dict[str, Any]):
    assert arguments_of(texts_of(arguments)) == arguments
    assert call_of("wrappers", Call("a.b:C", arguments).as_text()) == Call("a.b:C", arguments)


def test_a_value_that_is_no_literal_is_a_string():
    assert arguments_of(["map_name=8x8", "size=3", "pair=(1, 2)", "empty="]) == {
        "map_name": "8x8", "size": 3, "pair": (1, 2), "empty": "",
    }


def test_wrappers_of_the_run_are_not_left_out(tmp_path: Path):
    def doubled(inner: Any) -> Any:
        return TransformReward(inner, lambda reward: 2 * reward)

    wrappers = ["gymnasium.wrappers:TimeAwareObservation", doubled]
    with TeamAgent("CartPole-v1", wrappers=wrappers, **SMALL) as agent:
        agent.learn(env_steps=30).save(tmp_path)
    with pytest.raises(SpecError) as caught:
        TeamAgent.load(tmp_path, wrappers=wrappers[1:])
    assert caught.value.where == "wrappers"
    assert "TimeAwareObservation" in caught.value.found
    TeamAgent.load(tmp_path, wrappers=wrappers).close()


BROKEN = '''
import gymnasium, numpy as np

class Broken(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2), {}

    def step(self, action):
        self.steps += 1
        if self.steps > 3:
            raise OwnError("of the user")
        return np.zeros(2), 0.0, False, False, {}

class OwnError(Exception):
    def __init__(self, text):
        super().__init__(text, "cannot be made again")

instance = Broken()
'''


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_of_an_environment_is_told_with_its_line(workers: int, tmp_path: Path):
    path = tmp_path / "broken.py"
    path.write_text(f"{BROKEN}\n# {workers}\n")  # a file of the same text is loaded once in a process
    line = BROKEN.splitlines().index('            raise OwnError("of the user")') + 1
    with TeamAgent(f"{path}:Broken", num_envs=2, env_workers=workers, **SMALL) as agent:
        with pytest.raises(EnvironmentRefused) as caught:
            agent.learn(env_steps=30)
        assert f"{path}:{line}" in caught.value.found
        assert "OwnError" in caught.value.found


def test_an_object_in_a_file_is_no_class(tmp_path: Path):
    (tmp_path / "broken.py").write_text(BROKEN)
    with pytest.raises(SpecError) as caught:
        TeamAgent(f"{tmp_path}/broken.py:instance", **SMALL)
    assert "Broken" in caught.value.found


def test_an_object_that_is_used_elsewhere_meanwhile_does_not_disturb_the_training():
    """Stable-Baselines3's users evaluate on the environment that they have trained in."""
    returns = []
    for disturbed in (False, True):
        environment = gymnasium.make("CartPole-v1")
        environment.unwrapped.__dict__["gravity"] = 12.0
        with TeamAgent(environment, **SMALL) as agent:
            agent.learn(env_steps=20)
            if disturbed:
                environment.reset(seed=9)
                for _ in range(5):
                    environment.step(environment.action_space.sample())
            returns.append(list(agent.learn(episodes=3).returns))
        environment.reset()
        environment.step(0)
    with TeamAgent("CartPole-v1", **SMALL) as agent:
        usual = list(agent.learn(env_steps=20).learn(episodes=3).returns)
    assert returns[0] == returns[1] != usual, "a changed attribute is copied too"


def test_the_records_of_a_wrapper_that_was_given_can_be_read():
    environment = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1"))
    with TeamAgent(environment, **SMALL) as agent:
        agent.learn(episodes=3)
        assert [float(value) for value in environment.return_queue] == list(agent.returns)


@pytest.mark.parametrize("task", [
    lambda: gymnasium.make("MountainCar-v0"), lambda: (lambda: gymnasium.make("MountainCar-v0")),
    lambda: "MountainCar-v0",
])
def test_a_limit_of_steps_replaces_that_of_the_environment_in_all_rows(task: Any):
    with TeamAgent(task(), num_envs=2, max_episode_steps=300, **SMALL) as agent:
        agent.learn(episodes=2)
        assert list(agent.returns) == [-300.0, -300.0]


@pytest.mark.parametrize("unlimited", [
    lambda: gymnasium.make("MountainCar-v0", max_episode_steps=-1), lambda: gymnasium.make("MountainCar-v0").unwrapped,
])
def test_an_object_without_the_limit_of_its_id_is_another_environment(unlimited: Any, tmp_path: Path):
    with TeamAgent(unlimited(), **SMALL) as agent:
        agent.learn(env_steps=250)
        assert len(agent.returns) == 0
        assert agent.summary()["task"] == "<gymnasium.envs.classic_control.mountain_car.MountainCarEnv>"
        agent.save(tmp_path)
        digest = agent.learn(env_steps=20).summary()["digest"]
    with TeamAgent.load(tmp_path, env=unlimited()) as loaded:
        assert loaded.learn(env_steps=20).summary()["digest"] == digest


def test_a_number_of_numpy_is_recorded_as_a_number():
    found = as_given(CartPoleEnv, env_kwargs={"sutton_barto_reward": np.bool_(True), "size": np.int64(3)})
    assert found.options["env_kwargs"] == ("sutton_barto_reward=True", "size=3")


def test_only_the_given_object_has_a_window():
    made = as_given(gymnasium.make("CartPole-v1", render_mode="human")).make
    assert made
    assert [made(None).render_mode for _ in range(2)] == ["human", None]
