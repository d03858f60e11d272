"""A trained team's policy explores as its units do."""

from __future__ import annotations

import numpy as np
import pytest

from teamnet import TeamAgent
from teamnet.errors import SpecError
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.training.policy import Policy
from tests.conftest import make_layers
from tests.team.executors import local, state_of


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
