"""Intervals over seeds and running means."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from mecpaper.report.statistics import bootstrap_interval, convergence, running_mean, t_interval


def test_one_seed_is_its_own_interval():
    for part in bootstrap_interval([[1.5, -2.0]]):
        assert part.tolist() == [1.5, -2.0]


def test_equal_seeds_have_no_width():
    for part in bootstrap_interval([3.0, 3.0, 3.0]):
        assert part == pytest.approx(3.0)


def test_of_two_seeds_the_ends_are_the_seeds():
    # Both the lower and the upper value alone are drawn in a quarter of the resamples.
    mean, lower, upper = bootstrap_interval([0.0, 10.0])
    assert (mean, lower, upper) == (5.0, 0.0, 10.0)
    # Half of the resamples hold one of each, so an interval of 40 percent is the mean.
    assert bootstrap_interval([0.0, 10.0], confidence=0.4) == (5.0, 5.0, 5.0)


def test_it_agrees_with_scipy():
    samples = np.random.default_rng(1).normal(2.0, 3.0, 30)
    _, lower, upper = bootstrap_interval(samples, 0.9, resamples=20_000)
    theirs = bootstrap((samples,), np.mean, confidence_level=0.9, n_resamples=20_000, method="percentile", rng=2)
    ours = np.array([lower, upper])
    np.testing.assert_allclose(ours, list(theirs.confidence_interval), atol=0.03)


def test_it_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(400):
        _, lower, upper = bootstrap_interval(rng.normal(0.0, 1.0, 40), 0.9, resamples=400, seed=trial)
        hits += lower <= 0.0 <= upper
    # 0.9 less the small-sample bias of the percentile bootstrap; four standard errors are 0.06.
    assert 0.83 < hits / 400 < 0.95


def test_a_wider_confidence_contains_a_narrower_one():
    samples = np.random.default_rng(4).normal(size=(6, 5))
    mean, low, high = bootstrap_interval(samples, 0.8)
    _, lowest, highest = bootstrap_interval(samples, 0.99)
    assert (lowest <= low).all() and (low <= mean).all() and (mean <= high).all() and (high <= highest).all()


def test_every_column_is_resampled_with_the_same_seeds_and_repeatably():
    samples = np.random.default_rng(5).normal(size=(5, 3))
    whole = bootstrap_interval(samples, seed=9)
    for column in range(3):
        alone = bootstrap_interval(samples[:, column], seed=9)
        np.testing.assert_allclose([part[column] for part in whole], alone, rtol=1e-12)
    np.testing.assert_array_equal(whole, bootstrap_interval(samples, seed=9))
    assert not np.array_equal(whole[1], bootstrap_interval(samples, seed=10)[1])
    # A sum of columns is resampled as the columns are.
    shifted = bootstrap_interval(samples + 7.0, seed=9)
    np.testing.assert_allclose(shifted, np.array(whole) + 7.0)


@pytest.mark.parametrize("samples", [[], 3.0])
def test_no_seed_is_refused(samples):
    with pytest.raises(ValueError, match="at least one seed"):
        bootstrap_interval(samples)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 95.0])
def test_a_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match=f"confidence = {confidence}: between 0 and 1"):
        bootstrap_interval([1.0, 2.0], confidence)


def test_running_mean_by_hand():
    assert running_mean([3.0, 5.0, 1.0, 9.0, 2.0], 3).tolist() == [3.0, 4.0, 3.0, 5.0, 4.0]
    assert running_mean([[1.0, 3.0], [10.0, 30.0]], 2).tolist() == [[1.0, 2.0], [10.0, 20.0]]


def test_running_mean_of_width_one_changes_nothing_and_of_a_great_width_is_the_mean_so_far():
    values = [0.5, 2.0, -1.5]
    assert running_mean(values, 1).tolist() == values
    assert running_mean(values, 100).tolist() == pytest.approx([0.5, 1.25, 1 / 3])


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match="width = 0: at least 1"):
        running_mean([1.0], 0)


def test_missing_values_are_left_out():
    mean, lower, upper = bootstrap_interval([[1.0, 1.0, np.nan], [5.0, np.nan, np.nan]])
    np.testing.assert_array_equal(mean, [3.0, 1.0, np.nan])
    np.testing.assert_array_equal(lower, [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(upper, [5.0, 1.0, np.nan])
    np.testing.assert_array_equal(running_mean([np.nan, 2.0, np.nan, np.nan, 4.0], 2), [np.nan, 2.0, 2.0, np.nan, 4.0])


def test_students_interval_by_hand_and_its_coverage():
    # Mean 3, s = 1.5811, t(0.975, 4) = 2.7764: half-width 2.7764 * 1.5811 / sqrt(5) = 1.9632.
    assert t_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((3.0, 1.0368, 4.9632), abs=1e-4)
    assert t_interval([1.0, np.nan, 1.0, 1.0]) == (1.0, 1.0, 1.0)
    assert t_interval([2.0]) == (2.0, -np.inf, np.inf)
    assert all(np.isnan(value) for value in t_interval([np.nan]))
    draws = np.random.default_rng(3).normal(size=(2000, 5))
    covered = {
        rule: np.mean([low <= 0.0 <= high for _, low, high in (interval(row) for row in draws)])
        for rule, interval in (("t", t_interval), ("bootstrap", lambda row: bootstrap_interval(row, resamples=200)))
    }
    assert covered["t"] == pytest.approx(0.95, abs=0.015)
    assert covered["bootstrap"] < 0.9


def test_convergence_is_the_first_episode_from_which_the_running_mean_stays_near_the_end():
    episodes = np.arange(0, 100, 10)
    values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    # A running mean over 50 episodes is one over 5 points: it is within 5 % from the fifth one on.
    assert convergence(episodes, values) == 70.0
    assert convergence(episodes, np.ones(10)) == 0.0
    assert convergence(episodes, np.linspace(0.0, 1.0, 10), window=20.0) == 90.0
    late_dip = np.where(episodes == 70, 0.0, 1.0)
    assert convergence(episodes, late_dip, window=20.0) == 90.0
    assert np.isnan(convergence(episodes, np.where(episodes == 20, np.nan, 1.0)))
