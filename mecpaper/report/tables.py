"""Make tables from tidy data; `save` writes them as CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mecpaper.config import Config
from mecpaper.config.registry import ALGORITHMS
from mecpaper.report.labels import MEASURES
from mecpaper.report.statistics import interval
from mecpaper.store.files import write_atomically, write_table


def intervals(summary: pd.DataFrame, by: str, measures: Iterable[str], confidence: float) -> pd.DataFrame:
    """Compute mean and Student's interval over seeds of each measure in each group.

    Args:
        summary: one row per group and seed; missing values (SOR without requests) are skipped.
        by: column with the groups.
        measures: columns to summarise.
        confidence: confidence level of the interval.
    Returns:
        Columns `by`, measure, mean, lower, upper, seeds; NaN if no seed has a value.
    """
    rows = [
        (key, measure, *interval(group[measure], confidence), group[measure].count())
        for key, group in summary.groupby(by)
        for measure in measures
    ]
    return pd.DataFrame(rows, columns=[by, "measure", "mean", "lower", "upper", "seeds"])


def absent(runs: pd.DataFrame, scenarios: Iterable[str], algorithms: Sequence[str] = ("cpo_maddpg",)) -> str:
    """Name the experiments without a row in a table of runs, such as "mappo/battery_9, mappo/battery_10", or "none"."""
    there = set(zip(runs["algorithm"], runs["scenario"], strict=True))
    names = [f"{a}/{s}" for s in scenarios for a in algorithms if (a, s) not in there]
    return ", ".join(names) or "none"


def share(reward: float, plan: float) -> str:
    """Format a reward as percent of a plan's; "none" if it is not positive, of which no share is one."""
    return f"{100 * reward / plan:.0f} %" if reward > 0 else "none"


def measured(runs: pd.DataFrame) -> dict[str, str]:
    """Write each of `MEASURES` of a group of runs as "mean ± half of Student's 95 % interval", by column title."""
    row = {}
    for measure, title in MEASURES.items():
        mean, lower, _ = interval(runs[measure])
        half = f" ± {mean - lower:.3f}" if np.isfinite(lower) else ""
        row[title] = "none" if pd.isna(mean) else f"{mean:.3f}{half}"
    return row


def beside_reported(measured: pd.DataFrame, reported: pd.DataFrame, by: str) -> pd.DataFrame:
    """Make a row per group with each measure as "mean [lower, upper]" and the paper's number beside it.

    Where some seeds have no value, the number of those that have one is added.

    Args:
        measured: as `intervals` returns it, with the group column `by`.
        reported: the paper's numbers, with columns `by`, measure and value.
        by: the group column, such as "devices".
    """
    printed = reported.set_index([by, "measure"])["value"]
    most, rows = measured.groupby(by)["seeds"].max(), []
    for key, group in measured.groupby(by):
        row: dict[str, object] = {by: key}
        for entry in group.itertuples():
            ends = f"[{entry.lower:.3f}, {entry.upper:.3f}]" if np.isfinite(entry.lower) else "(1 seed)"
            if 1 < entry.seeds < most[key]:
                ends += f" ({entry.seeds} seeds)"
            row[entry.measure] = "n/a" if pd.isna(entry.mean) else f"{entry.mean:.3f} {ends}"
            if (key, entry.measure) in printed.index:
                row[f"{entry.measure} (paper)"] = printed[(key, entry.measure)]
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else [by])


def unlike_printed(settings: Config, registry: pd.DataFrame, scenario: str) -> str:
    """Say how the game of a scenario differs from what the paper prints of its setting with that name.

    Args:
        settings: the whole configuration.
        registry: data/paper/reported.csv.
        scenario: name in params.yaml; those of all parts joined by "+" count.
    Returns:
        Such as "game.devices = 8, printed 20"; empty if what is printed agrees.
    """
    rows = registry[registry["measure"].str.startswith("game.")]
    used = _flatten("game", settings.scenario(scenario).model_dump())
    printed: dict[str, float] = {}
    for name in ("default", *scenario.split("+")):
        theirs = rows[rows["scenario"] == name]
        printed |= dict(zip(theirs["measure"], theirs["value"].astype(float), strict=True))
    other = {key: value for key, value in printed.items() if used.get(key) != value}
    return "; ".join(f"{key} = {used.get(key, 'a list')}, printed {value:g}" for key, value in other.items())


def reported(registry: pd.DataFrame, place: str, settings: Config) -> pd.DataFrame:
    """Select the paper's numbers in a table of results; its one penalty ratio stands for both definitions.

    Args:
        registry: data/paper/reported.csv.
        place: such as "Table 3".
        settings: the whole configuration; a scenario whose game is not the printed one has no numbers.
    Returns:
        Columns scenario, measure and value (a number).
    """
    chosen = registry[(registry["place"] == place) & registry["measure"].isin(["reward", "ecpr", "sor"])]
    theirs = [n for n in chosen["scenario"].unique() if n in settings.scenarios]
    chosen = chosen[chosen["scenario"].isin([n for n in theirs if not unlike_printed(settings, registry, n)])]
    chosen = chosen[["scenario", "measure", "value"]].assign(value=chosen["value"].astype(float))
    both = [chosen.replace({"measure": {"ecpr": name}}) for name in ("ecpr_f", "ecpr_m")]
    return pd.concat(both).drop_duplicates(["scenario", "measure"]).reset_index(drop=True)


def parameters(settings: Config, registry: pd.DataFrame) -> pd.DataFrame:
    """List all parameters of the model and of learning beside the paper's values.

    Args:
        settings: the whole configuration.
        registry: data/paper/reported.csv, empty cells as "".
    Returns:
        Columns parameter (key in params.yaml), used, printed, place; the last two are empty if nothing is printed.
    """

    data = settings.model_dump()
    learners = [name for name, algorithm in ALGORITHMS.items() if algorithm.learns]
    used = {k: v for name in ("game", "learning", *learners) for k, v in _flatten(name, data[name]).items()}
    used |= _flatten("scales.paper", data["scales"]["paper"])
    printed = registry[registry["scenario"] == "default"].drop_duplicates("measure").set_index("measure")
    rows = []
    for key, value in used.items():
        text = f"{value:g}" if isinstance(value, float | int) and not isinstance(value, bool) else str(value)
        known = key in printed.index
        number, place = (f"{float(printed.loc[key, 'value']):g}", printed.loc[key, "place"]) if known else ("", "")
        rows.append({"parameter": key, "used": text, "printed": number, "place": place})
    return pd.DataFrame(rows)


def _flatten(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | list):
        return {prefix: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, part in items for k, v in _flatten(f"{prefix}.{key}", part).items()}


def formulas(text: object) -> str:
    """Write symbols with an index, such as C_limit, as formulas; code, names of code and formulas stay as they are."""
    symbol = r"(?<![\w./\\])([A-Za-zλσ]|MEC)\\?_(limit|max|min|nk|[a-zA-Z0-9])(?![\w(]|\.\w)"
    kept = r"`[^`]*`|(?<!\\)\$[^$]*\$"
    return re.sub(f"{kept}|{symbol}", lambda m: f"${m[1]}_{{{m[2]}}}$" if m[1] else m[0], str(text))


def to_markdown(table: pd.DataFrame, plain: bool = False) -> str:
    """Format a table as Markdown, without its index.

    Unlike `DataFrame.to_markdown`, it escapes "|" and does not pad columns, which would make long rows unreadable.

    Args:
        table: table to format.
        plain: for a terminal; otherwise symbols become `formulas`.
    """

    written = str if plain else formulas

    def row(entries: Iterable[object]) -> str:
        return "| " + " | ".join(written(entry).replace("|", r"\|").replace("\n", " ") for entry in entries) + " |"

    head = [row(table.columns), row(["---"] * len(table.columns))]
    return "\n".join([*head, *(row(entry) for entry in table.itertuples(index=False))])


def to_latex(table: pd.DataFrame, caption: str, label: str, mathematics: Sequence[str] = ()) -> str:
    """Format a table as a LaTeX float with booktabs rules; the columns in `mathematics` are formulas."""
    text = table.map(str)
    text[list(mathematics)] = text[list(mathematics)].map("${}$".format)
    style = text.style.hide(axis="index").format_index(axis="columns", escape="latex")
    style = style.format(escape="latex", subset=[name for name in text if name not in mathematics])
    return str(style.to_latex(caption=caption, label=label, hrules=True, position_float="centering"))


def save(table: pd.DataFrame, folder: Path, name: str, caption: str, mathematics: Sequence[str] = ()) -> None:
    """Write a table as `<name>.csv` and `<name>.tex` (see `to_latex`)."""
    write_table(folder / f"{name}.csv", table)
    write_atomically(folder / f"{name}.tex", to_latex(table, caption, f"tab:{name}", mathematics))
