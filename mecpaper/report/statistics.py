"""Statistics over seeds: Student's interval, running mean, parts and speed of curves, best plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

PART = 0.2
"""Share of the training that counts as its early part, and as its late part."""

HELD, WAY, WINDOW = 0.95, 0.06, 50.0
"""Speed: the share of the way that must be held, the least way in reward that has a speed (half of the 9.6 % that the
paper prints as a gain), and the length of the running mean in episodes."""


def interval(samples: ArrayLike, confidence: float = 0.95) -> tuple[Any, Any, Any]:
    """Compute the mean over seeds and its Student's interval.

    Args:
        samples: `[seed]` or `[seed, point]`; NaN marks missing values.
        confidence: confidence level, in (0, 1).
    Returns:
        Mean, lower and upper end: numbers, or `[point]`. With one seed the ends are infinite, without any all are NaN.
    Raises:
        ValueError: samples without an axis of seeds, or a confidence outside (0, 1).
    """
    data = np.asarray(samples, dtype=float)
    if data.ndim == 0:
        raise ValueError("samples: an array [seed, ...] is needed, not a number")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence}: between 0 and 1")
    known = ~np.isnan(data)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, data, 0.0).sum(axis=0) / count
        variance = np.square(data - mean, where=known, out=np.zeros_like(data)).sum(axis=0) / (count - 1)
        half = np.where(count == 1, np.inf, stdtrit(count - 1, 0.5 + confidence / 2.0) * np.sqrt(variance / count))
    return mean, (mean - half)[()], (mean + half)[()]


def running_mean(values: ArrayLike, width: int) -> NDArray:
    """Compute the mean over the last `width` points, or fewer at the start.

    Args:
        values: `[point]` or `[seed, point]`; NaN marks missing values.
        width: number of points, at least 1; with 1 the values stay as they are.
    Returns:
        The same shape; NaN where a window has no values.
    Raises:
        ValueError: a width below 1.
    """
    if width < 1:
        raise ValueError(f"width = {width}: at least 1")
    table = np.asarray(values, dtype=float).T
    rolling = (pd.Series(table) if table.ndim == 1 else pd.DataFrame(table)).rolling(width, min_periods=1)
    return np.asarray(rolling.mean(), dtype=float).T


def first_held(episodes: ArrayLike, holds: ArrayLike) -> float:
    """Find the first episode from which a condition holds until the end; the last one if it never does.

    Args:
        episodes: `[point]`, increasing.
        holds: `[point]`, whether the condition holds.
    """
    episodes, broken = np.asarray(episodes, dtype=float), np.flatnonzero(~np.asarray(holds, dtype=bool))
    return float(episodes[min(broken[-1] + 1, len(episodes) - 1)] if len(broken) else episodes[0])


def progress(curve: pd.DataFrame) -> pd.DataFrame:
    """Measure each seed's way from its untrained reward, 0, to its final one, 1; the base of both measures of speed.

    The untrained reward is the first point, the final one the mean over the late part.

    Args:
        curve: a row per seed, a column per episode.
    Returns:
        The same shape; NaN for a seed whose reward rises by less than `WAY`, since it has no speed.
    """
    start, final = curve.iloc[:, 0], part_of(curve, "late").mean(axis=1)
    way = (final - start).where(final - start >= WAY)
    return curve.sub(start, axis=0).div(way, axis=0)


def settled(curve: pd.DataFrame) -> pd.Series:
    """Find each seed's first episode from which the running mean holds `HELD` of the way (see `progress`)."""
    episodes = curve.columns.to_numpy(float)
    width = max(2, int(np.ceil(WINDOW / np.diff(episodes).min()))) if len(episodes) > 1 else 1
    way = progress(curve)
    found = [first_held(episodes, row >= HELD) for row in running_mean(way, width)]
    return pd.Series(found, index=curve.index).where(way.notna().all(axis=1))


def delay(curve: pd.DataFrame) -> pd.Series:
    """Compute the area between each seed's progress, held within [0, 1], and 1: the mean delay in episodes."""
    way = progress(curve)
    area = np.trapezoid(1.0 - way.clip(0.0, 1.0), curve.columns.to_numpy(float), axis=1)
    return pd.Series(area, index=curve.index).where(way.notna().all(axis=1))


def fluctuation(curve: pd.DataFrame) -> pd.Series:
    """Compute the standard deviation of each seed's curve about its own trend, from successive differences."""
    return curve.diff(axis=1).pow(2).mean(axis=1).div(2.0).pow(0.5)


def part_of(curve: pd.DataFrame, part: str) -> pd.DataFrame:
    """Select the early or the late part of learning curves, each a share `PART` of the training.

    Args:
        curve: a row per seed, a column per episode.
        part: "early" or "late".
    """
    episodes, last = curve.columns, curve.columns.max()
    return curve.loc[:, episodes <= PART * last if part == "early" else episodes >= (1.0 - PART) * last]


def best_plan(planner: pd.DataFrame, policy: str = "stationary", constrained: bool = True) -> float:
    """Look up the reward of the best plan of a family, the reference for "of the planner".

    Args:
        planner: data/runs/planner.csv.
        policy: family of plans.
        constrained: plans that keep the energy limit, or those planned without it.
    """
    chosen = (planner["policy"] == policy) & (planner["constrained"] == constrained)
    return float(planner.loc[chosen, "reward"].max())


def yardsticks(curves: pd.DataFrame, planner: pd.DataFrame) -> dict[str, float]:
    """Collect rewards that need no learning: of the planner and the always-local plan within the limit, and untrained.

    Args:
        curves: learning curves; the untrained reward is the mean of the learners' at episode 0.
        planner: data/runs/planner.csv.
    Returns:
        Name -> reward.
    """
    untrained = curves.loc[(curves["episode"] == 0) & (curves["algorithm"] != "random"), "reward"].mean()
    plans = {"planner": best_plan(planner), "always local": best_plan(planner, "always-local")}
    return plans | {"untrained": float(untrained)}


def share_of_way(rewards: ArrayLike, start: float, planner: pd.DataFrame, constrained: bool) -> Any:
    r"""Compute the share of the way from the untrained policy to the stationary plan, $(R - R_0) / (R_{plan} - R_0)$.

    Args:
        rewards: R, a number or an array.
        start: R_0, the reward of the untrained policy.
        planner: data/runs/planner.csv.
        constrained: whether the policy has to keep the energy limit, as `Algorithm.constrained` says of a learner: it
            is compared with the plan that it is entitled to.
    Returns:
        As `rewards`: 0 for the untrained policy, 1 for the plan; beyond them for worse and better policies.
    """
    return (np.asarray(rewards, dtype=float) - start)[()] / (best_plan(planner, constrained=constrained) - start)
