"""Select stored runs by algorithm and scenario, and measure them by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd

from mecpaper import config
from mecpaper.config.registry import ALGORITHMS
from mecpaper.config.tables import read_json, read_table
from mecpaper.report import statistics
from mecpaper.report.tables import unlike_printed
from mecpaper.store import results

OURS = "cpo_maddpg"
BASELINES = tuple(name for name, entry in ALGORITHMS.items() if name != OURS and entry.printed)
LEARNERS = tuple(name for name in BASELINES if ALGORITHMS[name].learns)
UNCONSTRAINED = tuple(name for name in LEARNERS if not ALGORITHMS[name].constrained)
BATTERIES = {8: "default", 9: "battery_9", 10: "battery_10", 11: "battery_11"}
USERS = {20: "default", 30: "users_30", 40: "users_40", 50: "users_50"}
HARVESTS = {0.05: "harvest_05", 0.10: "default", 0.15: "harvest_15"}
ATTACKERS = {"weak": "default", "moderate": "attacker_moderate", "strong": "attacker_strong"}
SEEDED = {name: f"{name}+many_seeds" for name in ("battery_10", "battery_11", "attacker_moderate")}
"""Settings whose first seeds left a claim open, and the scenarios with more."""

DYNAMIC, FIXED = SEEDED["battery_10"], "battery_10+multiplier_half+many_seeds"
CRITICS = {"separate critics": "critics_separate", "a multi-output critic": "critic_multi_output"}
LINEAR = "critic_linear_heads"
KEY = ["algorithm", "scenario"]


class MissingRuns(LookupError):
    """A claim needs runs that are not stored."""


Derived = Callable[["Runs", str, str], pd.Series]
"""Runs, algorithm and scenario -> a measure by seed."""

MIN_SEEDS = 5
"""Fewest seeds with a value that decide a statement."""

ENERGY_MARGIN = 0.05
"""Share of C_limit by which an energy may exceed it and still count as held, as in data/paper/claims.csv."""


@dataclass(frozen=True)
class Runs:
    """The stored runs, or a view of them under another reading.

    Args:
        curves, summary: (algorithm, scenario) -> table of its runs.
        update_times: algorithm -> times per update in ms, measured in turn, so that they can be paired by index.
        rename: scenario -> scenario to use instead.
        fallback: scenario -> scenario for algorithms without runs of the renamed one.
        planned: number of seeds that each experiment must have; with fewer its runs count as missing, so that no claim
            is decided halfway.
        planned_for: (algorithm, scenario) -> number of seeds of an experiment that is planned.
        least: fewest seeds with a value that decide a statement.
        unlike: scenario -> how its game is not the paper's setting; runs in it count as missing if it says something.
    """

    curves: dict[tuple[str, str], pd.DataFrame]
    summary: dict[tuple[str, str], pd.DataFrame]
    update_times: dict[str, list[float]] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    fallback: dict[str, str] = field(default_factory=dict)
    planned: int = MIN_SEEDS
    planned_for: dict[tuple[str, str], int] = field(default_factory=dict)
    least: int = MIN_SEEDS
    unlike: Callable[[str], str] = lambda scenario: ""

    @classmethod
    def load(cls, root: Path, printed: bool = False) -> Runs:
        """Read the stored experiments that params.yaml names, and the update times in benchmarks/results.json.

        Args:
            root: the project's folder.
            printed: whether runs count only where the game is what the paper prints, as for its claims.
        """
        path = root / "benchmarks" / "results.json"
        measured = read_json(path) if path.exists() else {}
        entries = {entry["name"]: entry["values"] for entry in measured.get("learning", {}).get("figures", [])}
        times = {name: entries[key] for name in ALGORITHMS if (key := f"{name}: one update as trained") in entries}
        curves, summary = (split(pooled(results.read_tables(root, name))) for name in ("curves", "summary"))
        settings = config.load(root / "params.yaml")
        planned, experiments = len(settings.run.seeds), config.named(settings)
        rows = [(e.algorithm, e.scenario, seed) for e in experiments for seed in e.seeds]
        planned_for = pooled(pd.DataFrame(rows, columns=[*KEY, "seed"])).groupby(KEY).size().to_dict()
        found = cls(curves, summary, times, planned=planned, planned_for=planned_for)
        registry = read_table(root / "data" / "paper" / "reported.csv") if printed else None
        return found if registry is None else replace(found, unlike=partial(unlike_printed, settings, registry))

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
        if reason := self.unlike(key[1]):
            raise MissingRuns(f"not the paper's setting: {reason}")
        table = tables[key]
        planned = self.planned_for.get(key, self.planned)
        if (stored := table["seed"].nunique()) < planned:
            raise MissingRuns(f"{stored} of {planned} planned seeds of {key[0]} in {key[1]}")
        return table

    def curve(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.DataFrame:
        """Select a learning curve, a row per seed and a column per episode."""
        table = self._find(self.curves, algorithm, scenario)
        return table.pivot(index="seed", columns="episode", values=measure).sort_index()

    def values(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.Series:
        """Select a measure by seed: a noise-free final one, or one of `DERIVED`."""
        if measure in DERIVED:
            return DERIVED[measure](self, algorithm, scenario)
        return self._find(self.summary, algorithm, scenario).set_index("seed")[measure].sort_index()

    def experiments(self) -> list[tuple[str, str]]:
        """List algorithm and scenario of all experiments whose setting counts, or of all if none does."""
        return sorted(key for key in self.summary if not self.unlike(key[1])) or sorted(self.summary)


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Count the seeds of `more_seeds` among those of `many_seeds` in the same setting; a seed that both have, once.

    Args:
        table: columns algorithm, scenario and seed among others.
    """
    further = table["scenario"].str.endswith("+more_seeds")
    merged = table.assign(scenario=table["scenario"].str.replace("+more_seeds", "+many_seeds", regex=False))
    runs = pd.MultiIndex.from_frame(merged[[*KEY, "seed"]])
    return merged[~further | ~runs.isin(runs[~further])]


def split(table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Split a table of runs by algorithm and scenario."""
    return dict(tuple(table.groupby(KEY)))


def _of_curve(measure: str, found: Callable[[pd.DataFrame], pd.Series]) -> Derived:
    return lambda runs, algorithm, scenario: found(runs.curve(measure, algorithm, scenario))


def _energy_share(runs: Runs, algorithm: str, scenario: str) -> pd.Series:
    return runs.values("energy", algorithm, scenario) / runs.values("cost_limit", algorithm, scenario)


def _within_limit(runs: Runs, algorithm: str, scenario: str) -> pd.Series:
    curve = runs.curve("energy", algorithm, scenario)
    bounds = (1.0 + ENERGY_MARGIN) * runs.values("cost_limit", algorithm, scenario)
    held = {seed: statistics.first_held(curve.columns, row <= bounds[seed]) for seed, row in curve.iterrows()}
    return pd.Series(held)


def _late(curve: pd.DataFrame) -> pd.DataFrame:
    return statistics.part_of(curve, "late")


DERIVED: dict[str, Derived] = {
    "settled": _of_curve("reward", statistics.settled),
    "delay": _of_curve("reward", statistics.delay),
    "early_fluctuation": _of_curve("reward", lambda curve: statistics.fluctuation(statistics.part_of(curve, "early"))),
    "late_fluctuation": _of_curve("reward", lambda curve: statistics.fluctuation(_late(curve))),
    "first_ecpr_m": _of_curve("ecpr_m", lambda curve: curve.iloc[:, 0]),
    "first_energy": _of_curve("energy", lambda curve: curve.iloc[:, 0]),
    "energy_share": _energy_share,
    "within_limit": _within_limit,
    "first_multiplier": _of_curve("multiplier", lambda curve: curve.iloc[:, 0]),
    "peak_multiplier": _of_curve("multiplier", lambda curve: curve.max(axis=1)),
    "last_multiplier": _of_curve("multiplier", lambda curve: curve.iloc[:, -1]),
    "late_multiplier_std": _of_curve("multiplier", lambda curve: _late(curve).std(axis=1)),
}
"""Measures by seed that are no column of a summary.

settled and delay are the two measures of speed; energy_share is the energy over C_limit; within_limit is the first
episode from which the energy is held at most `ENERGY_MARGIN` above C_limit; first is the untrained policy, before the
first update.
"""
