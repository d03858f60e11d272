"""Updates compared with the gradient of the expected reward: enumeration, sampling, measures and the command."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import SpecError
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.reinforce import Reinforce
from teamnet.rules.rule import Rule
from teamnet.rules.weight_max import WeightMaximisation
from teamnet.study.gradients.enumeration import can_enumerate, exact_gradient
from teamnet.study.gradients.quality import quality, samples_needed
from teamnet.study.gradients.team import (
    every_sample,
    gradient_of,
    initial_parameters,
    layers_of,
    spec_of_run,
    spec_of_team,
    with_rule,
)
from teamnet.study.gradients.updates import Moments, Parameters, measure_updates
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.state import merge, split
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.single_step import make_single_step_task
from tests.commands import run_command


def _team(hidden: Sequence[int] = (3, 2), units: str = "bernoulli", bits: int = 1, seed: int = 3):
    spec = spec_of_team(hidden, units, bits, 128, seed)
    layers = layers_of(spec)
    generator = np.random.default_rng(seed)
    parameters = [array + 0.3 * generator.standard_normal(array.shape) for array in initial_parameters(layers, seed)]
    return spec, layers, parameters


def test_the_enumerated_gradient_is_the_slope_of_the_enumerated_reward():
    spec, layers, parameters = _team()
    samples = every_sample(spec, layers[0].fan_in)
    _, gradient = exact_gradient(layers, parameters, *samples)
    for place, array in enumerate(parameters):
        for index in np.ndindex(*array.shape):
            ends = []
            for sign in (1, -1):
                moved = [other.copy() for other in parameters]
                moved[place][index] += sign * 1e-5
                ends.append(exact_gradient(layers, moved, *samples)[0])
            assert gradient[place][index] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-9)


def _expected_update(
    rule: Rule, layers: Sequence[LayerSpec], parameters: Parameters, observations: np.ndarray, rewards: np.ndarray
) -> list[np.ndarray]:
    """The mean update over all observations, hidden states and actions, each weighted by its probability.

    Each is a row of one batch. As an update is proportional to the reward, the reward carries the probability.
    """
    hidden = [layer.size for layer in layers[:-1]]
    states = list(itertools.product((0.0, 1.0), repeat=sum(hidden)))
    rows = [(x, np.split(np.array(state), np.cumsum(hidden))[:-1], a) for x, state, a in itertools.product(
        range(len(observations)), states, range(2)
    )]
    noise = [np.empty((1, len(rows), layer.size if layer.family == "bernoulli" else 1)) for layer in layers]
    signal = np.empty(len(rows))
    for row, (x, state, action) in enumerate(rows):
        below, probability = observations[x], 1.0
        for place, (layer, array) in enumerate(zip(layers, parameters, strict=True)):
            mean = layer.unit_type.mean((below @ array[:-1] + array[-1])[None], "linear", layer.temperature)[0]
            if layer.is_last:
                probability *= mean[action]
                noise[place][0, row, 0] = mean[:action].sum() + mean[action] / 2
            else:
                below = state[place]
                probability *= np.where(below == 1.0, mean, 1.0 - mean).prod()
                noise[place][0, row] = np.where(below == 1.0, mean / 2, (1.0 + mean) / 2)
        signal[row] = rewards[x, action] * probability * len(rows) / len(observations)
    team = [layer.__class__(**{**vars(layer), "rows": len(rows)}) for layer in with_rule(layers, rule)]
    units = divide_all([team], "layer", 0)
    executor = LocalExecutor([team], units, noise)
    state = merge(units, executor.snapshot())
    for layer, array in zip(layers, parameters, strict=True):
        state[f"actor.{layer.number}.incoming.value"] = array[:-1]
        state[f"actor.{layer.number}.biases.value"] = array[-1:]
    executor.restore(split(units, state), 0)
    executor.act(observations[[x for x, _, _ in rows]], np.zeros(len(rows)))
    executor.learn(signal)
    return [
        np.vstack([unit.private("incoming.first"), unit.private("biases.first")]) / (1.0 - 0.9)
        for unit in executor.units
    ]


def test_the_expected_update_of_reinforce_is_the_gradient():
    spec, layers, parameters = _team()
    samples = every_sample(spec, layers[0].fan_in)
    _, gradient = exact_gradient(layers, parameters, *samples)
    for found, expected in zip(
        _expected_update(Reinforce(), layers, parameters, *samples), gradient, strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_weight_maximisation_is_exact_at_the_output_and_has_the_right_side_below_one_hidden_layer():
    spec, layers, parameters = _team((4,))
    samples = every_sample(spec, layers[0].fan_in)
    _, gradient = exact_gradient(layers, parameters, *samples)
    found = _expected_update(WeightMaximisation(), layers, parameters, *samples)
    np.testing.assert_allclose(found[1], gradient[1], rtol=0, atol=1e-12)
    assert (found[0] * gradient[0]).sum() > 0.5 * np.linalg.norm(found[0]) * np.linalg.norm(gradient[0])
    assert np.abs(found[0] - gradient[0]).max() > 1e-3, "but it is not the gradient"


def test_sampled_updates_have_the_moments_of_the_distribution():
    spec, layers, parameters = _team((3,))
    samples = every_sample(spec, layers[0].fan_in)
    _, gradient = exact_gradient(layers, parameters, *samples)
    found = measure_updates(with_rule(layers, Reinforce()), parameters, make_single_step_task(spec), 1500, 1)
    for moments, true in zip(found, gradient, strict=True):
        away = float(((moments.mean - true) ** 2).sum())
        assert 0.2 * moments.error < away < 4.0 * moments.error
        assert quality(moments, Moments(true, 0.0, 1)).cosine == pytest.approx(1.0, abs=0.05)
    again = measure_updates(with_rule(layers, Reinforce()), parameters, make_single_step_task(spec), 100, 9)
    assert again[0].variance == pytest.approx(found[0].variance, rel=0.3)


def test_backpropagation_through_the_sample_is_unbiased_and_quieter_than_reinforce():
    spec, layers, parameters = _team((6, 4), "gaussian", bits=2)
    true = measure_updates(with_rule(layers, Reinforce()), parameters, make_single_step_task(spec), 40_000, 6)
    rules = {"reinforce": Reinforce(), "backprop": Backpropagation(), "map": MapPropagation()}
    found = {
        name: measure_updates(with_rule(layers, rule), parameters, make_single_step_task(spec), 1500, 5)
        for name, rule in rules.items()
    }
    for layer in range(2):
        by_chain = quality(found["backprop"][layer], true[layer])
        assert by_chain.cosine == pytest.approx(1.0, abs=0.02)
        assert by_chain.length == pytest.approx(1.0, abs=0.1)
    again = gradient_of(spec, layers, parameters, 200_000)
    assert quality(again[0], true[0]).cosine == pytest.approx(1.0, abs=0.02)
    noise = {name: quality(moments[0], true[0]).noise for name, moments in found.items()}
    assert noise["reinforce"] > 10 * noise["backprop"]
    assert noise["reinforce"] > 3 * noise["map"], "what MAP propagation is for"


def test_samples_and_measures_in_closed_form():
    assert samples_needed(0.9, 10.0) is None
    assert samples_needed(1.0, 19.0) == pytest.approx(19.0 * 0.81 / 0.19)
    assert samples_needed(1.0, 0.0) == 1.0
    update, true = Moments(np.array([[3.0, 4.0]]), 50.0, 10**6), Moments(np.array([[3.0, 0.0]]), 0.0, 1)
    found = quality(update, true)
    assert found.cosine == pytest.approx(0.6, rel=1e-4)
    assert found.length == pytest.approx(5.0 / 3.0, rel=1e-4)
    assert found.bias == pytest.approx(4.0 / 3.0, rel=1e-4)
    assert found.noise == pytest.approx(2.0, rel=1e-4)
    opposite = quality(Moments(np.array([[-3.0, 0.0]]), 100.0, 100), true)
    assert opposite.cosine == -1.0, "the length of an uncertain mean is estimated too short"
    lost = quality(Moments(np.array([[0.1]]), 100.0, 100), true)
    assert lost.cosine is None
    assert not can_enumerate(_team((8, 8))[1])
    assert not can_enumerate(_team((2,), "gaussian")[1])


def test_the_command_measures_continues_and_draws(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    asked = (
        "gradients", "--hidden", "3", "3-2", "--address-bits", 1, "--samples", 2000, "--methods", "map", "weight-max",
        "--units", "bernoulli", "gaussian", "--out", tmp_path / "out",
    )
    out, err = run_command(capsys, *asked)
    rows = [json.loads(line) for line in (tmp_path / "out/gradients.jsonl").read_text().splitlines()]
    assert {(row["units"], row["method"], row["exact"]) for row in rows} == {
        ("bernoulli", "weight-max", True), ("gaussian", "map", False)
    }
    assert [row["layer"] for row in rows[:7]] == ["1", "2", "all", "1", "2", "3", "all"]
    assert len(err.splitlines()) == 4
    assert out.startswith((tmp_path / "out/gradients.md").read_text().split("\n\n")[1].splitlines()[0])
    assert (tmp_path / "out/gradients.png").read_bytes().startswith(b"\x89PNG")
    before = (tmp_path / "out/gradients.jsonl").read_bytes()
    _, err = run_command(capsys, *asked)
    assert err == ""
    assert (tmp_path / "out/gradients.jsonl").read_bytes() == before
    files = OwnedFiles(tmp_path / "out", "gradients")
    files.write("gradients.jsonl", b"".join(before.splitlines(keepends=True)[:-1]))  # killed before its last layer
    _, err = run_command(capsys, *asked)
    assert len(err.splitlines()) == 1
    assert (tmp_path / "out/gradients.jsonl").read_bytes() == before
    run_command(capsys, *asked, "--seed", 2, code=2)


def test_the_parameters_of_a_run_are_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run_command(
        capsys, "train", "multiplexer", "--address-bits", 1, "--hidden", 3, "--env-steps", 2560, "--backend", "local",
        "--preset", "weight-max", "--num-envs", 128, "--out", tmp_path / "run",
    )
    spec, parameters = spec_of_run(tmp_path / "run", 128)
    assert (spec.hidden, [array.shape for array in parameters]) == ((3,), [(4, 3), (4, 2)])
    layers = layers_of(spec)
    assert (layers[-1].family, type(layers[0].rule)) == ("reference", Reinforce), "the run's policy"
    out, _ = run_command(
        capsys, "gradients", "--run", tmp_path / "run", "--methods", "reinforce", "weight-max", "--samples", 2000,
        "--out", tmp_path / "out", "--json",
    )
    assert {(row["method"], row["units"]) for row in json.loads(out.splitlines()[-1])} == {
        ("reinforce", "bernoulli"), ("weight-max", "bernoulli")
    }
    run_command(capsys, "resume", tmp_path / "run", "--env-steps", 5120)
    run_command(
        capsys, "gradients", "--run", tmp_path / "run", "--methods", "reinforce", "weight-max", "--samples", 2000,
        "--out", tmp_path / "out", code=2,
    )


@pytest.mark.parametrize(("arguments", "field"), [
    (("--units", "binary"), "units"), (("--hidden", "8-x"), "hidden"), (("--samples", 10), "samples"),
    (("--address-bits", 9), "address_bits"), (("--methods", "mapp"), "methods"),
    (("--methods", "weight-max", "--units", "gaussian"), "methods"),
    (("--methods", "map", "map-async"), "rule"), (("--out", "/proc/nowhere"), "out"),
])
def test_refusals(capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[object, ...], field: str):
    _, err = run_command(capsys, "gradients", "--out", tmp_path / "out", *arguments, code=2)
    assert f"{field}: expected" in err
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_task_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run_command(
        capsys, "train", "cartpole", "--env-steps", 10, "--backend", "local", "--out", tmp_path / "run"
    )
    with pytest.raises(SpecError) as caught:
        spec_of_run(tmp_path / "run", 128)
    assert caught.value.where == "run"
