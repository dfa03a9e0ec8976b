"""Write the results as one page, figures/summary.md, from stored tables; no number is typed by hand.

README.md has the same text between two marks. A test compares them; `refresh_readme` updates it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mecpaper import config
from mecpaper.config.tables import read_table
from mecpaper.report.labels import NAMES, VERDICTS
from mecpaper.report.statistics import best_plan
from mecpaper.report.tables import measured, share, to_markdown
from mecpaper.store.files import write_atomically

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

CALIBRATED = (
    "Constants that the paper leaves out were calibrated to its printed reward level and rates, by criteria that are "
    "the same for every learner (notebook 06). Two of them, the harvest and the range of the frame rate, were changed "
    "after earlier comparisons, and all learners were then trained anew. Calibration, and no prediction, are the level "
    "of the reward at the default setting, the negative reward of Random, and the safe offload rate of random powers."
)


def overall(summary: pd.DataFrame, planner: pd.DataFrame, starts: dict[str, float]) -> pd.DataFrame:
    """Compare algorithms at the default setting.

    Args:
        summary: a row per run.
        planner: data/runs/planner.csv; the reference is its best stationary policy that keeps the limit.
        starts: algorithm -> mean reward of its untrained policy.
    Returns:
        A row per algorithm: reward before training, mean and half-width of Student's 95 % interval of each measure,
        percent of the planner (of a positive reward), updates, seeds.
    """
    chosen = summary[summary["scenario"] == "default"]
    rows = []
    for name in (key for key in NAMES if key in set(chosen["algorithm"])):
        runs = chosen[chosen["algorithm"] == name]
        row: dict[str, object] = {"algorithm": NAMES[name], "start": f"{starts[name]:.3f}", **measured(runs)}
        row["of the planner"] = share(runs["reward"].mean(), best_plan(planner))
        rows.append(row | {"updates": f"{runs['updates'].max():.0f}", "seeds": runs["seed"].nunique()})
    return pd.DataFrame(rows)


def tally(answers: pd.Series) -> str:
    """Count verdicts or answers in words, in the order of `VERDICTS`."""
    counts = answers.value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)


def page(
    summary: pd.DataFrame,
    planner: pd.DataFrame,
    verdicts: pd.DataFrame,
    statements: pd.DataFrame,
    robustness: pd.DataFrame,
    starts: dict[str, float],
    devices: int,
) -> str:
    """Compose the page in Markdown, from tables of data/runs, the untrained rewards and the number of devices."""
    default = summary[summary["scenario"] == "default"]
    shown = default if len(default) else summary
    again = robustness[(robustness["reading"] != "default") & (robustness["seeds"] > 0)]
    decided = again[again["by"] == "runs"]
    changed = decided["otherwise"].notna().sum()
    readings = " and ".join(", ".join(again["reading"].unique()).rsplit(", ", 1))
    blocks = [
        f"Scale `{summary['scale'].iloc[0]}`: {shown['episodes'].max()} episodes; final policies without noise, "
        f"{devices} users, energy limit {default['cost_limit'].mean():g} J per device and slot. Mean ± half of "
        "Student's 95 % interval over seeds; start is the reward of the untrained policy.",
        to_markdown(overall(summary, planner, starts)) if len(default) else "No runs at the default setting.",
        "The planner searches the simulator itself for the best policy that is the same in every slot and keeps the "
        "limit.",
        f"Each of the paper's {len(verdicts)} checkable claims is a list of statements, {len(statements)} in all, with "
        f"margins fixed before the runs. Claims: {tally(verdicts['verdict'])}; if the "
        f"best policies settle what the runs leave open: {tally(verdicts['with_optimum'])}. Statements: "
        f"{tally(statements['answer'])}. [Notebook 50](notebooks/50_claims.ipynb) shows each with its effect, "
        "interval, margin and seeds, and what the best policies say of it without learning.",
        CALIBRATED,
        f"Under other readings runs exist for {len(again)} pairs of reading and headline statement ({readings}): they "
        f"decide {len(decided)}, {changed} of them otherwise than under the default reading (notebook 51)."
        if len(again)
        else "The headline statements have not been decided under other readings of the text at this scale.",
    ]
    return "\n\n".join(blocks) + "\n"


def read_page(root: Path) -> str:
    """Compose the page from the stored tables and the configuration of a project."""
    names, runs = ("summary", "planner", "verdicts", "statements", "robustness"), root / "data" / "runs"
    tables = {name: read_table(runs / f"{name}.csv") for name in names}
    starts = {}
    for name in tables["summary"]["algorithm"].unique():
        path = runs / name / "default" / "curves.csv"
        if path.exists():
            curves = read_table(path)
            starts[name] = curves.loc[curves["episode"] == 0, "reward"].mean()
    return page(**tables, starts=starts, devices=config.load(root / "params.yaml").game.devices)


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
