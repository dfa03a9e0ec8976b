"""Compare folders of runs: means, and the differences with the statistics of the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mecpaper.claims.effect import CONTRADICTED, MANY, NONE, OPEN, REPRODUCED, Effect, answer, holm, welch
from mecpaper.claims.runs import ENERGY_MARGIN, MIN_SEEDS
from mecpaper.config.tables import read_table
from mecpaper.report.labels import MEASURES
from mecpaper.report.tables import measured, share
from mecpaper.store import results

REWARD_MARGIN = 0.06
"""Difference in reward that counts as none, as in data/paper/claims.csv: half of the printed 9.6 %, of 1.27."""

WORDS = {REPRODUCED: "higher", CONTRADICTED: "lower", NONE: NONE, OPEN: OPEN}
"""Answer on the statement "the first is higher" -> answer in a comparison."""

SAME = ("game", "evaluation", "scale")
"""Numbers that must agree for a difference to say something about algorithms or their settings."""

UNREAD = ("name", "seeds", "curve_every")
"""Keys of a scale in which compared experiments may differ."""


def read(folders: Mapping[str, Path]) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Read the final measures of experiments.

    Args:
        folders: name of an experiment in the comparison -> its folder.
    Returns:
        The summaries as one table, with a column "runs" for the name, and the numbers of each experiment by name.
    Raises:
        FileNotFoundError: a folder has no complete experiment.
        DamagedError: a file differs from what training wrote.
    """
    tables, numbers = [], {}
    for name, folder in folders.items():
        stored = results.read(folder)
        if stored is None:
            raise FileNotFoundError(f"{folder}: no complete experiment")
        numbers[name] = stored.numbers
        tables.append(read_table(folder / "summary.csv").assign(runs=name))
    return pd.concat(tables, ignore_index=True), numbers


def overview(runs: pd.DataFrame, plans: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Make a row per group of runs, and one per yardstick: means with their intervals, updates, seeds.

    Args:
        runs: as `read` returns it.
        plans: yardstick -> measures of its plan; "planner" is what rewards are a share of. May be empty.
    """
    rows = []
    for name, group in runs.groupby("runs", sort=False):
        row: dict[str, object] = {"runs": name, **measured(group)}
        if "planner" in plans:
            row["of the planner"] = share(group["reward"].mean(), plans["planner"]["reward"])
        rows.append(row | {"updates": f"{group['updates'].max():.0f}", "seeds": str(group["seed"].nunique())})
    for name, plan in plans.items():
        known = {title: f"{plan[key]:.3f}" for key, title in MEASURES.items() if key in plan and pd.notna(plan[key])}
        rows.append({"runs": name, **known, "of the planner": share(plan["reward"], plans["planner"]["reward"])})
    return pd.DataFrame(rows).fillna("")


def differences(runs: pd.DataFrame, own: str, others: list[str]) -> pd.DataFrame:
    """Compare one group of runs with others in reward and energy, by Welch's intervals at Holm's levels.

    Args:
        runs: as `read` returns it.
        own, others: names in its column "runs".
    Returns:
        Columns runs, other, measure, difference, lower, upper, confidence, answer, seeds (of the smaller group) and
        needed (seeds that would decide an open one; NaN if it has one or fewer than two seeds). With fewer than
        `MIN_SEEDS` the answer is open.
    """
    rows = []
    for measure in ("reward", "energy"):
        mine = runs[runs["runs"] == own]
        margin = REWARD_MARGIN if measure == "reward" else ENERGY_MARGIN * float(mine["cost_limit"].mean())
        effects = [welch(mine[measure], runs.loc[runs["runs"] == other, measure]) for other in others]
        enough = [effect.seeds >= MIN_SEEDS for effect in effects]
        p_values = [float(effect.p_value(margin)) if e else 1.0 for effect, e in zip(effects, enough, strict=True)]
        for other, effect, level, e in zip(others, effects, holm(p_values), enough, strict=True):
            rows.append({"runs": own, "other": other, "measure": measure} | _row(effect, float(level), margin, e))
    return pd.DataFrame(rows)


def _row(effect: Effect, level: float, margin: float, enough: bool) -> dict[str, Any]:
    lower, upper = map(float, effect.interval(level)) if effect.seeds > 1 else (np.nan, np.nan)
    given = str(answer(lower, upper, margin)) if enough else OPEN
    needed = effect.needed(level, margin) if given == OPEN and effect.seeds > 1 else np.nan
    return {
        "difference": float(effect.mean),
        "lower": lower,
        "upper": upper,
        "confidence": 1.0 - level,
        "answer": WORDS[given],
        "seeds": effect.seeds,
        "needed": max(needed, float(MIN_SEEDS)),
    }


def in_words(differences: pd.DataFrame) -> pd.DataFrame:
    """Write differences as a table to read: answer, difference with interval, and seeds that would decide."""
    rows = []
    for row in differences.to_dict("records"):
        ends = "" if pd.isna(row["lower"]) else f" [{row['lower']:.3g}, {row['upper']:.3g}]"
        more = "" if pd.isna(row["needed"]) else f"about {row['needed']:.0f}" if row["needed"] <= MANY else "above 1000"
        rows.append(
            {
                "runs": row["runs"],
                "against": row["other"],
                "measure": row["measure"],
                "difference": f"{row['difference']:+.3g}{ends}",
                "confidence": f"{100 * row['confidence']:.3g} %",
                "answer": row["answer"],
                "seeds": row["seeds"],
                "would decide": more,
            }
        )
    return pd.DataFrame(rows)


def notes(numbers: dict[str, dict[str, Any]], own: Iterable[str], others: Iterable[str]) -> list[str]:
    """Say what else differs between compared experiments, each kind of difference once."""
    found: dict[str, list[str]] = {}
    for one in own:
        for other in others:
            if one == other:
                continue
            if differ := _cautions(numbers[one], numbers[other]):
                text = f"not the same game or scale, so that differences say little: {'; '.join(differ)}"
                found.setdefault(f"{one}: {text}", []).append(other)
            if differ := _changed_settings(numbers[one], numbers[other]):
                found.setdefault(f"{one}: {'; '.join(differ)}", []).append(other)
    return [f"{text} ({', '.join(names)})" for text, names in found.items()]


def _cautions(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """List what differs between two experiments besides algorithm and settings of learning; see `SAME`."""
    mine, theirs = ({key: numbers[key] for key in SAME} for numbers in (one, other))
    for part in (mine, theirs):
        part["scale"] = {key: value for key, value in part["scale"].items() if key not in UNREAD}
    return results.differences(mine, theirs, word="there")


def _changed_settings(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """List the settings of learning that differ between two experiments of one algorithm."""
    if one["algorithm"] != other["algorithm"]:
        return []
    mine, theirs = ({"learning": part["learning"], part["algorithm"]: part["own"]} for part in (one, other))
    return results.differences(mine, theirs, word="there")
