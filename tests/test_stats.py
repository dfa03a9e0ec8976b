"""Student's interval over seeds, running means, convergence, and what is read off curves and levels."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mecpaper.report.statistics import best_plan, convergence, interval, part_of, running_mean, slope


def test_students_interval_by_hand():
    # Mean 3, s = 1.5811, t(0.975, 4) = 2.7764: half-width 2.7764 * 1.5811 / sqrt(5) = 1.9632.
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((3.0, 1.0368, 4.9632), abs=1e-4)
    # Two seeds: s = 7.0711, t(0.975, 1) = 12.7062, half-width 12.7062 * 7.0711 / sqrt(2) = 63.531.
    assert interval([0.0, 10.0]) == pytest.approx((5.0, -58.531, 68.531), abs=1e-3)


def test_one_seed_has_no_bound_and_none_has_no_value():
    assert interval([2.0]) == (2.0, -np.inf, np.inf)
    assert [part.tolist() for part in interval([[1.5, -2.0]])] == [[1.5, -2.0], [-np.inf] * 2, [np.inf] * 2]
    assert all(np.isnan(value) for samples in ([np.nan], []) for value in interval(samples))


def test_equal_seeds_have_no_width():
    assert interval([3.0, 3.0, 3.0]) == (3.0, 3.0, 3.0)
    assert interval([1.0, np.nan, 1.0, 1.0]) == (1.0, 1.0, 1.0)


def test_it_agrees_with_scipy_column_by_column():
    samples = np.random.default_rng(1).normal(2.0, 3.0, (6, 4))
    whole = np.array(interval(samples, 0.9))
    for column in range(4):
        values = samples[:, column]
        theirs = stats.t.interval(0.9, 5, loc=values.mean(), scale=stats.sem(values))
        np.testing.assert_allclose(whole[:, column], [values.mean(), *theirs])
        np.testing.assert_allclose(whole[:, column], interval(values, 0.9))


def test_it_covers_the_true_mean_as_often_as_it_says_with_few_seeds():
    draws = np.random.default_rng(3).normal(size=(5, 4000))
    for confidence in (0.8, 0.95):
        _, lower, upper = interval(draws, confidence)
        # Four standard errors of the simulation.
        error = np.sqrt(confidence * (1.0 - confidence) / 4000)
        assert np.mean((lower <= 0.0) & (upper >= 0.0)) == pytest.approx(confidence, abs=4.0 * error)


def test_a_wider_confidence_contains_a_narrower_one():
    samples = np.random.default_rng(4).normal(size=(6, 5))
    mean, low, high = interval(samples, 0.8)
    _, lowest, highest = interval(samples, 0.99)
    assert (lowest < low).all() and (low < mean).all() and (mean < high).all() and (high < highest).all()


def test_what_is_no_sample_is_refused():
    with pytest.raises(ValueError, match="an array"):
        interval(3.0)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 95.0])
def test_a_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match=f"confidence = {confidence}: between 0 and 1"):
        interval([1.0, 2.0], confidence)


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
    mean, lower, upper = interval([[1.0, 1.0, np.nan], [5.0, np.nan, np.nan]])
    np.testing.assert_array_equal(mean, [3.0, 1.0, np.nan])
    half = 12.706205 * np.sqrt(8.0) / np.sqrt(2.0)
    np.testing.assert_allclose(lower, [3.0 - half, -np.inf, np.nan])
    np.testing.assert_allclose(upper, [3.0 + half, np.inf, np.nan])
    np.testing.assert_array_equal(running_mean([np.nan, 2.0, np.nan, np.nan, 4.0], 2), [np.nan, 2.0, 2.0, np.nan, 4.0])


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


def test_the_early_and_the_late_part_of_a_curve_are_a_fifth_each():
    curve = pd.DataFrame([np.arange(0, 101, 10)], columns=np.arange(0, 101, 10))
    assert part_of(curve, "early").columns.tolist() == [0, 10, 20]
    assert part_of(curve, "late").columns.tolist() == [80, 90, 100]


def test_the_slope_is_that_of_least_squares_and_of_seeds_without_a_gap():
    levels = pd.DataFrame({8: [1.0, 0.0, 5.0], 9: [3.0, 0.0, np.nan], 11: [4.0, 3.0, 1.0]}, index=[1, 2, 3])
    found = slope(levels)
    assert found.index.tolist() == [1, 2]
    for seed in (1, 2):
        assert found[seed] == pytest.approx(np.polyfit([8, 9, 11], levels.loc[seed], 1)[0])


def test_the_yardstick_is_the_best_plan_of_its_kind():
    planner = pd.DataFrame(
        {
            "policy": ["stationary", "stationary", "stationary", "always-local"],
            "constrained": [True, True, False, True],
            "reward": [1.1, 1.2, 1.5, 1.3],
        }
    )
    assert best_plan(planner) == 1.2 and best_plan(planner, constrained=False) == 1.5
    assert best_plan(planner, "always-local") == 1.3
