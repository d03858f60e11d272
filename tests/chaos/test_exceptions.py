"""Exceptions at random points of ``learn`` cost nothing; ``make chaos-exceptions`` raises five hundred."""

from __future__ import annotations

import collections
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamnet import TeamAgent
from teamnet.errors import ActorLost, Closed, StepInterrupted
from teamnet.team import held_signals
from teamnet.team.held_signals import HeldSignals
from teamnet.training.row import Row
from teamnet.training.run import Run
from teamnet.training.task import Episode
from tests.chaos.exceptions import KINDS, UNDER_RAY, campaign


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_in_this_process_goes_on_as_if_nothing_had_happened(kind: str, tmp_path: Path):
    outcomes = campaign(25, 7, tmp_path, (kind,), backend="local")
    assert sum(outcomes[f"{kind}, {end}"] for end in ("raised", "refused")) >= 25


@pytest.mark.parametrize(("transport", "count"), [("board", 25), ("ray", 12)])
def test_an_agent_under_ray_goes_on_as_if_nothing_had_happened(
    transport: str, count: int, tmp_path: Path, shared_ray: None
):
    outcomes = campaign(count, 8, tmp_path, UNDER_RAY, transport=transport)
    assert not outcomes["loaded"], "it did not have to go back to a checkpoint"


def test_two_hundred_timers_change_no_bit():
    def ring(*_: object) -> None:
        raise KeyboardInterrupt

    def agent() -> TeamAgent:
        return TeamAgent("cartpole", backend="local", hidden=(8,), seed=1, settle_steps=4)

    before, rung = signal.signal(signal.SIGALRM, ring), 0
    with agent() as disturbed, agent() as calm:
        try:
            while rung < 200:
                signal.setitimer(signal.ITIMER_REAL, 0.004)
                try:
                    disturbed.learn(env_steps=5000)
                except KeyboardInterrupt:
                    rung += 1
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0.0)
        finally:
            signal.signal(signal.SIGALRM, before)
        disturbed.learn(env_steps=10)  # one that was stopped at a reset has as many environment steps as before it
        calm.learn(env_steps=disturbed.summary()["env_steps"])
        assert disturbed.summary()["digest"] == calm.summary()["digest"]
        assert disturbed.summary()["episodes"] == calm.summary()["episodes"]


@pytest.fixture
def _interrupts() -> Iterator[None]:
    """Ctrl-C as Python has it, which some who run tests ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
def test_no_episode_is_lost_to_a_signal_at_its_end(monkeypatch: pytest.MonkeyPatch):
    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2) as agent:
        run, step = agent._run, agent._run.task.step

        def ending(output):
            ended = step(output)
            if ended:
                signal.raise_signal(signal.SIGINT)
            return ended

        monkeypatch.setattr(run.task, "step", ending)
        with pytest.raises(KeyboardInterrupt):
            run.advance()
        monkeypatch.undo()
        assert [episode.episode for episode in run.advance()] == [1]


def test_a_callback_that_raises_is_called_between_two_steps():
    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2) as agent, TeamAgent(
        "cartpole", backend="local", hidden=(4,), settle_steps=2
    ) as calm:
        for steps in range(0, 60, 3):
            def until(steps: int = steps) -> bool:
                if agent._run.task.env_steps >= steps:
                    raise LookupError
                return False

            with pytest.raises(LookupError):
                collections.deque(iter(lambda until=until: agent._run.advance(until), None), maxlen=0)
        agent.learn(env_steps=10)
        calm.learn(env_steps=agent.summary()["env_steps"])
        assert calm.summary()["digest"] == agent.summary()["digest"]


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize("times", [1, 100], ids=["once", "again and again"])
def test_a_step_that_does_not_end_is_ended(times: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(held_signals, "PATIENCE", 0.05)
    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2) as agent:
        agent._run.exclusive.longest = 0.3
        agent.learn(env_steps=10)
        act = agent._run._executor.act

        def never(*arguments):
            act(*arguments)
            for number in range(1000):
                if number < times:
                    signal.raise_signal(signal.SIGINT)
                time.sleep(0.01)

        with monkeypatch.context() as patch:
            patch.setattr(agent._run._executor, "act", never)
            with pytest.raises(KeyboardInterrupt):
                agent.learn(env_steps=10)
        with pytest.raises(StepInterrupted):
            agent.learn(env_steps=10)
    reminders = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for thread in reminders:
        thread.join(timeout=5.0)  # a cancelled one may still be ending
    assert not any(thread.is_alive() for thread in reminders), "nor any reminder"


def _raise_while_held(numbers: tuple[signal.Signals, ...], calls: list[int]) -> None:
    held = HeldSignals()
    with held, held:
        for number in numbers:
            signal.raise_signal(number)
        assert not calls


def test_answers_that_are_half_accepted_are_refused(monkeypatch: pytest.MonkeyPatch):
    accept, left = Row.accept, [11]

    def interrupted(row: Row, *arguments: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        accept(row, *arguments)

    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2, num_envs=4) as agent:
        monkeypatch.setattr(Row, "accept", interrupted)
        with pytest.raises(KeyboardInterrupt):
            agent.learn(env_steps=100)
        for use in (agent.state, agent.summary, lambda: agent.learn(env_steps=1), lambda: agent.predict([0.0] * 4)):
            with pytest.raises(StepInterrupted):
                use()


@pytest.mark.usefixtures("_interrupts")
def test_a_signal_is_handled_although_an_episode_ends_in_every_step(monkeypatch: pytest.MonkeyPatch):
    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2) as agent:
        task, step = agent._run.task, agent._run.task.step

        def ending(output: object) -> list[Episode]:
            if task.env_steps == 5:
                signal.raise_signal(signal.SIGINT)
            return [*step(output), Episode(0, 0, 0.0, 1)]

        monkeypatch.setattr(task, "step", ending)
        with pytest.raises(KeyboardInterrupt):
            agent.learn(env_steps=50)
        assert task.env_steps == 6


def test_handlers_are_put_back_whatever_they_raise():
    calls: list[int] = []

    def raising(number: int, frame: object) -> None:
        calls.append(number)
        raise LookupError

    numbers = (signal.SIGALRM, signal.SIGUSR1, signal.SIGHUP)
    before = {number: signal.signal(number, raising) for number in numbers}
    try:
        with pytest.raises(LookupError):
            _raise_while_held(numbers, calls)
        assert {signal.getsignal(number) for number in numbers} == {raising}
        with pytest.raises(LookupError):
            signal.raise_signal(signal.SIGUSR1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_team_that_failed_refuses_to_go_on(monkeypatch: pytest.MonkeyPatch):
    with TeamAgent("cartpole", backend="local", hidden=(4,), settle_steps=2) as agent:
        lost = ActorLost("team", expected="all actors alive", found="a test", remedy="Go on.")

        def losing(*arguments: object) -> None:
            raise lost

        with monkeypatch.context() as patch:
            patch.setattr(agent._run._executor, "learn", losing)
            with pytest.raises(ActorLost):
                agent.learn(env_steps=10)
        with pytest.raises(ActorLost) as again:
            agent.learn(env_steps=10)
        assert again.value is lost


@pytest.mark.parametrize("use", [
    lambda agent: agent.learn(env_steps=1), lambda agent: agent.predict([0.0] * 4), lambda agent: agent.state(),
    lambda agent: agent.summary(), lambda agent: agent.save("x"), lambda agent: agent.make_environment(),
    lambda agent: agent._run.advance(), lambda agent: agent._run.ledger(),
])
def test_a_closed_agent_refuses(use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    agent = TeamAgent("cartpole", backend="local", hidden=(4,))
    agent.predict([0.0] * 4)
    agent.close()
    agent.close()
    with pytest.raises(Closed):
        use(agent)
    assert not list(tmp_path.iterdir())


def test_an_agent_ends_with_its_last_reference(monkeypatch: pytest.MonkeyPatch):
    ended: list[Run] = []
    close = Run.close
    monkeypatch.setattr(Run, "close", lambda run: (ended.append(run), close(run)))
    for number in range(3):
        agent = TeamAgent("cartpole", backend="local", hidden=(4,), seed=number)
        agent.learn(env_steps=5)
        assert len(ended) == number, "the one before, whose name was given to this one"
    del agent
    assert len(ended) == 3
