"""Mark stored results as current without retraining, if a sample of recomputed experiments agrees with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper.config import RESULTS_VERSION, Experiment
from mecpaper.store import results
from mecpaper.training.loop import Training

RELATIVE = 1e-3
"""Relative tolerance: tables have six digits, and processors round differently."""

IDENTITY = ["seed", "episode"]


@dataclass(frozen=True)
class Restamped:
    """Result of a restamp: names of the stamped and of the recomputed experiments, and the differences found."""

    stamped: list[str]
    sample: list[str]
    differences: list[str]


def restamp(experiments: Sequence[Experiment], root: Path, sample: int = 6, updates: int = 1) -> Restamped:
    """Recompute the beginning of a sample of stored experiments; if all agree, mark all results as current.

    This concerns results of another version with the present numbers; results with other numbers must be retrained.

    Args:
        experiments: all that params.yaml names.
        root: the project's folder.
        sample: number of experiments to recompute, alternating between algorithms.
        updates: recompute up to the first point of the curve with at least this many updates.
    Raises:
        DamagedError: a stored file has changed since it was written.
    """
    old = []
    for experiment in experiments:
        stored = results.read(results.folder_of(root, experiment))
        if stored is not None and stored.numbers == experiment.numbers and stored.version != RESULTS_VERSION:
            old.append(experiment)
    chosen = _in_turn(old)[:sample]
    found = [line for experiment in chosen for line in differences(experiment, root, updates)]
    if not found:
        for experiment in old:
            results.complete(results.folder_of(root, experiment), experiment.numbers)
    names = [experiment.name for experiment in old]
    return Restamped([] if found else names, [experiment.name for experiment in chosen], found)


def _in_turn(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Order experiments so that the algorithms alternate."""
    by_algorithm: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        by_algorithm.setdefault(experiment.algorithm, []).append(experiment)
    return [one for turn in zip_longest(*by_algorithm.values()) for one in turn if one is not None]


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
    stored = pd.read_csv(results.folder_of(root, experiment) / "curves.csv")
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
