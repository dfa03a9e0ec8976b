"""Seed-level statistics: bootstrap intervals over runs. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bootstrap_interval(
    samples: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[NDArray, NDArray, NDArray]:
    """Mean over seeds with a percentile bootstrap interval.

    Args:
        samples: `[seed, ...]`, one row per seed; every column is resampled with the same seeds.
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
    weights = np.stack([(picks == i).sum(axis=1) for i in range(len(data))], axis=1) / len(data)
    means = np.tensordot(weights, data, axes=(1, 0))
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(means, [tail, 1.0 - tail], axis=0)
    return data.mean(axis=0), lower, upper


def running_mean(values: ArrayLike, width: int) -> NDArray:
    """Mean over the last `width` points, over fewer at the start.

    Args:
        values: `[..., point]`.
        width: number of points, at least 1; 1 changes nothing.
    Returns:
        the same shape.
    """
    if width < 1:
        raise ValueError(f"width = {width}: at least 1")
    data = np.asarray(values, dtype=float)
    total = np.cumsum(data, axis=-1)
    result = total.copy()
    result[..., width:] -= total[..., :-width]
    return result / np.minimum(np.arange(1, data.shape[-1] + 1), width)
