"""Statistics over seeds: Student's interval, running mean, parts and convergence of curves, slope, best plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

PART = 0.2
"""Share of the training that counts as its early part, and as its late part."""


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


def convergence(episodes: ArrayLike, values: ArrayLike, window: float = 50.0, tolerance: float = 0.05) -> float:
    """Find the first episode from which the running mean stays near its final value.

    Args:
        episodes: `[point]`, increasing.
        values: `[point]`, a learning curve.
        window: length of the running mean in episodes; at least two points are used.
        tolerance: maximum distance, relative to the absolute final value.
    Returns:
        An episode, which may be the last; NaN with missing values or fewer than two points.
    """
    episodes, values = np.asarray(episodes, dtype=float), np.asarray(values, dtype=float)
    if len(values) < 2 or np.isnan(values).any():
        return float("nan")
    width = max(2, int(np.ceil(window / np.diff(episodes).min())))
    means = running_mean(values, width)
    far = np.flatnonzero(np.abs(means - means[-1]) > tolerance * abs(means[-1]))
    return float(episodes[far[-1] + 1] if len(far) else episodes[0])


def part_of(curve: pd.DataFrame, part: str) -> pd.DataFrame:
    """Select the early or the late part of learning curves, each a share `PART` of the training.

    Args:
        curve: a row per seed, a column per episode.
        part: "early" or "late".
    """
    episodes, last = curve.columns, curve.columns.max()
    return curve.loc[:, episodes <= PART * last if part == "early" else episodes >= (1.0 - PART) * last]


def slope(levels: pd.DataFrame) -> pd.Series:
    """Fit a straight line to each seed's values over a setting, by least squares.

    Args:
        levels: a row per seed, a column per level of the setting, named by its value; incomplete rows are dropped.
    Returns:
        Slope per unit of the setting, by seed.
    """
    table = levels.dropna()
    centred = table.columns.to_numpy(float) - np.mean(table.columns.to_numpy(float))
    return (table * centred).sum(axis=1) / (centred**2).sum()


def best_plan(planner: pd.DataFrame, policy: str = "stationary", constrained: bool = True) -> float:
    """Look up the reward of the best plan of a family, the reference for "of the planner".

    Args:
        planner: data/runs/planner.csv.
        policy: family of plans.
        constrained: plans that keep the energy limit, or those planned without it.
    """
    chosen = (planner["policy"] == policy) & (planner["constrained"] == constrained)
    return float(planner.loc[chosen, "reward"].max())
