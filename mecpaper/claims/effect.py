"""Effects: what is estimated of a statement, with its interval at any level, and the answer that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

REPRODUCED, SMALLER, NONE = "reproduced", "reproduced, smaller than printed", "no difference of practical size"
CONTRADICTED, OPEN = "contradicted", "open"
ANSWERS = (REPRODUCED, SMALLER, NONE, CONTRADICTED, OPEN)

NOT_IDENTIFIED = "not identified"
"""What the optimum says in place of "open": its near-best policies differ."""

MORE, NO_WORSE = "more", "no worse"
"""Kinds of statements: the effect is positive, or it is above minus the margin."""

ERROR = 0.05
"""Chance of a wrong answer among the statements of a claim."""

MANY = 1000
"""Largest number of seeds that `Effect.needed` looks at."""


@dataclass(frozen=True)
class Effect:
    """The least of some differences, each with its standard error; mostly there is only one.

    "The highest of all" is true if the least of the differences from the others is positive. Its lower end is the
    lowest lower end. Its upper end is the lowest upper end, at a level divided by the number of differences.

    Args:
        means, errors, freedom: `[..., difference]`, estimates, standard errors and degrees of freedom.
        seeds: number of seeds with a value in the smaller sample.
        absent: number of seeds without a value, such as the safe offload rate of a policy that requests nothing.
        base: mean of what a printed percentage refers to.
    """

    means: NDArray
    errors: NDArray
    freedom: NDArray
    seeds: int
    absent: int = 0
    base: float = float("nan")

    @property
    def mean(self) -> NDArray:
        """The least mean, `[...]`."""
        return np.asarray(self.means.min(axis=-1))

    def interval(self, alpha: ArrayLike) -> tuple[NDArray, NDArray]:
        """Compute Student's interval at a level of error, `[...]`."""
        alpha = np.asarray(alpha, dtype=float)[..., None]
        count = self.means.shape[-1]
        with np.errstate(invalid="ignore"):
            low = self.means - stdtrit(self.freedom, 1.0 - alpha / 2.0) * self.errors
            high = self.means + stdtrit(self.freedom, 1.0 - alpha / (2.0 * count)) * self.errors
        return low.min(axis=-1), high.min(axis=-1)

    def _above(self, bound: float) -> NDArray:
        """Smallest level at which the interval lies above a bound."""
        return np.asarray(2.0 * stdtr(self.freedom, -self._distance(bound)).max(axis=-1))

    def _below(self, bound: float) -> NDArray:
        """Smallest level at which the interval lies below a bound."""
        return np.asarray(2.0 * self.means.shape[-1] * stdtr(self.freedom, self._distance(bound)).min(axis=-1))

    def _distance(self, bound: float) -> NDArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num((self.means - bound) / self.errors, nan=0.0, posinf=np.inf, neginf=-np.inf)

    def p_value(self, margin: float, kind: str = MORE) -> NDArray:
        """Compute the smallest level at which the interval decides a statement, `[...]`."""
        if kind == NO_WORSE:
            ways = [self._above(-margin), self._below(-margin)]
        else:
            within = np.maximum(self._above(-margin), self._below(margin))
            ways = [self._above(0.0), self._below(0.0), within]
        return np.clip(np.min(ways, axis=0), 0.0, 1.0)

    def needed(self, alpha: float, margin: float, kind: str = MORE) -> float:
        """Find the number of seeds that would decide the statement, if means and variances stay as they are.

        Returns:
            A number of seeds above the present one; infinite above `MANY`.
        """
        seeds = np.arange(self.seeds + 1, max(self.seeds, MANY) + 1)[:, None]
        factor = np.sqrt(self.seeds / seeds)
        freedom = self.freedom * (seeds - 1) / (self.seeds - 1)
        more = Effect(np.broadcast_to(self.means, freedom.shape), self.errors * factor, freedom, self.seeds)
        decides = more.p_value(margin, kind) <= alpha
        return float(seeds[decides.argmax(), 0]) if decides.any() else float("inf")


def paired(values: ArrayLike) -> Effect:
    """Make the effect of differences within a seed, `[..., seed]`; NaN where a seed has none."""
    data = np.asarray(values, dtype=float)
    count = int((~np.isnan(data)).sum(axis=-1).min())
    means, errors = _moments(data)
    return Effect(means[..., None], errors[..., None], np.array([max(count - 1, 0)]), count, data.shape[-1] - count)


def welch(one: ArrayLike, other: ArrayLike) -> Effect:
    """Make the effect of the difference of two independent samples, `[..., seed]`, by Welch's test."""
    samples = [np.asarray(sample, dtype=float) for sample in (one, other)]
    counts = [int((~np.isnan(sample)).sum(axis=-1).min()) for sample in samples]
    (first, error), (second, another) = (_moments(sample) for sample in samples)
    squares = [error**2, another**2]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = sum(square**2 / (count - 1) for square, count in zip(squares, counts, strict=True))
        freedom = np.where(sum(squares) > 0.0, np.divide(sum(squares) ** 2, parts), sum(counts) - 2)
    absent = sum(sample.shape[-1] for sample in samples) - sum(counts)
    error = np.sqrt(sum(squares))
    return Effect((first - second)[..., None], error[..., None], freedom[..., None], min(counts), absent)


def _moments(data: NDArray) -> tuple[NDArray, NDArray]:
    """Compute mean and standard error over the last axis, leaving out NaN; NaN without enough values."""
    known = ~np.isnan(data)
    count = known.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, data, 0.0).sum(axis=-1) / count
        variance = np.where(known, (data - mean[..., None]) ** 2, 0.0).sum(axis=-1) / (count - 1)
        return mean, np.sqrt(variance / count)


def least(effects: Sequence[Effect]) -> Effect:
    """Join comparisons with several others to one with the best of them; see `Effect`."""
    columns = zip(*((effect.means, effect.errors, effect.freedom) for effect in effects), strict=True)
    means, errors, freedom = (np.concatenate(column, axis=-1) for column in columns)
    seeds, absent = min(effect.seeds for effect in effects), max(effect.absent for effect in effects)
    return Effect(means, errors, freedom, seeds, absent)


def answer(
    lower: ArrayLike, upper: ArrayLike, margin: float, printed: float = float("nan"), kind: str = MORE
) -> NDArray:
    """Read the answer off an interval, `[...]`; it holds for every effect within the interval.

    Args:
        lower, upper: ends of the interval; NaN leaves the statement open.
        margin: effects up to this size have no practical size.
        printed: the size that the paper prints; NaN if it prints none.
        kind: `MORE` or `NO_WORSE`.
    Returns:
        Entries of `ANSWERS`.
    """
    lower, upper = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if kind == NO_WORSE:
        return np.select([lower >= -margin, upper < -margin], [REPRODUCED, CONTRADICTED], OPEN)
    cases = {
        NONE: (lower >= -margin) & (upper <= margin),
        SMALLER: (lower > 0.0) & (upper < printed),
        REPRODUCED: lower > 0.0,
        CONTRADICTED: upper < 0.0,
    }
    return np.select(list(cases.values()), list(cases), OPEN)


def holm(p_values: ArrayLike, alpha: float = ERROR) -> NDArray:
    """Compute the level at which Holm's procedure tests each statement of a claim.

    Args:
        p_values: `[statement]`.
        alpha: level of the claim as a whole.
    Returns:
        `[statement]`; exactly the statements with a p-value up to their level are decided.
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    levels = alpha / np.arange(len(p_values), 0, -1)
    failing = np.flatnonzero(p_values[order] > levels)
    if len(failing):
        levels[failing[0] :] = levels[failing[0]]
    found = np.empty_like(levels)
    found[order] = levels
    return found
