"""What errors come down through: mirrors, Kolen and Pollack's converging copies, or fixed random weights."""

from __future__ import annotations

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team.partition import divide_all
from teamnet.team.resources import array_bytes
from teamnet.team.state import split
from teamnet.training.run import Run
from tests.conftest import make_layers
from tests.team.executors import assert_same, drive, local, state_of

STEPS, SHARE = 60, 0.02


def _team(feedback: str, weight_decay: float = 0.0, single_step: bool = False) -> list[LayerSpec]:
    return make_layers(
        (3, 9, 6, 2), rows=2, feedback=feedback, weight_decay=weight_decay, single_step=single_step, settle_steps=3
    )


def _ends(layers: list[LayerSpec], steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each hidden layer: the weights of the layer above, and what the layer takes for them."""
    executor = local([layers])
    if steps:
        drive(executor, [layers], steps)
    state, mirrors = state_of(executor, [layers], "layer"), executor.mirrors()
    return [(state[f"actor.{number + 1}.incoming.value"], mirrors[number - 1]["value"]) for number in (1, 2)]


@pytest.mark.parametrize("single_step", [False, True])
def test_random_feedback_is_not_the_weights_above_and_never_learns(single_step: bool):
    layers = _team("random", single_step=single_step)
    for (above, feedback), (learned, later) in zip(_ends(layers, 0), _ends(layers, STEPS), strict=True):
        assert abs(np.corrcoef(above.ravel(), feedback.ravel())[0, 1]) < 0.6
        assert np.abs(above - feedback).max() > 0.1
        np.testing.assert_array_equal(feedback, later)
        assert np.abs(learned - above).max() > 1e-3
        limit = np.sqrt(6 / sum(above.shape))
        assert np.abs(feedback).max() <= limit


@pytest.mark.parametrize("single_step", [False, True])
def test_both_ends_of_a_kolen_pollack_synapse_come_together_as_forgetting_says(single_step: bool):
    layers = _team("kolen-pollack", SHARE, single_step)
    updates = STEPS if single_step else STEPS - 1
    for (above, feedback), (learned, later) in zip(_ends(layers, 0), _ends(layers, STEPS), strict=True):
        expected = (above - feedback) * (1 - SHARE) ** updates
        np.testing.assert_allclose(learned - later, expected, rtol=1e-6, atol=1e-12)
        assert np.abs(learned - above).max() > 1e-2


def test_mirrors_stay_equal_while_they_forget():
    for above, mirror in _ends(_team("mirror", SHARE), STEPS):
        np.testing.assert_array_equal(above, mirror)


def test_the_first_layer_forgets_nothing():
    """Its synapses come from the observation, and nobody mirrors them."""
    frozen = make_layers((3, 9, 6, 2), rate=0.0, weight_decay=SHARE)
    executor = local([frozen])
    before = state_of(executor, [frozen], "layer")
    drive(executor, [frozen], STEPS)
    after = state_of(executor, [frozen], "layer")
    np.testing.assert_array_equal(before["actor.1.incoming.value"], after["actor.1.incoming.value"])
    shrunk = before["actor.2.incoming.value"] * (1 - SHARE) ** (STEPS - 1)
    np.testing.assert_allclose(after["actor.2.incoming.value"], shrunk, rtol=1e-9)


@pytest.mark.parametrize("feedback", ["random", "kolen-pollack"])
def test_own_feedback_is_part_of_a_snapshot(feedback: str):
    teams = [_team(feedback, SHARE)]
    one = local(teams)
    drive(one, teams, 20)
    other = local(teams, "block:2")
    other.restore(split(divide_all(teams, "block:2", 0), state_of(one, teams, "layer")), 20)
    for executor in (one, other):
        drive(executor, teams, 20, first=20)
    assert_same(state_of(other, teams, "block:2"), state_of(one, teams, "layer"))


@pytest.mark.parametrize("feedback", ["backprojected", "recomputed"])
@pytest.mark.parametrize("grain", ["neuron", "block:32"])
def test_parts_of_a_layer_cannot_ship_products_or_compute_the_errors_above(grain: str, feedback: str):
    spec = changed(preset("cartpole"), feedback=feedback)
    with pytest.raises(SpecError) as refusal:
        Run(spec, LaunchSpec("local", grain=grain))
    assert refusal.value.where == "grain"
    assert grain in refusal.value.found
    assert "mirror" in refusal.value.remedy


def test_shipped_products_are_rounded_as_messages_are():
    teams = [make_layers((3, 9, 6, 2), rows=2, feedback="backprojected", message_dtype="float32")]
    executor, exact = local(teams), local([make_layers((3, 9, 6, 2), rows=2, feedback="backprojected")])
    for its in (executor, exact):
        drive(its, teams, 1)
    for layer in teams[0][1:]:
        said, meant = (its.board.slot(("products", layer.team, layer.number)) for its in (executor, exact))
        np.testing.assert_array_equal(said, said.astype(np.float32))
        assert not np.array_equal(meant, meant.astype(np.float32))
        np.testing.assert_allclose(said, meant, rtol=1e-4, atol=1e-6)


def test_who_ships_products_keeps_no_mirrors():
    copies = 4 + 2  # the value, its gradient, Adam's means, and two rows' traces
    own = 8 * copies * ((3 + 1) * 9 + (9 + 1) * 6 + (6 + 1) * 2)
    assert array_bytes([_team("backprojected")]) == own
    assert array_bytes([_team("mirror")]) == own + 8 * copies * (9 * 6 + 6 * 2)
