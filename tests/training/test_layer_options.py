"""Layers that differ, skip connections, and hidden functions of a user's own, given as a user gives them."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet import TeamAgent, TrainedPolicy
from teamnet.dataflow.layers import Rate, Reader
from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.resolve import Interface, build_teams
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.checkpoint import checkpoints_in, load_checkpoint
from teamnet.training.saving import Saving
from teamnet.training.session import IfPresent, resume, train
from tests.rules.user_rules import SWISH

LOCAL = LaunchSpec(backend="local")
INTERFACE = Interface(4, 2, "categorical")


def _spec(*layers: str, method: str = "map", **options: object) -> RunSpec:
    return changed(
        preset("cartpole", method), hidden=(6, 5), env_steps=80, episodes=None, layers=layers, **options
    )


def test_layers_have_what_the_texts_say():
    actor, critic = build_teams(
        _spec("hidden:function=tanh", "actor.2:function=relu", "critic.3:reads=0,2", "1:step_size=0.25"), INTERFACE
    )
    assert [layer.function for layer in actor] == ["tanh", "relu", "linear"]
    assert [layer.function for layer in critic] == ["tanh", "tanh", "linear"]
    assert [layer.rule.numbers()["step_size"] for layer in actor] == [0.25, 0.5, 0.5]
    assert (critic[2].sources, critic[2].fan_in) == ((0, 2), 9)
    spec = _spec()
    assert spec.critic is not None
    rate = Rate(spec.critic.rates[2], spec.critic.final_rates[2], spec.anneal_steps)
    reader = Reader(3, 4, 9, 1, rate, "gaussian", "linear", spec.critic.variances[2], 1.0)
    assert critic[1].readers == (reader,)


def test_units_have_the_type_that_the_texts_say():
    actor, _ = build_teams(_spec("actor.hidden:units=sign", "1:temperature=0.5", method="reinforce"), INTERFACE)
    assert [(layer.family, layer.temperature) for layer in actor[:2]] == [("sign", 0.5), ("sign", 1.0)]
    assert actor[2].family == "categorical"


@pytest.mark.parametrize("layers", [
    ("foo",), ("2:function",), ("0:function=tanh",), ("4:step_size=0.1",), ("3:function=tanh",), ("2:function=tanhh",),
    ("1:reads=0,1",), ("2:reads=2",), ("2:reads=1,1",), ("3:reads=1",), ("2:reads=a",), ("hidden:units=bernoulli",),
    ("hidden:units=categorical",), ("2:foo=3",), ("2:step_size=9",), ("2:step_size=x",), ("2:settle_steps=3",),
    ("1:temperature=0",), ("2:function=nowhere.py:f",),
])
def test_what_does_not_fit_is_refused(layers: tuple[str, ...]):
    with pytest.raises(SpecError):
        train(_spec(*layers), LOCAL, None)


@pytest.mark.parametrize(("method", "layers", "options"), [
    ("map", ("critic.3:reads=2,0", "3:reads=1,2"), {"feedback": "backprojected"}),
    ("reinforce", ("1:units=sign", "1:function=tanh"), {}),
])
def test_layers_that_the_rule_cannot_have_are_refused(method: str, layers: tuple[str, ...], options: dict):
    with pytest.raises(SpecError) as refusal:
        train(_spec(*layers, method=method, **options), LOCAL, None)
    assert refusal.value.where.startswith("layers")


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize(("method", "layers"), [
    ("tuned", ("1:function=tanh", "3:reads=2,0", "critic.2:step_size=0.3")),
    ("reinforce", ("actor.hidden:units=bernoulli", "critic.3:reads=0,1,2")),
    ("backprop", ("hidden:units=sign", "actor.1:temperature=2")),
])
def test_actors_compute_what_one_process_computes(method: str, layers: tuple[str, ...]):
    spec = _spec(*layers, method=method)
    expected = train(spec, LOCAL, None)[0]["digest"]
    assert expected != train(_spec(method=method), LOCAL, None)[0]["digest"]
    for grain, transport in (("layer", "board"), ("block:4", "board"), ("layer", "ray")):
        assert train(spec, LaunchSpec(grain=grain, transport=transport), None)[0]["digest"] == expected


@pytest.fixture
def own(tmp_path: Path) -> RunSpec:
    (tmp_path / "own.py").write_text(SWISH)
    reference = f"{tmp_path}/own.py:swish"
    return _spec(f"critic.2:function={reference}", function=reference)


def test_a_function_is_named_by_its_file_by_its_module_and_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "of_swish.py").write_text(SWISH)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module("of_swish")
    digests = set()
    for given in ("of_swish.py:swish", "of_swish:swish", module.swish):
        with TeamAgent("cartpole", backend="local", hidden=(5,), settle_steps=2, function=given) as agent:
            digests.add(agent.learn(env_steps=50).summary()["digest"])
            agent.save(tmp_path / "saved")
    assert len(digests) == 1
    (tmp_path / "of_swish.py").unlink()
    with TeamAgent.load(tmp_path / "saved") as agent:
        agent.learn(env_steps=50)
    for wrong in (lambda p: p, "no_such_module:f", "of_swish:f", abs):
        with pytest.raises(SpecError):
            TeamAgent("cartpole", backend="local", function=wrong)


@pytest.mark.usefixtures("shared_ray")
def test_a_function_of_ones_own_travels_to_actors(own: RunSpec, tmp_path: Path):
    expected = train(own, LOCAL, None)[0]
    assert train(own, LaunchSpec(grain="block:4"), None)[0]["digest"] == expected["digest"]
    interpreted = train(own, replace(LOCAL, interpret=True), None)[0]
    assert interpreted["mean_return"] == expected["mean_return"]


def test_a_run_keeps_the_file_of_its_function(own: RunSpec, tmp_path: Path):
    whole = train(replace(own, env_steps=300), LOCAL, None)[0]
    train(own, LOCAL, tmp_path / "run", saving=Saving(every=100))
    kept = json.loads((tmp_path / "run/spec.json").read_text())
    assert kept["spec"]["function_files"] == [[f"{tmp_path}/own.py", SWISH]]
    assert kept["sha256"] == {f"{tmp_path}/own.py": hashlib.sha256(SWISH.encode()).hexdigest()}
    (tmp_path / "own.py").write_text(SWISH + "\n# another text\n")
    with pytest.raises(CheckpointError):
        train(own, LOCAL, tmp_path / "run", if_present=IfPresent.RESUME)
    (tmp_path / "own.py").unlink()
    assert resume(tmp_path / "run", env_steps=300)[0]["digest"] == whole["digest"]
    assert TrainedPolicy.load(tmp_path / "run").predict(np.zeros(4))[0] in (0, 1)


@pytest.mark.parametrize(("text", "line"), [
    ("def swish(p):\n    return p", 1), ("def swish(p):\n    return p / 0.0, 1.0", 1), ("x = 1\n\ndef swash(p:\n", 3),
    ("def swash(p):\n    return p, 1.0", None), ("import numpy as np\n\n\ndef swish(p):\n    return p, p[:, :2]", 4),
])
def test_a_file_with_a_mistake_is_refused_with_its_line(own: RunSpec, tmp_path: Path, text: str, line: int | None):
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(SpecError) as refusal, np.errstate(all="ignore"):
        train(own, LOCAL, None)
    assert refusal.value.where == (f"{tmp_path}/own.py:{line}" if line else f"{tmp_path}/own.py")


def test_a_function_that_does_not_compile_is_refused_with_its_line(own: RunSpec, tmp_path: Path):
    (tmp_path / "own.py").write_text("import math\n\n\ndef swish(p):\n    return {0: p}[0], 1.0\n")
    with pytest.raises(SpecError) as refusal:
        train(own, LOCAL, None)
    assert refusal.value.where == f"{tmp_path}/own.py:4"


@pytest.mark.parametrize("layers", [("1:units=bernoulli", "3:reads=0,2")])
def test_a_trained_policy_reads_what_its_layers_read(tmp_path: Path, layers: tuple[str, ...]):
    spec = _spec(*layers, method="reinforce")
    train(spec, LOCAL, tmp_path / "run")
    policy = TrainedPolicy.load(tmp_path / "run")
    state, _ = load_checkpoint(checkpoints_in(tmp_path / "run")[-1].path)
    p = np.linspace(-1, 1, 4)
    h = 1 / (1 + np.exp(-(p @ state["actor.1.incoming.value"] + state["actor.1.biases.value"][0])))
    g = np.logaddexp(0, h @ state["actor.2.incoming.value"] + state["actor.2.biases.value"][0])
    out = np.concatenate([p, g]) @ state["actor.3.incoming.value"] + state["actor.3.biases.value"][0]
    assert policy.predict(p)[0] == out.argmax()


def test_activations_of_two_values_travel_as_bits():
    spec = _spec("actor.hidden:units=sign", method="reinforce")
    activation = train(spec, LOCAL, None)[0]["communication"]["edges"]["activation"]
    assert activation["bytes"] == activation["messages"] / 4 * (1 + 1 + 8 * 6 + 8 * 5)
