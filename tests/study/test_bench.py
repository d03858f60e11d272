"""The benchmark: its references, and the comparison with an earlier call."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from teamnet.errors import SpecError
from teamnet.spec.presets import preset
from teamnet.spec.resolve import build_teams
from teamnet.spec.run import LaunchSpec
from teamnet.study.bench import command
from teamnet.study.bench.cases import cases
from teamnet.study.bench.command import bench
from teamnet.study.bench.references import NumpyReference
from teamnet.study.interfaces import INTERFACES
from teamnet.study.reference import ReferenceTeam
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from tests.team.executors import state_of


def test_only_and_neuron_contradict_each_other():
    with pytest.raises(SpecError) as refusal:
        bench(only=("local",), neuron=True)
    assert refusal.value.where == "neuron"


def test_the_reference_of_a_task_of_one_step_learns_what_a_team_learns(generator: np.random.Generator):
    spec = replace(preset("multiplexer"), num_envs=3, hidden=(6, 5))
    (layers,) = build_teams(spec, INTERFACES["multiplexer"])
    noise = [generator.standard_normal((1, 3, 6)), generator.standard_normal((1, 3, 5)), generator.random((1, 3, 1))]
    executor = LocalExecutor([layers], divide_all([layers], "layer", 0), noise)
    state = state_of(executor, [layers], "layer")
    names = [f"actor.{layer.number}" for layer in layers]
    team = ReferenceTeam(
        layers, [state[f"{name}.incoming.value"] for name in names],
        [state[f"{name}.biases.value"][0] for name in names],
    )
    observation, reward = generator.standard_normal((3, 37)), generator.standard_normal(3)
    executor.act(observation, np.ones(3))
    executor.learn(reward)
    executor.pause()
    team.act(observation, [block[0] for block in noise])
    team.settle()
    team.learn_at_once(reward, 0)
    state = state_of(executor, [layers], "layer")
    for name, parameters in zip(names, team.parameters, strict=True):
        np.testing.assert_allclose(state[f"{name}.incoming.value"], parameters[:-1], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(state[f"{name}.biases.value"][0], parameters[-1], rtol=1e-9, atol=1e-12)


def test_references_are_of_the_task_and_the_size_of_their_cases():
    for name, case in cases(100).items():
        if case.against == "NumPy" and not name.startswith("wide"):
            assert NumpyReference(replace(case.spec, rule=preset("cartpole").rule, hidden=(3, 2)), 2).rate() > 0, name
    assert [name for name, case in cases(100).items() if case.against == "local"] == ["ray-two", "ray-512", "ray-deep"]


def test_a_ratio_is_of_the_rate_and_its_reference(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    quick = replace(cases(20)["local"], spec=replace(preset("cartpole"), hidden=(3,)), launch=LaunchSpec("local"))
    monkeypatch.setattr(command, "cases", lambda steps: {"local": quick})
    assert bench(1, 20, ("local",), json=True) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["ratio"] == pytest.approx(row["rate"] / row["reference"])

