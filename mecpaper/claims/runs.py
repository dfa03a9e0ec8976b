"""Select stored runs by algorithm and scenario, and compare them seed by seed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecpaper.config.registry import ALGORITHMS
from mecpaper.report import statistics
from mecpaper.store import results

CONFIDENCE = 0.95

OURS = "cpo_maddpg"
BASELINES = tuple(name for name in ALGORITHMS if name != OURS)
LEARNERS = tuple(name for name in BASELINES if ALGORITHMS[name].learns)
UNCONSTRAINED = tuple(name for name in LEARNERS if not ALGORITHMS[name].constrained)
BATTERIES = {8: "default", 9: "battery_9", 10: "battery_10", 11: "battery_11"}
USERS = {20: "default", 30: "users_30", 40: "users_40", 50: "users_50"}
HARVESTS = {0.05: "harvest_05", 0.10: "default", 0.15: "harvest_15"}
ATTACKERS = {"weak": "default", "moderate": "attacker_moderate", "strong": "attacker_strong"}
FIXED = "battery_10+multiplier_half"
CRITICS = {"separate critics": "critics_separate", "a multi-output critic": "critic_multi_output"}
LINEAR = "critic_linear_heads"


class MissingRuns(LookupError):
    """A claim needs runs that are not stored."""


@dataclass(frozen=True)
class Part:
    """One comparison of a claim.

    Args:
        label: description of the comparison.
        values: `[seed]`, positive where the claim holds.
        group: the meaning of the claim that it belongs to, if the text allows several.
    """

    label: str
    values: NDArray
    group: str = ""

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
        """Compute the mean and Student's interval over seeds."""
        return statistics.interval(self.values, confidence)

    @property
    def seeds(self) -> int:
        """Number of seeds that have a value."""
        return int(pd.Series(self.values).count())


@dataclass(frozen=True)
class Runs:
    """The stored runs, or a view of them under another reading.

    Args:
        curves, summary: (algorithm, scenario) -> table of its runs.
        update_times: algorithm -> times per update in ms, measured in turn, so that they can be paired by index.
        rename: scenario -> scenario to use instead.
        fallback: scenario -> scenario for algorithms without runs of the renamed one.
    """

    curves: dict[tuple[str, str], pd.DataFrame]
    summary: dict[tuple[str, str], pd.DataFrame]
    update_times: dict[str, list[float]] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    fallback: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Runs:
        """Read all complete experiments in data/runs, and the update times in benchmarks/results.json."""
        path = root / "benchmarks" / "results.json"
        measured = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        entries = {entry["name"]: entry["values"] for entry in measured.get("learning", {}).get("figures", [])}
        times = {name: entries[key] for name in ALGORITHMS if (key := f"{name}: one update") in entries}
        return cls(split(results.read_tables(root, "curves")), split(results.read_tables(root, "summary")), times)

    def view(self, rename: dict[str, str], fallback: dict[str, str]) -> Runs:
        """Return a view of the runs under another reading."""
        return replace(self, rename=rename, fallback=fallback)

    def _key(self, algorithm: str, scenario: str) -> tuple[str, str]:
        named = self.rename.get(scenario, scenario)
        if (algorithm, named) not in self.summary:
            named = self.fallback.get(scenario, named)
        return algorithm, named

    def has(self, algorithm: str, scenario: str) -> bool:
        """Return whether such runs are stored."""
        return self._key(algorithm, scenario) in self.summary

    def _find(self, tables: dict[tuple[str, str], pd.DataFrame], algorithm: str, scenario: str) -> pd.DataFrame:
        key = self._key(algorithm, scenario)
        if key not in tables:
            raise MissingRuns(f"no runs of {key[0]} in {key[1]}")
        return tables[key]

    def final(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.Series:
        """Select a noise-free final measure, by seed."""
        return self._find(self.summary, algorithm, scenario).set_index("seed")[measure].sort_index()

    def curve(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.DataFrame:
        """Select a learning curve, a row per seed and a column per episode."""
        table = self._find(self.curves, algorithm, scenario)
        return table.pivot(index="seed", columns="episode", values=measure).sort_index()

    def convergence(self, algorithm: str = OURS, scenario: str = "default", measure: str = "reward") -> pd.Series:
        """Compute the episode of convergence, by seed (see `statistics.convergence`)."""
        curve = self.curve(measure, algorithm, scenario)
        return curve.apply(lambda row: statistics.convergence(curve.columns, row), axis=1)

    def std(self, part: str, algorithm: str = OURS, scenario: str = "default") -> pd.Series:
        """Compute the standard deviation of the reward's curve over its "early" or "late" part, by seed."""
        return statistics.part_of(self.curve("reward", algorithm, scenario), part).std(axis=1)

    def levels(self, measure: str, algorithm: str) -> pd.DataFrame:
        """Select a final measure over the battery capacity in J, a row per seed and a column per capacity."""
        return pd.DataFrame({size: self.final(measure, algorithm, name) for size, name in BATTERIES.items()})

    def slope(self, measure: str, algorithm: str) -> pd.Series:
        """Compute the slope of a final measure over the battery capacity, per J, by seed."""
        return statistics.slope(self.levels(measure, algorithm))

    def full_scale(self) -> list[tuple[str, str]]:
        """List algorithm and scenario of all experiments at the full share of the scale."""
        return sorted(key for key in self.summary if not key[1].startswith(("reading_", "baseline")))


def split(table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Split a table of runs by algorithm and scenario."""
    return dict(tuple(table.groupby(["algorithm", "scenario"])))


def difference(larger: pd.Series | float, smaller: pd.Series | float) -> NDArray:
    """Subtract the second measure from the first by seed, for the seeds that both have."""
    if isinstance(larger, pd.Series) and isinstance(smaller, pd.Series):
        seeds = larger.index.intersection(smaller.index)
        larger, smaller = larger.loc[seeds], smaller.loc[seeds]
    return np.asarray(larger - smaller, dtype=float)


def greater(label: str, larger: pd.Series | float, smaller: pd.Series | float, group: str = "") -> Part:
    """Compare two measures by seed; the part holds if the first is larger than the second."""
    return Part(label, difference(larger, smaller), group)
