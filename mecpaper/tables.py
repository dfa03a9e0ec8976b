"""Tidy data in, table out: no torch, no reading of files. `save` writes CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mecpaper.results import write_atomically, write_table
from mecpaper.stats import bootstrap_interval

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
                mean, lower, upper = bootstrap_interval(values, confidence, resamples)
            else:
                mean = lower = upper = float("nan")
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


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """The table as a LaTeX float with rules of the booktabs package."""

    def escape(text: object) -> str:
        return str(text).replace("_", r"\_").replace("%", r"\%")

    lines = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\label{{{label}}}"]
    lines += [rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}", r"\toprule"]
    lines += [" & ".join(escape(name) for name in table.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(escape(value) for value in row) + r" \\" for row in table.itertuples(index=False)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def save(table: pd.DataFrame, folder: Path, name: str, caption: str) -> None:
    """Write a table as `<name>.csv` and `<name>.tex`."""
    write_table(folder / f"{name}.csv", table)
    write_atomically(folder / f"{name}.tex", to_latex(table, caption, f"tab:{name}"))
