"""Mark stored results as current without retraining, if a sample of recomputed experiments agrees with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mecpaper.config import Experiment
from mecpaper.config.tables import read_table
from mecpaper.store import results
from mecpaper.training.loop import Training
from mecpaper.training.memory import require

RELATIVE = 1e-3
"""Relative tolerance: tables have six digits, and processors round differently."""

IDENTITY = ["seed", "episode"]


@dataclass(frozen=True)
class Restamped:
    """Result of a restamp: names of the stamped and of the recomputed experiments, and the differences found."""

    stamped: list[str]
    sample: list[str]
    differences: list[str]


def restamp(experiments: Sequence[Experiment], root: Path, sample: int = 12, updates: int = 1) -> Restamped:
    """Recompute the beginning of a sample of stored experiments; if all agree, mark all results as current.

    This concerns results of another version, and results that lack keys which params.yaml has got since; results with
    other numbers must be retrained.

    Args:
        experiments: all that params.yaml names.
        root: the project's folder.
        sample: number of experiments to recompute, at least one; evenly over algorithms and their scenarios.
        updates: recompute up to the first point of the curve with at least this many updates.
    Raises:
        ConfigError: an experiment of the sample does not fit in memory.
        DamagedError: a stored file has changed since it was written.
    """
    old = []
    for experiment in experiments:
        stored = results.read(results.folder_of(root, experiment))
        if stored is not None and _agrees(stored.numbers, experiment.numbers) and stored.key != experiment.key:
            old.append(experiment)
    chosen = _spread(old, sample)
    for experiment in chosen:
        require([experiment])
    found = [line for experiment in chosen for line in differences(experiment, root, updates)]
    if chosen and not found:
        for experiment in old:
            results.complete(results.folder_of(root, experiment), experiment.numbers)
    names = [experiment.name for experiment in old]
    return Restamped([] if found else names, [experiment.name for experiment in chosen], found)


def _agrees(stored: Any, now: Any) -> bool:
    """Whether stored numbers are those of now, apart from keys that did not exist when they were stored."""
    if isinstance(stored, dict) and isinstance(now, dict):
        return all(key in now and _agrees(value, now[key]) for key, value in stored.items())
    return bool(stored == now)


def _spread(experiments: Sequence[Experiment], count: int) -> list[Experiment]:
    """Pick experiments of every algorithm, evenly over its scenarios: the first, the last, and what lies between."""
    by_algorithm: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        by_algorithm.setdefault(experiment.algorithm, []).append(experiment)
    each = -(-count // max(1, len(by_algorithm)))
    picked = []
    for members in by_algorithm.values():
        places = np.unique(np.linspace(0, len(members) - 1, min(each, len(members))).round().astype(int))
        picked += [members[place] for place in places]
    return picked


def differences(experiment: Experiment, root: Path, updates: int = 1) -> list[str]:
    """Recompute the beginning of a stored experiment and list the numbers that differ.

    Args:
        experiment: an experiment stored in `root`.
        root: the project's folder.
        updates: recompute up to the first point of the curve with at least this many updates.
    Returns:
        A line with experiment, seed, episode, column and both numbers for each difference, and a line for each column
        that only one side has; empty if all agree.
    """
    stored = read_table(results.folder_of(root, experiment) / "curves.csv")
    after = stored[stored["updates"] >= updates]["episode"]
    last = int(after.min() if len(after) else stored["episode"].max())
    training = Training(experiment)
    training.run(episodes=last)
    # A diagnostic has no value before its first update, and no column before its first value.
    found = training.curves().dropna(axis="columns", how="all")
    wanted = stored[stored["episode"] <= last].dropna(axis="columns", how="all")
    lines = [f"{experiment.name}: {column} only stored" for column in wanted.columns.difference(found.columns)]
    lines += [f"{experiment.name}: {column} only now" for column in found.columns.difference(wanted.columns)]
    both = wanted.merge(found, how="outer", on=IDENTITY, suffixes=("", " now"))
    for column in found.select_dtypes("number").columns.intersection(wanted.columns).difference(IDENTITY):
        before, now = both[column].to_numpy(float), both[f"{column} now"].to_numpy(float)
        for row in np.flatnonzero(~np.isclose(now, before, rtol=RELATIVE, atol=1e-6, equal_nan=True)):
            place = f"seed {both['seed'][row]}, episode {both['episode'][row]}"
            lines.append(f"{experiment.name}, {place}: {column} = {before[row]:g} stored, {now[row]:g} now")
    return lines
