"""Every refusal of a spec, by its message, before anything is started."""

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
    ("change", "message"),
    [
        ({"rule": "mapp"}, r"rule: expected one of map, map-async, .*; found 'mapp'. Did you mean 'map'\?"),
        ({"function": "softpluss"}, "function: .*Did you mean 'softplus'"),
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"env_steps": 0}, "env_steps: expected a whole number from 1"),
        ({"env_steps": None, "episodes": None}, "expected an end of the run"),
        ({"num_envs": 0}, "num_envs: expected a whole number from 1"),
        ({"settle_steps": -1}, "settle_steps: expected a whole number from 0"),
        ({"hidden": (1,) * 1001}, "hidden layers: expected a whole number from 0 to 1000; found 1001"),
        ({"hidden": (64, 0)}, r"hidden\[2\]: expected a whole number from 1"),
        ({"step_size": 0.0}, "step_size: expected 0 < step_size < 2"),
        ({"step_size": 2.5}, "step_size: expected 0 < step_size < 2"),
        ({"discount": 1.1}, "discount: expected 0 <= discount <= 1"),
        ({"discount": float("nan")}, "discount: .*found nan"),
        ({"reward_limit": 0.0}, "reward_limit: expected more than 0"),
        ({"action_scale": float("inf")}, "action_scale: expected a finite number"),
        ({"halvings": -1}, "halvings: expected a whole number from 0"),
        ({"address_bits": 17}, "address_bits: expected a whole number from 1 to 16"),
        ({"schedule": "sweep"}, "schedule: expected one of jacobi, sweeps.*Did you mean 'sweeps'"),
        ({"schedule": "sweeps", "settle_steps": 0}, "settle_steps: expected a whole number from 1"),
        ({"schedule": "sweeps", "rule": "backprop"}, "schedule: .*Only --rule map settles by choice"),
        ({"feedback": "mirrors"}, "feedback: expected one of .*Did you mean 'mirror'"),
        ({"feedback": "kolen-pollack"}, "forgetting: expected between 0 and 1; found 0.0.*try 1e-4"),
        ({"forgetting": 1.0}, "forgetting: expected 0 or more and below 1"),
        ({"feedback": "random", "rule": "reinforce"}, "feedback: .*REINFORCE sends nothing down"),
        ({"feedback": "shipped", "tolerance": 0.1}, "tolerance: .*shipped products are not what a neuron says"),
        ({"wire": "float16"}, "wire: expected one of float64, float32, bfloat16, int8"),
        ({"error_feedback": True}, "error_feedback: expected a --wire that leaves something out; found float64"),
        ({"tolerance": -0.1}, "tolerance: expected 0 or more"),
        ({"tolerance": 0.1, "rule": "backprop"}, "tolerance: .*Only --rule map settles"),
        ({"tolerance": 0.1, "wire": "int8", "error_feedback": True}, "tolerance: .*--error-feedback would move"),
        ({"exchange_every": 0}, "exchange_every: expected a whole number from 1"),
        ({"exchange_every": 2, "rule": "backprop"}, "exchange_every: .*Only the schedule jacobi settles between"),
        ({"td_error": "shouted"}, "td_error: expected one of broadcast, passed-down; found 'shouted'"),
        ({"td_error": "passed-down"}, "td_error: .*It comes down with the first errors of sweeps or descents of all"),
        ({"td_error": "passed-down", "schedule": "sweeps", "tolerance": 0.1}, "td_error: .*use --td-error broadcast"),
        ({"td_error": "passed-down", "schedule": "sweeps", "task": "multiplexer"}, "td_error: .*use --td-error broad"),
        ({"exchange_every": 2, "schedule": "sweeps"}, "exchange_every: .*Only the schedule jacobi settles between"),
        ({"exploring": 1.5}, "exploring: expected 0 <= exploring <= 1"),
        ({"entropy": -0.1, "rule": "backprop"}, "entropy: expected 0 or more"),
        ({"entropy": 0.1}, "entropy: .*Only --rule backprop carries the gradient of the entropy"),
        ({"acting_steps": 0}, "acting_steps: expected a whole number from 1"),
        ({"signal": "rewards"}, "signal: expected one of target, reward.*Did you mean 'reward'"),
        ({"signal": "reward"}, "signal: .*Only regression has a known target"),
        (
            {**vars(preset("regression")), "signal": "reward", "num_envs": 1},
            "num_envs: expected 2 or more with --signal reward; found 1",
        ),
        ({"task": "multiplexer", "rule": "map-async"}, "rule: expected map, reinforce or backprop for a task"),
    ],
)
def test_run_values(change: dict[str, Any], message: str):
    with pytest.raises(SpecError, match=message):
        Run(replace(CARTPOLE, **change), LOCAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variances": (0.03, 0.0)}, "actor.variances: expected numbers above 0; found 0.0"),
        ({"variances": (0.03, 0.1, 0.1)}, "actor.variances: expected 2 values, one for each layer.*; found 3"),
        ({"rates": (0.1, -0.1, 0.1)}, "actor.rates: expected numbers of 0 or more"),
        ({"rates": (0.1,)}, "actor.rates: expected 3 values"),
        ({"final_rates": (0.1,) * 4}, "actor.final_rates: expected 3 values"),
        ({"trace_lambda": 1.5}, "actor.trace_lambda: expected 0 <= lambda <= 1"),
        ({"temperature": 0.0}, "actor.temperature: expected more than 0"),
        ({"rule": "backrop"}, r"actor.rule: expected one of map.*Did you mean 'backprop'\?"),
        ({"rule": "map-async"}, "actor.rule: expected the run's rule, map; .*for all teams of a run or for none"),
        ({"rule": "reinforce", "schedule": "sweeps"}, "actor.schedule: expected none with this rule"),
        ({"schedule": "sweep"}, r"actor.schedule: expected one of jacobi, sweeps.*Did you mean 'sweeps'\?"),
        ({"schedule": "sweeps", "settle_steps": 0}, "actor.settle_steps: expected a whole number from 1"),
        ({"exploring": -0.5}, "actor.exploring: expected 0 <= exploring <= 1"),
    ],
)
def test_team_values(change: dict[str, Any], message: str):
    assert CARTPOLE.actor is not None
    with pytest.raises(SpecError, match=message):
        Run(replace(CARTPOLE, actor=replace(CARTPOLE.actor, **change)), LOCAL)


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (LaunchSpec("rai"), "backend: expected one of ray, local; found 'rai'. Did you mean 'ray'"),
        (LaunchSpec(transport="bord"), "transport: .*Did you mean 'board'"),
        (LaunchSpec(grain="layers"), "grain: expected layer, block:K .*; found 'layers'. Did you mean 'layer'"),
        (LaunchSpec(grain="block:0"), "grain: expected layer, block:K"),
        (LaunchSpec(placement="by-laier"), "placement: expected one of pack, .*Did you mean 'by-layer'"),
        (LaunchSpec("local", link_latency=0.1), "link_latency: expected 0 for a run on one node"),
        (LaunchSpec(wait=-1.0), "wait: expected 0 or more"),
        (LaunchSpec(env_patience=-1.0), "env_patience: expected 0 or more"),
        (LaunchSpec(link_latency=-1.0), "link_latency: expected 0 or more"),
        (LaunchSpec(link_bandwidth=float("inf")), "link_bandwidth: expected 0 or more; found inf"),
    ],
)
def test_launch_values(launch: LaunchSpec, message: str):
    with pytest.raises(SpecError, match=message):
        Run(CARTPOLE, launch)


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
    with pytest.raises(SpecError, match="actor: expected an actor and no critic"):
        Run(replace(preset("multiplexer"), critic=CARTPOLE.critic), LOCAL)


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
