"""Agents in everyday use: ends, folders and functions that change between calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teamnet import TeamAgent
from teamnet.callbacks import Callback, Evaluation
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.callback import Callbacks
from teamnet.training.checkpoint import checkpoints_in
from teamnet.training.saving import Saving
from teamnet.training.session import resume, train

SPEC = changed(preset("cartpole"), hidden=(4,), env_steps=300, episodes=None, settle_steps=3, seed=5)
LOCAL = LaunchSpec("local")
SMALL: dict[str, Any] = {"backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3}


class Calling(Callback):
    """Calls a function every some environment steps."""

    def __init__(self, function: Any, every: int = 20) -> None:
        self._function, self.every = function, every

    def on_step(self, run: Any) -> None:
        self._function(run)


def test_a_prediction_has_the_present_parameters_even_after_one_in_a_callback():
    observation = np.array([0.1, 0.2, 0.0, 0.3])
    with TeamAgent("cartpole", **SMALL) as agent, TeamAgent("cartpole", **SMALL) as other:
        agent.learn(env_steps=300, callback=Calling(lambda run: agent.predict(observation), every=70))
        other.learn(env_steps=300)
        actions = [[each.predict(observation)[0] for _ in range(50)] for each in (agent, other)]
    assert actions[0] == actions[1]


def test_a_given_end_replaces_that_of_the_preset():
    with TeamAgent("cartpole", env_steps=70, **SMALL) as agent:
        assert (agent._run.spec.env_steps, agent._run.spec.episodes) == (70, None)
        assert agent.learn().summary()["env_steps"] == 70
    with TeamAgent("cartpole", env_steps=70, episodes=1, **SMALL) as agent:
        assert agent.learn().summary()["episodes"] == 1


def test_the_end_of_a_call_is_not_that_of_a_policy_that_is_kept_meanwhile(tmp_path: Path):
    evaluation = Evaluation(every=20, episodes=1, folder=tmp_path)
    with TeamAgent("cartpole", env_steps=90, **SMALL) as agent:
        agent.learn(env_steps=60, callback=evaluation)
    with TeamAgent.load(tmp_path / "best") as loaded:
        assert loaded.learn().summary()["env_steps"] == 90


def test_an_agent_that_is_loaded_or_new_has_the_end_that_is_given(tmp_path: Path):
    with TeamAgent("cartpole", episodes=2, **SMALL) as agent:
        agent.learn().save(tmp_path)
    with TeamAgent.load_or_new(tmp_path, "cartpole", episodes=5, **SMALL) as loaded:
        assert loaded.learn().summary()["episodes"] == 5


def test_an_agent_with_a_function_of_a_users_own_is_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("bent.py").write_text(
        "from teamnet.kernels.functions import select\n\n\n"
        "def bent(p):\n    return select(p >= 0.0, p, 0.1 * p), select(p >= 0.0, 1.0, 0.1)\n"
    )
    for steps in (30, 60):
        with TeamAgent.load_or_new(tmp_path / "run", "cartpole", function="bent.py:bent", **SMALL) as agent:
            assert agent.learn(env_steps=30).summary()["env_steps"] == steps
            agent.save(tmp_path / "run")


def test_a_callback_that_saves_into_the_runs_folder_does_no_harm(tmp_path: Path):
    """The run ends without another checkpoint, as if it had been killed after that one."""
    def save_and_die(run: Any) -> None:
        run.save(run.folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SPEC, LOCAL, tmp_path / "run", callbacks=Callbacks([Calling(save_and_die, 50)]))
    summary, _ = resume(tmp_path / "run")
    undisturbed, _ = train(SPEC, LOCAL, tmp_path / "other")
    assert summary["digest"] == undisturbed["digest"]
    files = [tmp_path / name / "metrics.jsonl" for name in ("run", "other")]
    assert files[0].read_text() == files[1].read_text()


def test_an_agent_of_the_best_policy_does_not_touch_the_run(tmp_path: Path):
    train(SPEC, LOCAL, tmp_path, callbacks=Callbacks([Evaluation(every=40, episodes=1)]), saving=Saving(every=50))
    own = {saved.path for saved in checkpoints_in(tmp_path)}
    with TeamAgent.load(tmp_path / "best") as agent:
        for _ in range(2):
            agent.learn(env_steps=10)
            agent.save(tmp_path)
    assert own <= {saved.path for saved in checkpoints_in(tmp_path)}
    assert SPEC.env_steps
    assert resume(tmp_path, env_steps=SPEC.env_steps + 20)[0]["env_steps"] == SPEC.env_steps + 20

