"""The statistics of the study, against closed forms, hand-computed numbers and SciPy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from teamnet.study.experiment.results import first_reached, running_mean
from teamnet.study.experiment.statistics import Published, Spread, holm, spread, welch
from teamnet.study.experiment.summary_tables import verdict
from teamnet.study.paper.published import PUBLISHED


def test_mean_and_deviation_are_the_textbook_ones():
    its = spread([1.0, 2.0, 4.0, 9.0], "a")
    assert its is not None
    assert (its.n, its.mean) == (4, 4.0)
    assert its.std == pytest.approx(math.sqrt((9 + 4 + 0 + 25) / 3))


def test_the_interval_of_three_values_is_that_of_all_their_resamples():
    values = [0.0, 1.0, 5.0]
    every = [np.mean(resample) for resample in itertools.product(values, repeat=3)]
    its = spread(values, "b")
    assert its is not None
    assert (its.low, its.high) == pytest.approx(np.quantile(every, (0.025, 0.975), method="inverted_cdf"), abs=1e-12)


def test_the_interval_is_that_of_scipys_percentile_bootstrap(generator: np.random.Generator):
    values = generator.standard_normal(10) * 30
    its = spread(list(values), "c")
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=generator
    ).confidence_interval
    assert its is not None
    assert (its.low, its.high) == pytest.approx((expected.low, expected.high), abs=1.0)


def test_an_interval_depends_on_its_own_cell_only():
    assert spread([1.0, 2.0, 5.0], "cartpole/map") == spread([1.0, 2.0, 5.0], "cartpole/map")
    values = [float(value) for value in range(50)]
    first, second = spread(values, "cartpole/map"), spread(values, "cartpole/reinforce")
    assert first
    assert second
    assert first.low != second.low
    assert first.mean == second.mean


def test_one_value_has_no_spread_and_none_gives_nothing():
    assert spread([3.5], "d") == Spread(1, 3.5, 0.0, 3.5, 3.5)
    assert spread([], "d") is None


def test_welchs_test_is_the_formula(generator: np.random.Generator):
    ours, published = Spread(10, -112.0, 12.0, 0.0, 0.0), PUBLISHED["acrobot"]["map"]
    error = 12.0**2 / 10 + 5.40**2 / 9
    t = (-112.0 + 100.29) / math.sqrt(error)
    freedom = error**2 / ((12.0**2 / 10) ** 2 / 9 + (5.40**2 / 9) ** 2 / 9)
    assert welch(ours, published.spread) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-12)


def test_welchs_test_of_summaries_is_that_of_the_values(generator: np.random.Generator):
    ours, theirs = generator.normal(3, 1, 10), generator.normal(2, 4, 10)
    summary = spread(list(ours), "e")
    assert summary is not None
    published = Published(float(theirs.mean()), float(theirs.std()))  # as the official code prints it
    expected = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    assert welch(summary, published.spread) == pytest.approx(expected, rel=1e-9)


def test_no_test_without_two_runs_or_any_deviation():
    assert welch(Spread(1, 3.0, 0.0, 3.0, 3.0), Published(2.0, 1.0).spread) is None
    assert welch(Spread(3, 3.0, 0.0, 3.0, 3.0), Published(2.0, 0.0).spread) is None


def test_holms_adjustment_by_hand():
    # sorted .01 .03 .04, times 3 2 1: .03 .06 .04, and never less than the one before
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("difference", "p", "expected"),
    [(-5.0, 0.04, "below"), (5.0, 0.04, "above"), (-5.0, 0.06, "not below beyond chance"),
     (5.0, 0.05, "not below beyond chance")],
)
def test_the_verdict_goes_by_the_plain_p(difference: float, p: float, expected: str):
    assert verdict(difference, p) == expected


def test_episodes_to_a_score():
    values = np.array([1.0, 5.0, 2.0, 4.0, 6.0, 5.0])
    assert first_reached(values, 5.0) == 2
    assert first_reached(values, 6.5) is None
    # means of the last three: -, -, 2.67, 3.67, 4, 5
    assert first_reached(values, 4.0, window=3) == 5
    assert first_reached(values, 5.0, window=3) == 6
    assert first_reached(values[:2], 0.0, window=3) is None
    assert first_reached(np.full(99, 500.0), 500.0, window=100) is None
    assert first_reached(np.full(100, 500.0), 500.0, window=100) == 100


def test_the_running_mean_by_hand():
    np.testing.assert_allclose(running_mean(np.array([2.0, 4.0, 9.0, 1.0]), 2), [2.0, 3.0, 6.5, 5.0])


def test_the_published_table_is_whole():
    assert PUBLISHED["cartpole"]["map"] == Published(459.70, 13.89, 10)
    assert sum(its.mean for table in PUBLISHED.values() for its in table.values()) == pytest.approx(1129.12)
    assert sum(its.std for table in PUBLISHED.values() for its in table.values()) == pytest.approx(438.69)
    assert {len(table) for table in PUBLISHED.values()} == {5}
