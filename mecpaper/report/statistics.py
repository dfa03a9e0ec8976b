"""Seed-level statistics: intervals over runs, running means, convergence. NumPy and one quantile of SciPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit


def bootstrap_interval(
    samples: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[NDArray, NDArray, NDArray]:
    """Mean over seeds with a percentile bootstrap interval.

    Args:
        samples: `[seed, ...]`, one row per seed; every column is resampled with the same seeds. NaN is a
            missing value and left out; a column of nothing else gives NaN.
        confidence: share of the interval, in (0, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling, so that the same runs give the same interval.
    Returns:
        mean, lower and upper end, each `[...]`. With one seed the interval is the mean itself.
    Raises:
        ValueError: no seed, or a confidence outside (0, 1).
    """
    data = np.asarray(samples, dtype=float)
    if data.ndim == 0 or len(data) == 0:
        raise ValueError("samples: at least one seed")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence}: between 0 and 1")
    picks = np.random.default_rng(seed).integers(0, len(data), size=(resamples, len(data)))
    counts = np.stack([(picks == i).sum(axis=1) for i in range(len(data))], axis=1).astype(float)
    known = ~np.isnan(data)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.tensordot(counts, np.where(known, data, 0.0), axes=(1, 0)) / np.tensordot(counts, known, axes=(1, 0))
        mean = np.where(known, data, 0.0).sum(axis=0) / known.sum(axis=0)
    tail = (1.0 - confidence) / 2.0
    # A resample may hold no known value of a column; the column's interval is then of the others.
    usable = np.where(known.any(axis=0), np.where(np.isnan(means), np.nan_to_num(mean), means), np.nan)
    lower, upper = np.quantile(usable, [tail, 1.0 - tail], axis=0)
    return mean, lower, upper


def running_mean(values: ArrayLike, width: int) -> NDArray:
    """Mean over the last `width` points, over fewer at the start.

    Args:
        values: `[..., point]`.
        width: number of points, at least 1; 1 changes nothing.
    Returns:
        the same shape. NaN is a missing value and left out; a window of nothing else gives NaN.
    """
    if width < 1:
        raise ValueError(f"width = {width}: at least 1")
    data = np.asarray(values, dtype=float)
    known = ~np.isnan(data)
    totals = [np.cumsum(part, axis=-1) for part in (np.where(known, data, 0.0), known.astype(float))]
    windows = [total.copy() for total in totals]
    for window, total in zip(windows, totals, strict=True):
        window[..., width:] -= total[..., :-width]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(windows[1] > 0, windows[0] / windows[1], np.nan)


def t_interval(samples: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean over seeds with Student's interval, by which claims are decided.

    With the few seeds there are, a percentile bootstrap is too narrow (with 5 normal values it holds the mean in about
    85 % of cases instead of 95 %); Student's interval holds what it says for normal values of any number.

    Args:
        samples: `[seed]`, one number per seed; NaN is left out.
        confidence: share of the interval, in (0, 1).
    Returns:
        mean, lower and upper end; with one seed the ends are infinite, with none all are NaN.
    """
    data = np.asarray(samples, dtype=float)
    data = data[~np.isnan(data)]
    if len(data) == 0:
        return (float("nan"),) * 3
    mean = float(data.mean())
    if len(data) == 1:
        return mean, float("-inf"), float("inf")
    half = float(stdtrit(len(data) - 1, 0.5 + confidence / 2.0) * data.std(ddof=1) / np.sqrt(len(data)))
    return mean, mean - half, mean + half


def convergence(episodes: ArrayLike, values: ArrayLike, window: float = 50.0, tolerance: float = 0.05) -> float:
    """First episode from which the running mean stays near its final value.

    Args:
        episodes: `[point]`, rising.
        values: `[point]`, a learning curve; NaN gives NaN.
        window: length of the running mean in episodes; at least two points.
        tolerance: what "near" is, as a share of the final value's size.
    Returns:
        an episode; the last one where the curve reaches its final value only there.
    """
    episodes, values = np.asarray(episodes, dtype=float), np.asarray(values, dtype=float)
    if len(values) < 2 or np.isnan(values).any():
        return float("nan")
    width = max(2, int(np.ceil(window / np.diff(episodes).min())))
    means = running_mean(values, width)
    far = np.flatnonzero(np.abs(means - means[-1]) > tolerance * abs(means[-1]))
    return float(episodes[far[-1] + 1] if len(far) else episodes[0])
