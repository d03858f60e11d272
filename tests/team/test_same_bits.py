"""One spec, one result: grain, host and interruptions change no bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teamnet.dataflow.layers import LayerSpec
from teamnet.study.reference import ReferenceTeam
from teamnet.team import partition
from teamnet.team.call_executor import CallExecutor, CallWorker
from teamnet.team.executor import Executor
from teamnet.team.partition import divide_all
from teamnet.team.state import digest, merge, split
from teamnet.team.worker_pool import ThreadPool
from teamnet.units.streams import KeyedNoise, initial_weights
from tests.conftest import make_layers
from tests.team.executors import assert_same, drive, local, signals, spread, state_of, threaded

TEAMS = [make_layers((3, 9, 6, 2), rows=2), make_layers((3, 9, 6, 1), team="critic", family="gaussian", rows=2)]
DEEP = [make_layers((3, 5, 4, 3, 2), family="gaussian", function="tanh", rows=3)]
FLAT_CRITIC = make_layers((3, 1), team="critic", family="gaussian", rows=2, settle_steps=3)
FLAT = [make_layers((3, 2), settle_steps=3), make_layers((3, 1), team="critic", family="gaussian", settle_steps=3)]
REINFORCE = [
    make_layers((3, 7, 2), settle_steps=0), make_layers((3, 7, 1), team="critic", family="gaussian", settle_steps=0)
]
SINGLE = [make_layers((5, 9, 6, 2), rows=7, single_step=True)]
SINGLE_CRITIC = [make_layers((5, 9, 1), team="critic", family="gaussian", rows=7, single_step=True)]
SWEEPS = [
    make_layers((3, 9, 6, 5, 2), rows=2, schedule="sweeps", settle_steps=3),
    make_layers((3, 6, 1), team="critic", family="gaussian", rows=2, schedule="sweeps", settle_steps=2),
]
SELDOM = [
    make_layers((3, 9, 6, 2), rows=2, settle_steps=5, exchange_every=2),
    make_layers((3, 6, 4, 1), team="critic", family="gaussian", rows=2, settle_steps=4, exchange_every=9),
]
OWN_FEEDBACK = [
    make_layers((3, 9, 6, 2), rows=2, feedback="kolen-pollack", weight_decay=0.01),
    make_layers((3, 6, 4, 1), team="critic", family="gaussian", rows=2, schedule="sweeps", feedback="random"),
]
ROUNDED = [
    make_layers((3, 9, 6, 2), rows=2, message_dtype="bfloat16", error_feedback=True),
    make_layers((3, 6, 4, 1), team="critic", family="gaussian", rows=2, schedule="sweeps", message_dtype="float32"),
]
HELD = [
    make_layers((3, 9, 6, 2), rows=2, settle_steps=8, send_threshold=0.05),
    make_layers(
        (3, 6, 1), team="critic", family="gaussian", rows=2, schedule="sweeps", send_threshold=0.2,
        message_dtype="float32",
    ),
]
DESCENTS = [
    make_layers((3, 9, 6, 5, 2), rows=2, schedule="descents", settle_steps=2),
    make_layers((3, 6, 4, 1), team="critic", family="gaussian", rows=2, schedule="descents", settle_steps=3),
]
PASSED_DOWN = [
    make_layers((3, 9, 6, 5, 2), rows=2, schedule="descents", settle_steps=2, td_error="passed-down"),
    make_layers(
        (3, 6, 4, 1), team="critic", family="gaussian", rows=2, schedule="sweeps", settle_steps=3,
        td_error="passed-down",
    ),
]
CHAIN = [
    make_layers((3, 9, 6, 2), rows=2, schedule="chain", exploration=0.0, entropy=0.1),
    make_layers((3, 9, 6, 1), team="critic", family="gaussian", rows=2, schedule="chain"),
]
TICKS = [
    make_layers((3, 9, 6, 2), rows=2, schedule="ticks", settle_steps=4),
    make_layers((3, 5, 1), team="critic", family="gaussian", rows=2, schedule="ticks", settle_steps=6, acting_steps=2),
]
MIXED = [
    make_layers((3, 9, 6, 2), rows=2, exploration=0.3),
    make_layers((3, 9, 6, 1), team="critic", family="gaussian", rows=2, schedule="sweeps", settle_steps=2),
]
OTHER_CRITIC = [
    make_layers((3, 9, 6, 2), rows=2, settle_steps=0, exploration=0.3),
    make_layers((3, 9, 6, 1), team="critic", family="gaussian", rows=2, schedule="chain", exploration=0.0),
]
FLAT_CHOICES = {
    f"no hidden, {actor}": [make_layers((3, 2), schedule=actor, settle_steps=2)]
    for actor in ("sweeps", "descents", "chain", "ticks", "reinforce")
}
SINGLE_CHAIN = [make_layers((5, 9, 6, 2), rows=7, single_step=True, schedule="chain", entropy=0.1)]
SINGLE_SWEEPS = [
    make_layers((5, 9, 6, 1), team="critic", family="gaussian", rows=7, single_step=True, schedule="sweeps")
]
NOTHING_DOWN = [
    make_layers((3, 9, 6, 2), rows=2, schedule="reinforce", exploration=0.3),
    make_layers((3, 9, 6, 1), team="critic", family="gaussian", rows=2, schedule="reinforce"),
]
SKIPS = {2: (1, 0), 4: (3, 1, 0)}
SKIPPED = {
    f"skips, {schedule}": [
        make_layers((3, 9, 6, 5, 2), rows=2, schedule=schedule, settle_steps=3, sources=SKIPS),
        make_layers(
            (3, 6, 4, 1), team="critic", family="gaussian", rows=2, schedule=schedule, settle_steps=2,
            sources={3: (0, 1, 2)},
        ),
    ]
    for schedule in ("jacobi", "sweeps", "descents", "ticks", "chain", "reinforce")
}
SKIPPED["skips, passed down"] = [
    make_layers((3, 9, 6, 2), rows=2, schedule="sweeps", settle_steps=2, td_error="passed-down", sources={3: (1, 2)})
]
DIFFERENT = [
    make_layers(
        (3, 9, 6, 5, 2), rows=2, functions=("tanh", "softplus", "relu"), step_sizes=(0.2, 0.5, 0.9), sources={4: (0, 3)}
    ),
    make_layers((3, 9, 4, 1), team="critic", family="gaussian", rows=2, functions=("leaky-relu", "logistic")),
]
TWO_VALUES = {
    f"{kind}, {schedule}": [
        make_layers((3, 70, 6, 2), rows=2, schedule=schedule, hidden_types=(kind, "gaussian"), exploration=exploration),
        make_layers(
            (3, 9, 6, 1), team="critic", family="gaussian", rows=2, schedule="reinforce", hidden_types=(kind, kind),
            sources={3: (2, 1)},
        ),
    ]
    for kind, schedule, exploration in (
        ("bernoulli", "reinforce", 1.0), ("sign", "chain", 1.0), ("sign", "reinforce", 0.5), ("bernoulli", "chain", 0.0)
    )
}
BITS = ("bernoulli",) * 3


def _maximising(sizes: tuple[int, ...], **options):
    return make_layers(
        sizes, schedule="weight-max", family="reference", hidden_types=BITS, temperature=1.5, **{"rows": 2, **options}
    )


WEIGHT_MAX = {
    "weight maximisation": [_maximising((3, 70, 6, 5, 3)), CHAIN[1]],
    "weight maximisation, early": [_maximising((3, 9, 6, 3), early_reward=True, message_dtype="float32")],
    "weight maximisation, skips": [_maximising((3, 9, 6, 5, 2), sources=SKIPS)],
    "weight maximisation, no hidden": [_maximising((3, 2))],
    "single-step weight maximisation": [_maximising((5, 9, 6, 2), rows=7, single_step=True)],
    "single-step weight maximisation, rounded": [
        _maximising((5, 9, 6, 2), rows=7, single_step=True, message_dtype="bfloat16")
    ],
    "single-step weight maximisation, early": [
        _maximising((5, 9, 6, 2), rows=7, single_step=True, early_reward=True)
    ],
}
MASKED = {
    f"masked, {schedule}": [
        make_layers((3, 9, 6, 4), rows=2, schedule=schedule, masked=True, message_dtype="float32"),
        make_layers((3, 6, 1), team="critic", family="gaussian", rows=2, schedule=schedule),
    ]
    for schedule in ("jacobi", "sweeps", "ticks", "chain", "reinforce")
}
MASKED |= {
    "masked, no hidden": [make_layers((3, 5), rows=2, schedule="reinforce", masked=True), FLAT_CRITIC],
    "masked, weight maximisation": [_maximising((3, 9, 5), masked=True)],
}
RULES = {
    "sweeps": SWEEPS, "descents": DESCENTS, "seldom": SELDOM, "feedback": OWN_FEEDBACK, "rounded": ROUNDED,
    "held": HELD, "passed down": PASSED_DOWN,
    "backpropagation": CHAIN, "asynchronous": TICKS,
    "a choice for each team": MIXED,
    "a rule for each team": OTHER_CRITIC, "nothing comes down": NOTHING_DOWN,
    "single-step backpropagation": SINGLE_CHAIN, "single-step sweeps": SINGLE_SWEEPS,
    **SKIPPED, **MASKED, "layers that differ": DIFFERENT, **TWO_VALUES, **WEIGHT_MAX,
}
ALL = RULES | FLAT_CHOICES | {
    "asynchronous, two gaussian outputs": [make_layers((3, 5, 2), family="gaussian", schedule="ticks", settle_steps=3)],
    "two teams": TEAMS, "three hidden, gaussian": DEEP, "no hidden": FLAT, "reinforce": REINFORCE,
    "single step": SINGLE, "single-step critic": SINGLE_CRITIC,
}


@pytest.mark.parametrize("teams", ALL.values(), ids=ALL.keys())
@pytest.mark.parametrize("grain", ["layer", "block:4", "neuron"])
def test_grain_and_board_change_no_bit(teams, grain: str):
    expected = local(teams)
    drive(expected, teams, 30)
    for executor in (local(teams, grain), threaded(teams, grain)):
        drive(executor, teams, 30)
        assert_same(state_of(executor, teams, grain), state_of(expected, teams, "layer"))
        executor.close()


@pytest.mark.parametrize("teams", ALL.values(), ids=ALL.keys())
@pytest.mark.parametrize("grain", ["layer", "block:4"])
@pytest.mark.parametrize("nodes", [2, 3])
def test_nodes_change_no_bit(teams, grain: str, nodes: int):
    expected = local(teams)
    drive(expected, teams, 20)
    places = [number % nodes for number in range(len(divide_all(teams, grain, 0)))]
    executor = spread(teams, grain, places)
    drive(executor, teams, 20)
    assert_same(state_of(executor, teams, grain), state_of(expected, teams, "layer"))
    executor.close()


def fed_back(feedback: str) -> dict[str, list[list[LayerSpec]]]:
    """Teams of every schedule in which something comes down."""
    return {
        "jacobi": [
            make_layers((3, 9, 6, 2), rows=2, feedback=feedback, weight_decay=0.01),
            make_layers((3, 6, 4, 1), team="critic", family="gaussian", rows=2, feedback=feedback, exchange_every=3),
        ],
        "sweeps": [make_layers((3, 9, 6, 5, 2), rows=2, schedule="sweeps", settle_steps=3, feedback=feedback)],
        "descents": [
            make_layers((3, 9, 6, 2), rows=2, schedule="descents", settle_steps=2, feedback=feedback),
            make_layers((3, 6, 1), team="critic", family="gaussian", rows=2, schedule="descents", feedback=feedback),
        ],
        "chain": [make_layers((3, 9, 6, 2), rows=2, schedule="chain", exploration=0.0, entropy=0.1, feedback=feedback)],
        "ticks": [make_layers((3, 9, 6, 2), rows=2, schedule="ticks", settle_steps=4, feedback=feedback)],
        "no hidden": [make_layers((3, 2), feedback=feedback)],
        "single step": [make_layers((5, 9, 6, 2), rows=7, single_step=True, feedback=feedback)],
    }


def everywhere(teams: list[list[LayerSpec]], nodes: int) -> list[Executor]:
    """The exchanges of every kind, a layer each unit."""
    units = divide_all(teams, "layer", 0)
    places = [number % nodes for number in range(len(units))]
    calls = CallExecutor(teams, units, ThreadPool(CallWorker, [(teams, unit) for unit in units]))
    return [local(teams), threaded(teams, "layer"), spread(teams, "layer", places), calls]


@pytest.mark.parametrize("name", fed_back("backprojected"))
def test_products_that_are_shipped_are_those_that_mirrors_would_make(name: str):
    expected, teams = local(fed_back("mirror")[name]), fed_back("backprojected")[name]
    drive(expected, teams, 30)
    for executor in everywhere(teams, nodes=2):
        drive(executor, teams, 30)
        assert_same(state_of(executor, teams, "layer"), state_of(expected, teams, "layer"))
        assert not any(executor.mirrors())
        executor.close()


def recomputed(feedback: str = "recomputed") -> dict[str, list[list[LayerSpec]]]:
    """Teams whose units can compute the errors above themselves, with outputs and hidden units of several kinds."""
    common: dict[str, Any] = {"rows": 2, "settle_steps": 3, "feedback": feedback}
    return {
        "actor and critic": [
            make_layers((3, 9, 6, 2), weight_decay=0.01, **common),
            make_layers((3, 6, 4, 1), team="critic", family="gaussian", **common),
        ],
        "deep": [make_layers((3, 7, 6, 5, 4, 1), function="tanh", family="gaussian", **common)],
        "one hidden layer, one settle step": [make_layers((3, 5, 2), **{**common, "settle_steps": 1})],
        "no hidden": [make_layers((3, 2), **common)],
        "single step": [make_layers((5, 9, 6, 2), single_step=True, **{**common, "rows": 7})],
    }


@pytest.mark.parametrize("name", recomputed())
def test_errors_that_the_layer_below_computes_are_those_that_the_layer_above_sends(name: str):
    expected, teams = local(recomputed("mirror")[name]), recomputed()[name]
    drive(expected, teams, 30)
    for executor in everywhere(teams, nodes=2):
        drive(executor, teams, 30)
        assert_same(state_of(executor, teams, "layer"), state_of(expected, teams, "layer"))
        executor.close()


@pytest.mark.parametrize("feedback", ["mirror", "backprojected", "random"])
@pytest.mark.parametrize("message_dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_it_does_not_matter_how_the_td_error_comes_to_the_units(feedback: str, message_dtype: str, steps: int):
    def teams(td_error: str) -> list[list[LayerSpec]]:
        common = {
            "rows": 2, "settle_steps": steps, "feedback": feedback, "message_dtype": message_dtype,
            "error_feedback": message_dtype == "bfloat16", "td_error": td_error,
        }
        return [
            make_layers((3, 9, 6, 2), schedule="descents", family="gaussian", **common),
            make_layers((3, 6, 5, 4, 1), team="critic", family="gaussian", schedule="sweeps", **common),
        ]

    expected, passing = local(teams("broadcast")), teams("passed-down")
    drive(expected, passing, 30)
    for executor in everywhere(passing, nodes=3):
        drive(executor, passing, 30)
        assert_same(state_of(executor, passing, "layer"), state_of(expected, passing, "layer"))
        executor.close()


def test_a_snapshot_of_a_team_that_ships_products_goes_on():
    teams = fed_back("backprojected")["descents"]
    one, other = local(teams), threaded(teams, "layer")
    drive(one, teams, 20)
    other.restore(split(divide_all(teams, "layer", 0), state_of(one, teams, "layer")), 20)
    for executor in (one, other):
        drive(executor, teams, 20, first=20)
    assert_same(state_of(other, teams, "layer"), state_of(one, teams, "layer"))
    other.close()


@settings(max_examples=10)
@given(
    st.lists(st.integers(1, 7), max_size=3), st.integers(1, 4), st.integers(0, 4), st.integers(1, 5), st.integers(0, 9)
)
def test_any_small_team_is_the_same_at_every_grain(
    hidden: list[int], rows: int, settle_steps: int, block: int, seed: int
):
    teams = [
        make_layers((2, *hidden, 3), rows=rows, settle_steps=settle_steps),
        make_layers((2, *hidden, 1), team="critic", family="gaussian", rows=rows, settle_steps=settle_steps),
    ]
    whole, parts = local(teams, seed=seed), threaded(teams, f"block:{block}", seed)
    for executor in (whole, parts):
        drive(executor, teams, 5)
    assert_same(state_of(whole, teams, "layer", seed), state_of(parts, teams, f"block:{block}", seed))
    parts.close()


MIRRORED = {"two teams": TEAMS, "single step": SINGLE, "critic": SINGLE_CRITIC} | {
    name: teams for name, teams in RULES.items()
    if teams not in (OWN_FEEDBACK, NOTHING_DOWN) and any(its.rule.mirrors(its) for team in teams for its in team)
}


@pytest.mark.parametrize("teams", MIRRORED.values(), ids=MIRRORED.keys())
def test_mirrored_synapses_stay_equal(teams):
    executor = local(teams, "block:4")
    drive(executor, teams, 3000)
    units = divide_all(teams, "block:4", 0)
    state = merge(units, executor.snapshot())
    compared = 0
    for unit, mirror in zip(units, executor.mirrors(), strict=True):
        if unit.layer.is_last:
            continue
        for part, copy in mirror.items():
            originals = [
                state[f"{unit.layer.team}.{its.number}.incoming.{part}"][
                    ..., its.first + unit.start : its.first + unit.stop, :
                ]
                for its in unit.layer.readers
            ]
            original = np.concatenate(originals, axis=-1)
            assert np.array_equal(copy, original), (unit.name, part)
            compared += copy.size
    assert compared > 0


@pytest.mark.parametrize("teams", [TEAMS, DEEP, REINFORCE], ids=["two teams", "three hidden", "reinforce"])
def test_the_units_compute_what_plain_numpy_computes(teams):
    executor = local(teams, "block:3")
    drive(executor, teams, 40)
    state = state_of(executor, teams, "block:3")
    for layers in teams:
        weights = [initial_weights(layer, layer.number, layer.fan_in, layer.size, 0) for layer in layers]
        team = ReferenceTeam(layers, weights, [np.zeros(layer.size) for layer in layers])
        noise = [KeyedNoise(unit).block(40) for unit in divide_all([layers], "layer", 0)]
        for step in range(40):
            generator = np.random.default_rng(step)
            team.act(generator.standard_normal((layers[0].rows, layers[0].fan_in)), [block[step] for block in noise])
            delta, keep = generator.standard_normal(layers[0].rows), generator.random(layers[0].rows) > 0.1
            if step > 0:
                team.learn(delta, step)
            team.settle()
            team.trace(keep.astype(float))
        for number, layer in enumerate(layers):
            prefix = f"{layer.team}.{layer.number}"
            np.testing.assert_allclose(state[f"{prefix}.incoming.value"], team.parameters[number][:-1], atol=1e-8)
            np.testing.assert_allclose(
                state[f"{prefix}.incoming.trace"], team.traces[number][:, :-1], rtol=1e-6, atol=1e-8
            )


def test_a_batch_of_single_steps_learns_what_traces_without_decay_learn():
    at_once = [make_layers((4, 6, 2), rows=5, single_step=True, trace_decay=0.0)]
    traced = [make_layers((4, 6, 2), rows=5, trace_decay=0.0)]
    one, other = local(at_once), local(traced)
    generator = np.random.default_rng(1)
    observation, delta = generator.standard_normal((5, 4)), generator.standard_normal(5)
    one.act(observation, np.ones(5))
    one.learn(delta)
    other.act(observation, np.ones(5))
    other.learn(np.zeros(5))
    other.act(observation, np.ones(5))
    other.learn(delta)
    first, second = state_of(one, at_once, "layer"), state_of(other, traced, "layer")
    for number in (1, 2):
        for group in ("incoming", "biases"):
            name = f"actor.{number}.{group}.first"
            np.testing.assert_allclose(first[name], second[name], rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("grains", [("layer", "neuron"), ("block:4", "layer"), ("neuron", "block:2")])
def test_a_snapshot_restored_is_the_state_that_was_taken(grains: tuple[str, str]):
    before, after = grains
    whole = local(TEAMS, before)
    drive(whole, TEAMS, 37)
    state = state_of(whole, TEAMS, before)
    restored = threaded(TEAMS, after)
    restored.restore(split(divide_all(TEAMS, after, 0), state), 37)
    assert_same(state_of(restored, TEAMS, after), state)
    for executor in (whole, restored):
        drive(executor, TEAMS, 20, first=37)
    assert_same(state_of(restored, TEAMS, after), state_of(whole, TEAMS, before))
    restored.close()


def test_pausing_between_steps_changes_no_bit():
    plain, paused = threaded(TEAMS, "layer"), threaded(TEAMS, "layer")
    drive(plain, TEAMS, 20)
    for step in range(20):
        drive(paused, TEAMS, 1, first=step)
    assert_same(state_of(plain, TEAMS, "layer"), state_of(paused, TEAMS, "layer"))
    plain.close()
    paused.close()


@pytest.mark.parametrize("places", [(), (0, 1, 0, 1, 0, 1)])
def test_snapshots_are_taken_beside_the_steps_and_are_those_of_the_moment(
    places: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(partition, "_NOISE_STEPS", 3)  # so that noise is drawn anew at some of these moments
    alone = local(TEAMS)
    teams = spread(TEAMS, "layer", places) if places else threaded(TEAMS, "block:4")
    grain = "layer" if places else "block:4"
    for step in range(20):
        for executor in (alone, teams):
            observation, delta, keep = signals(TEAMS[0][0], step)
            executor.act(observation, keep)
            executor.learn(delta)
        running = teams._running
        assert_same(state_of(teams, TEAMS, grain), state_of(alone, TEAMS, "layer"))
        assert running
        assert teams._running is running, "nobody has stopped for it"
    teams.close()


def test_the_digest_covers_every_parameter():
    state = state_of(local(TEAMS), TEAMS, "layer")
    original = digest(TEAMS, state)
    for layer in (layer for team in TEAMS for layer in team):
        for group in ("incoming", "biases"):
            name = f"{layer.team}.{layer.number}.{group}.value"
            changed = state | {name: np.nextafter(state[name], np.inf)}
            assert digest(TEAMS, changed) != original
