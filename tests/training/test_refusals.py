"""Every refusal of a spec, by the field that it names, before anything is started."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet import TeamAgent
from teamnet.board.segment import create_segment
from teamnet.errors import ResourceError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.presets import PRESETS, preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team.limits import available_memory
from teamnet.team.resources import check_memory
from teamnet.training.run import Run
from tests.conftest import make_layers

CARTPOLE = preset("cartpole")
LOCAL = LaunchSpec("local")


@pytest.mark.parametrize(
    ("change", "where", "meant"),
    [
        ({"rule": "mapp"}, "rule", "map"),
        ({"function": "softpluss"}, "function", "softplus"),
        ({"seed": -1}, "seed", ""),
        ({"env_steps": 0}, "env_steps", ""),
        ({"env_steps": None, "episodes": None}, "env_steps", ""),
        ({"num_envs": 0}, "num_envs", ""),
        ({"settle_steps": -1}, "settle_steps", ""),
        ({"hidden": (1,) * 1001}, "hidden layers", ""),
        ({"hidden": (64, 0)}, "hidden[2]", ""),
        ({"step_size": 0.0}, "step_size", ""),
        ({"step_size": 2.5}, "step_size", ""),
        ({"discount": 1.1}, "discount", ""),
        ({"discount": float("nan")}, "discount", ""),
        ({"reward_limit": 0.0}, "reward_limit", ""),
        ({"action_scale": float("inf")}, "action_scale", ""),
        ({"divergence_retries": -1}, "divergence_retries", ""),
        ({"address_bits": 17}, "address_bits", ""),
        ({"schedule": "sweep"}, "schedule", "sweeps"),
        ({"schedule": "sweeps", "settle_steps": 0}, "settle_steps", ""),
        ({"schedule": "sweeps", "rule": "backprop"}, "schedule", ""),
        ({"feedback": "mirrors"}, "feedback", "mirror"),
        ({"feedback": "kolen-pollack"}, "weight_decay", ""),
        ({"weight_decay": 1.0}, "weight_decay", ""),
        ({"feedback": "random", "rule": "reinforce"}, "feedback", ""),
        ({"feedback": "backprojected", "send_threshold": 0.1}, "send_threshold", ""),
        ({"feedback": "recomputed", "schedule": "sweeps"}, "feedback", ""),
        ({"feedback": "recomputed", "settle_steps": 0}, "feedback", ""),
        ({"feedback": "recomputed", "exchange_every": 2}, "feedback", ""),
        ({"feedback": "recomputed", "rule": "backprop"}, "feedback", ""),
        ({"message_dtype": "float16"}, "message_dtype", ""),
        ({"error_feedback": True}, "error_feedback", ""),
        ({"send_threshold": -0.1}, "send_threshold", ""),
        ({"send_threshold": 0.1, "rule": "backprop"}, "send_threshold", ""),
        ({"send_threshold": 0.1, "message_dtype": "int8"}, "send_threshold", ""),
        ({"send_threshold": 0.1, "message_dtype": "int8", "error_feedback": True}, "send_threshold", ""),
        ({"exchange_every": 0}, "exchange_every", ""),
        ({"exchange_every": 2, "rule": "backprop"}, "exchange_every", ""),
        ({"td_error": "shouted"}, "td_error", ""),
        ({"td_error": "passed-down"}, "td_error", ""),
        ({"td_error": "passed-down", "schedule": "sweeps", "send_threshold": 0.1}, "td_error", ""),
        ({"td_error": "passed-down", "schedule": "sweeps", "task": "multiplexer"}, "td_error", ""),
        ({"exchange_every": 2, "schedule": "sweeps"}, "exchange_every", ""),
        ({"exploration": 1.5}, "exploration", ""),
        ({"entropy": -0.1, "rule": "backprop"}, "entropy", ""),
        ({"entropy": 0.1}, "entropy", ""),
        ({"acting_steps": 0, "rule": "map-async"}, "acting_steps", ""),
        ({"signal": "rewards"}, "signal", "reward"),
        ({"signal": "reward"}, "signal", ""),
        (
            {**vars(preset("regression")), "signal": "reward", "num_envs": 1},
            "num_envs", "",
        ),
        ({"task": "multiplexer", "rule": "map-async"}, "rule", ""),
    ],
)
def test_run_values(change: dict[str, Any], where: str, meant: str):
    with pytest.raises(SpecError) as refused:
        Run(changed(CARTPOLE, **change), LOCAL)
    assert refused.value.where == where
    assert meant in refused.value.remedy


@pytest.mark.parametrize(
    ("change", "where", "meant"),
    [
        ({"variances": (0.03, 0.0)}, "actor.variances", ""),
        ({"variances": (0.03, 0.1, 0.1)}, "actor.variances", ""),
        ({"rates": (0.1, -0.1, 0.1)}, "actor.rates", ""),
        ({"rates": (0.1,)}, "actor.rates", ""),
        ({"final_rates": (0.1,) * 4}, "actor.final_rates", ""),
        ({"trace_lambda": 1.5}, "actor.trace_lambda", ""),
        ({"temperature": 0.0}, "actor.temperature", ""),
        ({"rule": "backrop"}, "actor.rule", "backprop"),
        ({"rule": "map-async"}, "actor.rule", ""),
        ({"rule": "reinforce", "schedule": "sweeps"}, "actor.schedule", ""),
        ({"schedule": "sweep"}, "actor.schedule", "sweeps"),
        ({"schedule": "sweeps", "settle_steps": 0}, "actor.settle_steps", ""),
        ({"exploration": -0.5}, "actor.exploration", ""),
    ],
)
def test_team_values(change: dict[str, Any], where: str, meant: str):
    assert CARTPOLE.actor is not None
    with pytest.raises(SpecError) as refused:
        Run(changed(CARTPOLE, actor=change), LOCAL)
    assert refused.value.where == where
    assert meant in refused.value.remedy


@pytest.mark.parametrize(
    ("launch", "where", "meant"),
    [
        (LaunchSpec("rai"), "backend", "ray"),
        (LaunchSpec(transport="bord"), "transport", "board"),
        (LaunchSpec(grain="layers"), "grain", "layer"),
        (LaunchSpec(grain="block:0"), "grain", ""),
        (LaunchSpec(placement="by-laier"), "placement", "by-layer"),
        (LaunchSpec("local", link_latency=0.1), "link_latency", ""),
        (LaunchSpec("local", pin="actor=0"), "pin", ""),
        (LaunchSpec(transport="ray", pin="actor=0"), "pin", ""),
        (LaunchSpec(pin="actor=a"), "pin", ""),
        (LaunchSpec(wait=-1.0), "wait", ""),
        (LaunchSpec(env_patience=-1.0), "env_patience", ""),
        (LaunchSpec(link_latency=-1.0), "link_latency", ""),
        (LaunchSpec(link_bandwidth=float("inf")), "link_bandwidth", ""),
    ],
)
def test_launch_values(launch: LaunchSpec, where: str, meant: str):
    with pytest.raises(SpecError) as refused:
        Run(CARTPOLE, launch)
    assert refused.value.where == where
    assert meant in refused.value.remedy


def test_a_run_that_is_refused_leaves_no_environment():
    assert CARTPOLE.actor is not None
    before, handler = threading.enumerate(), signal.getsignal(signal.SIGUSR2)
    with pytest.raises(SpecError, match="actor.rates"):
        Run(replace(CARTPOLE, actor=replace(CARTPOLE.actor, rates=(0.1,))), LOCAL)
    assert threading.enumerate() == before, "not even who watches over it"
    assert signal.getsignal(signal.SIGUSR2) == handler


def test_an_unknown_task_and_an_unknown_option_name_the_nearest():
    with pytest.raises(SpecError, match="task: .*found 'cartpol'. Did you mean 'cartpole'"):
        preset("cartpol")
    with pytest.raises(SpecError, match="found 'hiden'. Did you mean 'hidden'"):
        TeamAgent("cartpole", hiden=(3,))


def test_a_single_step_task_has_the_team_that_it_needs():
    with pytest.raises(SpecError) as refusal:
        Run(replace(preset("multiplexer"), critic=CARTPOLE.critic), LOCAL)
    assert refusal.value.where == "actor"


@pytest.mark.parametrize("name", PRESETS)
def test_specs_survive_json(name: str):
    assert from_plain(RunSpec, to_plain(PRESETS[name])) == PRESETS[name]


def test_unknown_keys_and_wrong_types_in_json_are_refused():
    plain = to_plain(CARTPOLE)
    with pytest.raises(SpecError, match="spec.discout: .*Did you mean 'discount'"):
        from_plain(RunSpec, plain | {"discout": 1})
    with pytest.raises(SpecError, match=r"spec.actor.variences: .*Did you mean 'variances'"):
        from_plain(RunSpec, plain | {"actor": plain["actor"] | {"variences": [1]}})
    with pytest.raises(SpecError, match=r"spec.hidden\[1\]: expected int; found 'a'"):
        from_plain(RunSpec, plain | {"hidden": [1, "a"]})
    with pytest.raises(SpecError, match="expected all required keys"):
        from_plain(RunSpec, {})
    with pytest.raises(SpecError, match="expected a JSON object; found list"):
        from_plain(RunSpec, [])


ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.floats() | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(sorted(to_plain(CARTPOLE))), ANYTHING, max_size=3))
def test_any_json_is_a_spec_or_is_refused(changes: dict[str, Any]):
    try:
        spec = from_plain(RunSpec, to_plain(CARTPOLE) | changes)
    except SpecError:
        return
    assert isinstance(spec, RunSpec)


def test_too_little_memory_is_refused_before_any_actor_starts():
    teams = [make_layers((4, 64, 32, 2))]
    with pytest.raises(ResourceError, match=r"194 actors: expected 12\.\d GiB of free memory; found 4.0 GiB.*--grain"):
        check_memory(teams, 194, 4 << 30)
    check_memory(teams, 6, 4 << 30)
    assert available_memory() > 1 << 28
    wide = [make_layers((65_552, 1), rows=100_000, single_step=True)]  # the observations are 105 GB
    with pytest.raises(ResourceError, match=r"the teams: expected 97\.\d GiB of free memory; found 64.0 GiB"):
        check_memory(wide, 0, 64 << 30)


@pytest.mark.parametrize("launch", [LOCAL, LaunchSpec()], ids=["local", "ray"])
def test_layers_larger_than_memory_are_refused(launch: LaunchSpec):
    with pytest.raises(ResourceError, match=r"expected \d{5,}\.\d GiB of free memory.*smaller layers"):
        Run(replace(CARTPOLE, hidden=(1_000_000, 1_000_000)), launch)


def test_too_little_shared_memory_is_refused_with_what_is_needed():
    with pytest.raises(ResourceError, match=rf"/dev/shm: expected {1 << 50} free bytes for the board"):
        create_segment(1 << 50)
