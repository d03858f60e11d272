from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from teamnet.dataflow.layers import UnitSpec
from teamnet.team.executor import OutputReader
from teamnet.units.streams import KeyedNoise, keyed_generator
from tests.conftest import make_layers
from tests.team.executors import drive, local

LAYER = make_layers((3, 6, 2), rows=2)[0]
OUTPUT = make_layers((3, 6, 2), rows=2)[1]


def test_gaussian_noise_is_standard_normal():
    noise = KeyedNoise(UnitSpec(LAYER, 0, 6, seed=3)).block(5000)
    assert noise.shape == (5000, 2, 6)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3


def test_categorical_noise_is_uniform():
    noise = KeyedNoise(UnitSpec(OUTPUT, 0, 2, seed=3)).block(5000)
    assert noise.shape == (5000, 2, 1)
    assert stats.kstest(noise.ravel(), "uniform").pvalue > 1e-3


def test_streams_of_different_units_layers_teams_and_seeds_are_independent():
    keys = [(0, 0, 1, 0), (0, 0, 1, 1), (0, 0, 2, 0), (0, 1, 1, 0), (1, 0, 1, 0)]
    draws = [keyed_generator(5, *key).standard_normal(20_000) for key in keys]
    draws.append(keyed_generator(6, *keys[0]).standard_normal(20_000))
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)


def test_a_neuron_has_the_same_noise_in_every_unit():
    layer = KeyedNoise(UnitSpec(LAYER, 0, 6, 1)).block(10)
    block = KeyedNoise(UnitSpec(LAYER, 2, 5, 1)).block(10)
    assert np.array_equal(layer[:, :, 2:5], block)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 9))
def test_noise_does_not_depend_on_blocks_nor_on_rewinding(blocks: list[int], used: int):
    unit = UnitSpec(LAYER, 0, 6, 1)
    whole, parts = KeyedNoise(unit), KeyedNoise(unit)
    expected = whole.block(sum(blocks) + 9)
    found = np.concatenate([parts.block(steps) for steps in blocks])
    assert np.array_equal(found, expected[: sum(blocks)])
    parts.block(9)
    parts.restore(parts.state_after(used))
    restored = KeyedNoise(unit)
    restored.restore(parts.state())
    assert np.array_equal(restored.block(9 - used), expected[sum(blocks) + used :])


def test_a_categorical_output_is_sampled_with_its_probabilities():
    layers = make_layers((2, 4, 3), settle_steps=0, rate=0.0, rows=2000)
    executor = local([layers])
    executor.act(np.ones((2000, 2)) * 0.3, np.ones(2000))
    output = OutputReader(executor.board).output(0, 0)
    executor.learn(np.zeros(2000))
    probabilities = executor.snapshot()[-1]["mean"]
    counts = output.sum(0)
    assert counts.sum() == 2000
    deviation = np.sqrt((probabilities * (1 - probabilities)).sum(0))
    assert np.abs(counts - probabilities.sum(0)).max() < 4 * deviation.max()


def test_gaussian_activations_have_the_layers_variance():
    layers = make_layers((2, 4, 3), settle_steps=0, rate=0.0, rows=4000, function="linear")
    executor = local([layers])
    drive(executor, [layers], 1)
    snapshot = executor.snapshot()[0]
    deviations = (snapshot["activation"] - snapshot["acting_mean"]) / np.sqrt(layers[0].variance)
    assert stats.kstest(deviations.ravel(), "norm").pvalue > 1e-3
    assert deviations.var() == pytest.approx(1.0, abs=0.05)
