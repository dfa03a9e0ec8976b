"""Tidy data in, table out: no torch, no reading of files. `save` writes CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mecpaper.config import Config
from mecpaper.report.statistics import bootstrap_interval
from mecpaper.store.results import write_atomically, write_table

MEASURES = ("reward", "ecpr_f", "ecpr_m", "sor", "offload_share", "energy")


def intervals(
    summary: pd.DataFrame, by: list[str], measures: tuple[str, ...], confidence: float, resamples: int
) -> pd.DataFrame:
    """Mean and bootstrap interval over seeds of each measure in each group.

    Args:
        summary: one row per group and seed.
        by: columns that name a group.
        measures: columns to summarise; seeds without a value (such as SOR where nothing is requested) are left
            out, and a group where none has one gives NaN.
        confidence, resamples: of the interval.
    Returns:
        columns `by`, measure, mean, lower, upper, seeds.
    """
    rows = []
    for key, group in summary.groupby(by, sort=True):
        for measure in measures:
            values = group[measure].dropna().to_numpy()
            if len(values):
                mean, lower, upper = map(float, bootstrap_interval(values, confidence, resamples))
            else:
                mean, lower, upper = float("nan"), float("nan"), float("nan")
            head = dict(zip(by, key, strict=True))
            ends = {"mean": float(mean), "lower": float(lower), "upper": float(upper)}
            rows.append({**head, "measure": measure, **ends, "seeds": len(values)})
    return pd.DataFrame(rows)


def beside_reported(measured: pd.DataFrame, reported: pd.DataFrame, by: str) -> pd.DataFrame:
    """One row per group with each measure as text "mean [lower, upper]" and the paper's number beside it.

    Args:
        measured: as `intervals` gives, with the group column `by`.
        reported: columns `by`, measure and value: what the paper prints.
        by: the group column, such as "devices".
    """
    printed = reported.set_index([by, "measure"])["value"]
    rows = []
    for key, group in measured.groupby(by, sort=True):
        row: dict[str, object] = {by: key}
        for entry in group.itertuples():
            if pd.isna(entry.mean):
                row[entry.measure] = "n/a"
            else:
                row[entry.measure] = f"{entry.mean:.3f} [{entry.lower:.3f}, {entry.upper:.3f}]"
            if (key, entry.measure) in printed.index:
                row[f"{entry.measure} (paper)"] = printed[(key, entry.measure)]
        rows.append(row)
    return pd.DataFrame(rows)


def reported(registry: pd.DataFrame, place: str) -> pd.DataFrame:
    """What the paper prints in a table of results, its one penalty ratio set beside both definitions (D16).

    Args:
        registry: data/paper/reported.csv.
        place: such as "Table 3".
    Returns:
        columns scenario, measure and value (a number).
    """
    chosen = registry[(registry["place"] == place) & registry["measure"].isin(["reward", "ecpr", "sor"])]
    chosen = chosen[["scenario", "measure", "value"]].assign(value=chosen["value"].astype(float))
    both = [chosen.replace({"measure": {"ecpr": name}}) for name in ("ecpr_f", "ecpr_m")]
    return pd.concat(both).drop_duplicates(["scenario", "measure"]).reset_index(drop=True)


def parameters(settings: Config, registry: pd.DataFrame) -> pd.DataFrame:
    """Every number of the model and of what is learned, with what the paper prints.

    Args:
        settings: the whole configuration.
        registry: data/paper/reported.csv, empty cells as "".
    Returns:
        columns parameter (its key in params.yaml), used, printed, place; the last two empty where nothing is printed.
    """

    def flatten(prefix: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return {k: v for key, part in value.items() for k, v in flatten(f"{prefix}.{key}", part).items()}
        if isinstance(value, list):
            return {k: v for i, part in enumerate(value) for k, v in flatten(f"{prefix}.{i}", part).items()}
        return {prefix: value}

    data = settings.model_dump()
    data["scales.paper"] = data["scales"]["paper"]
    sections = ("game", "learning", "cpo_maddpg", "lmaddpg", "maddpg", "matd3", "mappo", "scales.paper")
    used = {key: value for name in sections for key, value in flatten(name, data[name]).items()}
    printed = registry[registry["scenario"] == "default"].drop_duplicates("measure").set_index("measure")
    rows = []
    for key, value in used.items():
        number = float(printed.loc[key, "value"]) if key in printed.index else None
        text = f"{value:g}" if isinstance(value, float | int) and not isinstance(value, bool) else str(value)
        place = printed.loc[key, "place"] if number is not None else ""
        rows.append(
            {"parameter": key, "used": text, "printed": "" if number is None else f"{number:g}", "place": place}
        )
    return pd.DataFrame(rows)


def to_markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, without its index."""

    def row(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"

    lines = [row(table.columns), row(["---"] * len(table.columns))]
    return "\n".join([*lines, *(row(entry) for entry in table.itertuples(index=False))])


def to_latex(table: pd.DataFrame, caption: str, label: str, mathematics: Sequence[str] = ()) -> str:
    """The table as a LaTeX float with rules of the booktabs package; columns `mathematics` are set as formulas."""

    def escape(text: object) -> str:
        return str(text).replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")

    formulas = [name in mathematics for name in table.columns]

    lines = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\label{{{label}}}"]
    lines += [rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}", r"\toprule"]
    lines += [" & ".join(escape(name) for name in table.columns) + r" \\", r"\midrule"]
    for row in table.itertuples(index=False):
        cells = [f"${value}$" if formula else escape(value) for value, formula in zip(row, formulas, strict=True)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def save(table: pd.DataFrame, folder: Path, name: str, caption: str, mathematics: Sequence[str] = ()) -> None:
    """Write a table as `<name>.csv` and `<name>.tex` (see `to_latex`)."""
    write_table(folder / f"{name}.csv", table)
    write_atomically(folder / f"{name}.tex", to_latex(table, caption, f"tab:{name}", mathematics))
