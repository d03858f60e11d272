"""The whole training loop against one written after the official code's, where episodes time out.

The loop below keeps the official order: act, learn from the step before, clear traces, settle, step; an episode that
has ended takes one more step in which the environment resets; nothing is learned from a reset and from a time-out.
"""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import registry

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.reference import ReferenceTeam
from teamnet.team.partition import divide_all
from teamnet.training.run import Run
from teamnet.units.streams import ENVIRONMENT, KeyedNoise, initial_weights, keyed_generator

SHORT = "ShortLander-v0"
STEPS = 700


@pytest.fixture
def short_lander():
    gymnasium.register(SHORT, "gymnasium.envs.box2d.lunar_lander:LunarLander", max_episode_steps=70)
    yield SHORT
    registry.pop(SHORT)


def _official_loop(task: str, run: Run, seed: int) -> tuple[list[ReferenceTeam], list[float], int]:
    teams, noise = [], []
    for layers in run.teams:
        weights = [initial_weights(layer, layer.number, layer.fan_in, layer.size, seed) for layer in layers]
        teams.append(ReferenceTeam(layers, weights, [np.zeros(layer.size) for layer in layers]))
        noise.append([KeyedNoise(unit).block(2 * STEPS) for unit in divide_all([layers], "layer", seed)])
    actor, critic = teams
    environment = gymnasium.make(task)
    environment.reset(seed=int(keyed_generator(seed, ENVIRONMENT).integers(0, 2**31, 1)[0]))
    state, reward, ended, timed_out, ended_before = environment.reset()[0], 0.0, False, False, False
    value_before, returns, total, time_outs = None, [], 0.0, 0
    for step in range(STEPS):
        observation = np.asarray(state, float)[None]
        action = int(actor.act(observation, [block[step] for block in noise[0]]).argmax())
        critic.act(observation, [block[step] for block in noise[1]])
        value = critic.means[-1][0, 0]
        if value_before is not None:
            delta = reward + 0.98 * value * (not ended) - value_before
            if ended_before or timed_out:
                delta = 0.0
            for team in teams:
                team.learn(np.array([delta]), step)
        for team in teams:
            team.settle()
            team.trace(np.array([0.0 if ended_before or step == 0 else 1.0]))
        value_before, ended_before = value, ended
        if ended:
            returns.append(total)
            state, reward, ended, timed_out, total = environment.reset()[0], 0.0, False, False, 0.0
        else:
            state, gained, terminated, timed_out, _ = environment.step(action)
            reward, ended = float(gained), terminated or timed_out
            total += reward
            time_outs += timed_out and not terminated
    return teams, returns, time_outs


def test_the_loop_is_the_official_one_time_outs_included(short_lander: str):
    like = preset("lunarlander")
    spec = replace(like, task=short_lander, episodes=None, env_steps=10**6, seed=5)
    run = Run(spec, LaunchSpec(backend="local"))
    mine = [episode.total for _ in range(STEPS) for episode in run.advance(lambda: run.step >= STEPS)]
    state = run.state()
    teams, returns, time_outs = _official_loop(short_lander, run, 5)
    run.close()
    assert time_outs >= 3
    assert len(returns) >= 8
    np.testing.assert_allclose(mine[: len(returns)], returns, rtol=1e-9)
    for team in teams:
        for number, layer in enumerate(team.layers):
            name = f"{layer.team}.{layer.number}.incoming.value"
            np.testing.assert_allclose(state[name], team.parameters[number][:-1], rtol=1e-6, atol=1e-7)
