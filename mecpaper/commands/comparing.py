"""What `mecpaper compare` reads besides own runs, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mecpaper.config import ALGORITHMS, ConfigError
from mecpaper.config.tables import read_table
from mecpaper.store import results
from mecpaper.store.files import write_table

FAMILIES = {"planner": "stationary", "always-local": "always-local"}
"""Yardstick -> family of plans in the planner's table."""


def named_runs(folder: Path, label: str = "") -> dict[str, Path]:
    """Find the experiments in a folder of runs, by names such as "mine: maddpg/default"; the label replaces "mine"."""
    label = label or folder.resolve().name
    return {f"{label}: {'/'.join(f.resolve().parts[-2:])}": f for f in results.find_folders(folder)}


def references(root: Path, reference: str, runs: Path) -> dict[str, Path]:
    """Find what to compare own runs with.

    Args:
        root: the project's folder.
        reference: a scenario of data/runs, or a folder of runs.
        runs: folder of the own runs.
    Returns:
        Name -> folder of each experiment; none if the reference is the folder of the own runs.
    Raises:
        ConfigError: nothing is stored there.
    """
    other = Path(reference)
    if other.is_dir():
        if other.resolve() == runs.resolve():
            return {}
        found = named_runs(other, str(other) if other.resolve().name == runs.resolve().name else "")
    else:
        stored = root / "data" / "runs"
        places = {entry.label: stored / key / reference for key, entry in ALGORITHMS.items()}
        found = {label: place for label, place in places.items() if (place / results.MARK).exists()}
    if not found:
        known = sorted({path.parent.name for path in (root / "data" / "runs").glob(f"*/*/{results.MARK}")})
        raise ConfigError(f"reference = {reference!r}: a folder of runs, or one of {', '.join(known)}")
    return found


def plans(path: Path, scenario: str | None = None) -> dict[str, pd.Series]:
    """Look up the yardsticks in a table of `mecpaper plan`, or in data/runs/planner.csv.

    Args:
        path: the table, which need not exist.
        scenario: scenario to look up; by default that of the whole table.
    Returns:
        Yardstick -> measures of the best plan that keeps the limit; empty if there is none.
    """
    table = read_table(path, optional=True)
    table = table[table["constrained"].astype(bool) & (table["game"].eq(scenario) | (scenario is None))]
    found = {name: table[table["policy"] == family] for name, family in FAMILIES.items()}
    return {name: rows.loc[rows["reward"].idxmax()] for name, rows in found.items() if len(rows)}


def draw(
    runs: pd.DataFrame,
    table: pd.DataFrame,
    differences: pd.DataFrame,
    plans: dict[str, pd.Series],
    folder: Path,
    confidence: float,
) -> list[str]:
    """Write both tables and the picture, reward and energy side by side, and return the files.

    Raises:
        ConfigError: the extra `figures` is missing.
    """
    try:
        from mecpaper.report import figures
    except ImportError:
        raise ConfigError("compare: needs the extra, pip install 'mecpaper[figures]'") from None
    write_table(folder / "comparison.csv", table)
    write_table(folder / "differences.csv", differences)
    figure, panels = figures.new_figure(8.0, 1.2 + 0.3 * runs["runs"].nunique(), columns=2)
    limits = sorted(runs["cost_limit"].unique())
    marks = (
        {name: plan["reward"] for name, plan in plans.items()},
        {"energy limit": limits[0]} if len(limits) == 1 else {},
    )
    for axes, measure, lines in zip(panels, ("reward", "energy"), marks, strict=True):
        figures.draw_groups(axes, runs, measure, confidence, lines)
    panels[1].set_yticklabels([])
    paths = figures.save(figure, folder, "comparison")
    return [str(folder / name) for name in ("comparison.csv", "differences.csv")] + [str(p) for p in paths.values()]
