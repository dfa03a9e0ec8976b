"""Student's interval over seeds, running means, speed, and what is read off curves."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mecpaper.report.statistics import (
    best_plan,
    delay,
    first_held,
    fluctuation,
    interval,
    part_of,
    progress,
    running_mean,
    settled,
    share_of_way,
)  # fmt: skip


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


def test_a_condition_holds_from_the_episode_after_its_last_break():
    episodes = [0, 10, 20, 30]
    assert first_held(episodes, [False, True, False, True]) == 30.0
    assert first_held(episodes, [True] * 4) == 0.0
    assert first_held(episodes, [True, True, True, False]) == 30.0


def _curve(*rows):
    return pd.DataFrame(rows, columns=np.arange(0, 10 * len(rows[0]), 10))


def test_both_measures_of_speed_by_hand():
    # From 1 to 2 in one step at episode 30; the late part is the last three points.
    step = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    curve = _curve(step, [level + 5.0 for level in step])
    np.testing.assert_allclose(progress(curve), np.array([step, step]) - 1.0)
    # A running mean over 50 episodes is one over five points: it holds 95 % of the way from the fifth one on.
    assert settled(curve).tolist() == [70.0, 70.0]
    # The area is two whole steps and half of the third.
    assert delay(curve).tolist() == [25.0, 25.0]
    late_dip = _curve([1.0, *[2.0] * 6, 1.0, *[2.0] * 13])
    assert settled(late_dip).tolist() == [120.0] and delay(late_dip).tolist() == [15.0]
    # What goes beyond the final reward on its way is no negative delay.
    assert delay(_curve([1.0, 9.0, *[2.0] * 9])).tolist() == [5.0]


def test_a_reward_that_does_not_rise_has_no_speed():
    curve = _curve([1.0] * 11, np.linspace(1.0, 1.05, 11), np.linspace(2.0, 1.0, 11), np.linspace(1.0, 2.0, 11))
    for speed in (settled, delay):
        assert speed(curve).isna().tolist() == [True, True, True, False]


def test_the_fluctuation_is_about_the_trend():
    assert fluctuation(_curve([0.0, 1.0, 0.0, 1.0])).tolist() == [pytest.approx(np.sqrt(0.5))]
    # A rise over many points is a trend and no fluctuation.
    assert fluctuation(_curve(np.linspace(0.0, 1.0, 101))).iloc[0] < 0.01
    noise = np.random.default_rng(1).normal(0.0, 0.3, 5000)
    assert fluctuation(_curve(noise)).iloc[0] == pytest.approx(0.3, rel=0.05)


def test_the_early_and_the_late_part_of_a_curve_are_a_fifth_each():
    curve = pd.DataFrame([np.arange(0, 101, 10)], columns=np.arange(0, 101, 10))
    assert part_of(curve, "early").columns.tolist() == [0, 10, 20]
    assert part_of(curve, "late").columns.tolist() == [80, 90, 100]


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
    ways = share_of_way([0.7, 0.95, 1.2, 0.2], 0.7, planner, constrained=True)
    np.testing.assert_allclose(ways, [0.0, 0.5, 1.0, -1.0])
    assert share_of_way(0.9, 0.7, planner, constrained=False) == pytest.approx(0.25)
