"""One thread at a time uses a run, in the process that made it."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from teamnet import TeamAgent
from teamnet.callbacks import Callback
from teamnet.errors import Closed, InUse, SpecError

_USES: dict[str, Callable[[TeamAgent, Path], object]] = {
    "learn": lambda agent, folder: agent.learn(env_steps=5),
    "save": lambda agent, folder: agent.save(folder / "other"),
    "state": lambda agent, folder: agent.state(),
    "summary": lambda agent, folder: agent.summary(),
    "predict": lambda agent, folder: agent.predict([0.0] * 4),
    "make_environment": lambda agent, folder: agent.make_environment(),
}


class _Every20(Callback):
    """Calls a function every 20 environment steps."""

    every = 20

    def __init__(self, call: Callable[[Any], object]) -> None:
        self._call = call

    def on_step(self, run: Any) -> None:
        self._call(run)


def _agent(**options: Any) -> TeamAgent:
    return TeamAgent("cartpole", backend="local", hidden=(6,), seed=2, **options)


def _in_a_thread(call: Callable[[], object]) -> list[BaseException]:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return raised


def _digest(agent: TeamAgent) -> str:
    return agent.summary()["digest"]


@pytest.mark.parametrize("name", list(_USES))
def test_another_thread_is_refused_during_learn_and_changes_nothing(name: str, tmp_path: Path):
    found: list[list[BaseException]] = []
    with _agent() as agent, _agent() as alone:
        agent.learn(env_steps=60, callback=_Every20(
            lambda run: found.append(_in_a_thread(lambda: _USES[name](agent, tmp_path)))
        ))
        assert [[type(error) for error in errors] for errors in found] == [[InUse]] * 3
        assert not list(tmp_path.iterdir())
        assert _digest(agent) == _digest(alone.learn(env_steps=60))
        assert agent.summary()["env_steps"] == 60
        assert not _in_a_thread(lambda: _USES[name](agent, tmp_path)), "after learn another thread may use it"


def test_a_callback_may_use_the_run_in_the_thread_of_learn(tmp_path: Path):
    with _agent() as agent, _agent() as alone:
        agent.learn(env_steps=60, callback=_Every20(lambda run: [run.save(tmp_path), agent.predict([0.0] * 4)]))
        assert _digest(agent) == _digest(alone.learn(env_steps=60))
    assert len(list(tmp_path.glob("checkpoint-*.json"))) == 2


def test_a_thread_that_is_interrupted_leaves_the_run_to_others():
    def interrupt(run: object) -> None:
        raise KeyboardInterrupt

    with _agent() as agent:
        with pytest.raises(KeyboardInterrupt):
            agent.learn(env_steps=60, callback=_Every20(interrupt))
        assert not _in_a_thread(lambda: agent.learn(env_steps=5))


def test_a_forked_process_neither_uses_nor_closes_the_run():
    with _agent(num_envs=2, env_workers=2) as agent, _agent(num_envs=2) as alone:
        agent.learn(env_steps=40)
        child = os.fork()
        if not child:
            code = 1
            try:
                agent.learn(env_steps=1)
            except Closed:
                agent.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert _digest(agent.learn(env_steps=40)) == _digest(alone.learn(env_steps=40).learn(env_steps=40))


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_an_agent_is_not_copied(duplicate: Callable[[TeamAgent], object]):
    with _agent() as agent, pytest.raises(SpecError) as refused:
        duplicate(agent)
    assert refused.value.where == "run"
