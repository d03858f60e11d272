"""A trained team's policy explores as its units do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teamnet import TeamAgent
from teamnet.dataflow.layers import linked
from teamnet.errors import SpecError
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.training.policy import Policy
from tests.conftest import make_layers
from tests.team.executors import drive, local, signals, state_of


@pytest.mark.parametrize(
    ("schedule", "exploration", "noisy"),
    [("jacobi", 1.0, True), ("sweeps", 1.0, True), ("chain", 0.0, False), ("ticks", 1.0, False)],
)
def test_hidden_units_explore_as_in_training(schedule: str, exploration: float, noisy: bool):
    teams = [make_layers((3, 30, 2), family="gaussian", schedule=schedule, exploration=exploration, variance=0.2)]
    state = state_of(local(teams), teams, "layer")
    policy = Policy(teams[0], state, seed=1)
    observation = np.tile([[0.3, -1.0, 0.5]], (20_000, 1))
    mean = policy.act(observation[:1], greedy=True)[0]
    output = policy.act(observation, greedy=False)
    own = teams[0][1].variance
    weights = state["actor.2.incoming.value"]
    expected = own + (0.2 * (weights**2).sum(0) if noisy else 0.0)
    np.testing.assert_allclose(output.var(0), expected, rtol=0.06)
    np.testing.assert_allclose(output.mean(0), mean, atol=0.05)


def test_the_agent_takes_a_preset_by_name_or_by_its_rule():
    with TeamAgent("cartpole", preset="tuned", backend="local", hidden=(4, 3)) as tuned:
        assert tuned._run.spec.rule == MapPropagation(schedule="sweeps", settle_steps=2)
    with TeamAgent("cartpole", rule="backprop", backend="local", hidden=(4, 3)) as backprop:
        assert (backprop._run.spec.rule, backprop._run.spec.exploration) == (Backpropagation(), 0.0)
    with pytest.raises(SpecError, match=r"preset: expected one of map, .*found 'tunde'. Did you mean 'tuned'\?"):
        TeamAgent("cartpole", preset="tunde")


@pytest.mark.parametrize("choices", [(2,), (3, 2, 4)])
def test_a_policy_with_a_reference_category_chooses_as_its_units_do(choices: tuple[int, ...]):
    """No weight leads to the last category of an agent, though its column has initial weights."""
    team = make_layers(
        (3, 6, sum(choices)), schedule="weight-max", family="reference", hidden_types=("bernoulli",), rows=200,
        exploration=0.0,
    )
    teams = [linked(3, [team[0], replace(team[1], choices=choices)])]
    executor = local(teams)
    drive(executor, teams, 20)
    state = state_of(executor, teams, "layer")
    observation, _, keep = signals(teams[0][0], 20)
    executor.act(observation, keep)
    below, probabilities = (unit.private("mean") for unit in executor.units)
    preactivation = below @ state["actor.2.incoming.value"] + state["actor.2.biases.value"]
    output = teams[0][1]
    mean = output.unit_type.mean(preactivation, output.function, output.temperature, choices)
    np.testing.assert_allclose(mean, probabilities, rtol=1e-12)
    policy, ends = Policy(teams[0], state, seed=1), np.cumsum(choices)[:-1]
    chosen = policy.act(observation, greedy=True)
    for one, other in zip(np.split(chosen, ends, 1), np.split(probabilities, ends, 1), strict=True):
        np.testing.assert_array_equal(one.argmax(1), other.argmax(1))
    sampled = np.mean([policy.act(observation, greedy=False) for _ in range(2000)], 0)
    np.testing.assert_allclose(sampled, probabilities, atol=5 * 0.5 / np.sqrt(2000))
