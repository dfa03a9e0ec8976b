"""Write the results as one page, figures/summary.md, from stored tables; no number is typed by hand.

README.md has the same text between two marks. A test compares them; `refresh_readme` updates it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mecpaper import config
from mecpaper.report.labels import MEASURES, NAMES
from mecpaper.report.statistics import best_plan, interval
from mecpaper.report.tables import to_markdown
from mecpaper.store.files import write_atomically

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

EARLIER = "conservative_start"
"""Scenario with the earlier learning settings (D34, D40)."""


def overall(summary: pd.DataFrame, planner: pd.DataFrame, scenario: str = "default") -> pd.DataFrame:
    """Compare algorithms in a scenario of the default game.

    Args:
        summary: a row per run.
        planner: data/runs/planner.csv; the reference is its best stationary policy that keeps the limit.
        scenario: scenario of the runs.
    Returns:
        A row per algorithm: mean and half-width of Student's 95 % interval of each measure, percent of the planner.
    """
    chosen = summary[summary["scenario"] == scenario]
    rows = []
    for name in (key for key in NAMES if key in set(chosen["algorithm"])):
        runs = chosen[chosen["algorithm"] == name]
        row: dict[str, object] = {"algorithm": NAMES[name]}
        for measure, title in MEASURES.items():
            mean, lower, _ = interval(runs[measure])
            row[title] = "none" if pd.isna(mean) else f"{mean:.3f} ± {mean - lower:.3f}"
        row["of the planner"] = f"{100 * runs['reward'].mean() / best_plan(planner):.0f} %"
        rows.append(row)
    return pd.DataFrame(rows)


def page(
    summary: pd.DataFrame, planner: pd.DataFrame, verdicts: pd.DataFrame, robustness: pd.DataFrame, devices: int
) -> str:
    """Compose the page in Markdown, from tables of data/runs and the number of devices of the default game."""
    default = summary[summary["scenario"] == "default"]
    updates = default.loc[default["updates"] > 0, "updates"]
    tally = ", ".join(f"{count} {name}" for name, count in verdicts["verdict"].value_counts().items())
    shown = verdicts.assign(
        effect=[
            "no runs" if pd.isna(row.effect) else f"{row.effect:.3g} [{row.lower:.3g}, {row.upper:.3g}]"
            for row in verdicts.itertuples()
        ],
        claim=[f"[{row.claim}](notebooks/{row.evidence})" for row in verdicts.itertuples()],
    )
    taken = robustness[robustness["reading"] == "default"].set_index("claim")["verdict"]
    again = robustness[(robustness["reading"] != "default") & (robustness["verdict"] != "untestable")]
    changed = (again["verdict"] != again["claim"].map(taken)).sum()
    blocks = [
        f"Scale `{default['scale'].iloc[0]}`: {default['seed'].nunique()} seeds, {default['episodes'].max()} episodes, "
        f"{updates.min()} to {updates.max()} updates; final policies without noise, {devices} users, "
        f"energy limit {default['cost_limit'].iloc[0]:g} J per device and slot. Mean ± half of Student's 95 % interval "
        "over seeds.",
        to_markdown(overall(summary, planner)),
        "The planner searches the simulator itself for the best policy that is the same in every slot and keeps the "
        "limit.",
    ]
    if EARLIER in set(summary["scenario"]):
        blocks += [
            "The same from a more conservative first policy, and with a penalty on saturated actions that does not "
            "fall in the second half of the training (D34, D40, notebook 20):",
            to_markdown(overall(summary, planner, EARLIER)),
        ]
    blocks += [
        f"Of the paper's {len(verdicts)} checkable claims: {tally}. Effect and interval are those of the comparison "
        "that decided (notebook 50); positive is in the paper's favour.",
        to_markdown(shown[["id", "place", "claim", "verdict", "effect"]]),
        f"Under {again['reading'].nunique()} other readings of the text, {changed} of {len(again)} verdicts on "
        "the headline claims change (notebook 51)."
        if len(again)
        else "The headline claims have not been decided again under other readings of the text at this scale.",
    ]
    return "\n\n".join(blocks) + "\n"


def read_page(root: Path) -> str:
    """Compose the page from the stored tables and the configuration of a project."""
    names = ("summary", "planner", "verdicts", "robustness")
    tables = {name: pd.read_csv(root / "data" / "runs" / f"{name}.csv") for name in names}
    return page(**tables, devices=config.load(root / "params.yaml").game.devices)


def insert(readme: str, text: str) -> str:
    """Insert the text between the two marks of a README.

    Raises:
        ValueError: the README does not have each mark exactly once.
    """
    changed, count = re.subn(f"(?s){BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}{END}", readme)
    if count != 1:
        raise ValueError(f"README.md: the marks {BEGIN} and {END}, once each")
    return changed


def refresh_readme(root: Path) -> None:
    """Update the results between the marks in README.md from the stored tables."""
    path = root / "README.md"
    write_atomically(path, insert(path.read_text(encoding="utf-8"), read_page(root)))


def write_summary(root: Path) -> None:
    """Write figures/summary.md."""
    write_atomically(root / "figures" / "summary.md", read_page(root))
