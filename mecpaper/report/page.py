"""The results in one page: figures/summary.md, and the same text between two marks in README.md.

`python -m mecpaper.report.page` writes both. No number of that text is typed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mecpaper import config
from mecpaper.report.figures import NAMES, ORDER
from mecpaper.report.statistics import t_interval
from mecpaper.report.tables import to_markdown
from mecpaper.store import results

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

MEASURES = {
    "reward": "reward",
    "energy": "energy, J",
    "ecpr_f": "ECPR-f",
    "ecpr_m": "ECPR-m",
    "sor": "SOR",
    "offload_share": "offloaded",
}


EARLIER = "conservative_start"
"""Scenario with the learning numbers before the present ones were found (D34, D40)."""


def overall(summary: pd.DataFrame, planner: pd.DataFrame, scenario: str = "default") -> pd.DataFrame:
    """Algorithms in a scenario of the default game: mean, half-width of Student's 95 % interval, percent of planner.

    Args:
        summary: a row per run.
        planner: data/runs/planner.csv; the yardstick is its best stationary policy that keeps the limit.
        scenario: whose runs.
    """
    feasible = planner[planner["constrained"] & (planner["policy"] == "stationary")]["reward"].max()
    default = summary[summary["scenario"] == scenario]
    rows = []
    for name in (a for a in ORDER if a in set(default["algorithm"])):
        runs = default[default["algorithm"] == name]
        row: dict[str, object] = {"algorithm": NAMES[name]}
        for measure, title in MEASURES.items():
            mean, lower, _ = t_interval(runs[measure])
            row[title] = "none" if pd.isna(mean) else f"{mean:.3f} ± {mean - lower:.3f}"
        row["of the planner"] = f"{100 * runs['reward'].mean() / feasible:.0f} %"
        rows.append(row)
    return pd.DataFrame(rows)


def page(summary: pd.DataFrame, planner: pd.DataFrame, verdicts: pd.DataFrame, robustness: pd.DataFrame) -> str:
    """The whole text, Markdown."""
    default = summary[summary["scenario"] == "default"]
    learned = default[default["updates"] > 0]
    limit = default["cost_limit"].iloc[0]
    counts = verdicts["verdict"].value_counts()
    tally = ", ".join(f"{counts[name]} {name}" for name in counts.index)
    again = robustness.merge(robustness[robustness["reading"] == "default"], on="claim", suffixes=("", "_default"))
    again = again[(again["reading"] != "default") & (again["verdict"] != "untestable")]
    changed = again[again["verdict"] != again["verdict_default"]]
    shown = verdicts.assign(
        effect=[
            "no runs" if pd.isna(row.effect) else f"{row.effect:.3g} [{row.lower:.3g}, {row.upper:.3g}]"
            for row in verdicts.itertuples()
        ],
        claim=[f"[{row.claim}](notebooks/{row.evidence})" for row in verdicts.itertuples()],
    )
    lines = [
        f"Scale `{default['scale'].iloc[0]}`: {default['seed'].nunique()} seeds, {default['episodes'].max()} episodes, "
        f"{learned['updates'].min()} to {learned['updates'].max()} updates; final policies without noise, 20 users, "
        f"energy limit {limit:g} J per device and slot. Mean ± half of Student's 95 % interval over seeds.",
        "",
        to_markdown(overall(summary, planner)),
        "",
        "The planner searches the simulator itself for the best policy that is the same in every slot and keeps the "
        "limit.",
        "",
        *(
            [
                "The same from a more conservative first policy, and with a penalty on saturated actions that does not "
                "fall in the second half of the training (D34, D40, notebook 20):",
                "",
                to_markdown(overall(summary, planner, EARLIER)),
                "",
            ]
            if EARLIER in set(summary["scenario"])
            else []
        ),
        f"Of the paper's {len(verdicts)} checkable claims: {tally}. Effect and interval are those of the comparison "
        "that decided (notebook 50); positive is in the paper's favour.",
        "",
        to_markdown(shown[["id", "place", "claim", "verdict", "effect"]]),
        "",
        f"Under {again['reading'].nunique()} other readings of the text, {len(changed)} of {len(again)} verdicts on "
        "the headline claims change (notebook 51)."
        if len(again)
        else "The headline claims have not been decided again under other readings of the text at this scale.",
        "",
    ]
    return "\n".join(lines)


def insert(readme: str, text: str) -> str:
    """A README with the text between its two marks.

    Raises ValueError where it does not have both marks once.
    """
    changed, count = re.subn(f"(?s){BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}{END}", readme)
    if count != 1:
        raise ValueError(f"README.md: the marks {BEGIN} and {END}, once each")
    return changed


def main(root: Path) -> None:
    """Write figures/summary.md, and README.md where there is one."""
    runs = root / "data" / "runs"
    names = ("summary", "planner", "verdicts", "robustness")
    text = page(*(pd.read_csv(runs / f"{name}.csv") for name in names))
    results.write_atomically(root / "figures" / "summary.md", text)
    readme = root / "README.md"
    if readme.exists():
        results.write_atomically(readme, insert(readme.read_text(encoding="utf-8"), text))


if __name__ == "__main__":
    main(config.find_root())
