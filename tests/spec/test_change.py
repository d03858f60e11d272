"""A spec with other values, by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teamnet import TeamAgent
from teamnet.cli.options import Keeping, parse_run_options
from teamnet.errors import SpecError
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.reinforce import Reinforce
from teamnet.spec.change import changed
from teamnet.spec.check import check_run
from teamnet.spec.presets import preset

CARTPOLE = preset("cartpole")


def test_a_name_is_a_value_of_the_run_of_its_messages_or_of_its_rule():
    spec = changed(CARTPOLE, hidden=(3,), send_threshold=0.1, step_size=0.25)
    assert (spec.hidden, spec.messages.send_threshold) == ((3,), 0.1)
    assert spec.rule == MapPropagation(step_size=0.25)
    assert replace(spec, hidden=CARTPOLE.hidden, messages=CARTPOLE.messages, rule=CARTPOLE.rule) == CARTPOLE


@pytest.mark.parametrize("rule", ["backprop", Backpropagation, Backpropagation(feedback="random")])
def test_a_rule_is_a_name_a_class_or_an_object(rule: object):
    spec = changed(CARTPOLE, feedback="random", rule=rule)
    assert spec.rule == Backpropagation(feedback="random")


def test_another_rule_takes_the_settings_that_it_shares():
    tuned = preset("cartpole", "tuned")
    assert changed(changed(tuned, weight_decay=0.1), rule="backprop").rule == Backpropagation(weight_decay=0.1)
    assert changed(tuned, rule="map").rule == tuned.rule


def test_a_team_takes_values_and_settings_of_its_own():
    assert CARTPOLE.critic
    spec = changed(CARTPOLE, schedule="sweeps", critic={"settle_steps": 2, "trace_lambda": 0.5})
    assert spec.critic == replace(
        CARTPOLE.critic, trace_lambda=0.5, rule=MapPropagation(schedule="sweeps", settle_steps=2)
    )
    assert spec.actor == CARTPOLE.actor
    assert spec.rules == [MapPropagation(schedule="sweeps"), MapPropagation(schedule="sweeps", settle_steps=2)]
    check_run(spec)


@pytest.mark.parametrize(("values", "where"), [
    ({"hiden": (3,)}, "hiden"), ({"entropy": 0.1}, "entropy"), ({"actor": {"rate": 1.0}}, "actor.rate"),
    ({"critic": {"entropy": 0.1}}, "critic.entropy"), ({"rule": "mapp"}, "rule"),
    ({"rule": Reinforce, "td_error": "x"}, "td_error"),
])
def test_a_name_that_nothing_has_is_refused(values: dict, where: str):
    with pytest.raises(SpecError) as refusal:
        changed(CARTPOLE, **values)
    assert refusal.value.where == where


def test_settings_of_settling_are_given_to_all_rules_of_the_package():
    assert changed(CARTPOLE, rule="reinforce", settle_steps=5).rule == Reinforce()
    with pytest.raises(SpecError) as refusal:
        changed(preset("multiplexer"), critic={"rates": (1.0,)})
    assert refusal.value.where == "critic.rates"


@pytest.mark.parametrize(("options", "expected"), [
    (["--critic.settle-steps", "3"], {"critic": {"settle_steps": 3}}),
    (["--actor.schedule=sweeps", "--critic.schedule", "sweeps"],
     {"actor": {"schedule": "sweeps"}, "critic": {"schedule": "sweeps"}}),
    (["--preset", "reinforce", "--critic.feedback", "random"], {"critic": {"feedback": "random"}}),
    (["--critic.rule", "backprop", "--critic.entropy", "0.5"], {"critic": {"rule": "backprop", "entropy": 0.5}}),
])
def test_a_setting_of_a_team_is_an_option(options: list[str], expected: dict):
    spec, _, _ = parse_run_options("train", "", Keeping, "cartpole", options)
    assert spec == changed(preset("cartpole", "reinforce" if "reinforce" in options else "map"), **expected)


@pytest.mark.parametrize("rule", ["backprop", Backpropagation, Backpropagation()])
def test_an_agent_by_a_rule_has_the_preset_of_the_rule(rule: object):
    with TeamAgent("cartpole", rule=rule, backend="local", hidden=(3,)) as agent:
        assert agent._run.spec.exploration == preset("cartpole", "backprop").exploration == 0.0


def test_an_option_of_the_launch_is_named_too():
    with pytest.raises(SpecError) as refusal:
        TeamAgent("cartpole", bakend="local")
    assert "backend" in refusal.value.remedy
