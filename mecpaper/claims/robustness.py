"""Decide the headline statements under other readings of data/paper/deviations.csv, and measure each reading's effect.

`python -m mecpaper decide` writes the tables to data/runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper.claims.effect import ANSWERS, OPEN
from mecpaper.claims.runs import ATTACKERS, BASELINES, OURS, USERS, Runs
from mecpaper.claims.verdict import decide, read_optimum, read_statements, tables, with_optimum
from mecpaper.config.tables import read_table
from mecpaper.report.labels import MEASURES, NAMES
from mecpaper.report.statistics import interval
from mecpaper.store.files import write_table

HEADLINE = (
    "1a", "1b", "1c", "1d", "1e", "6a", "6b", "9a", "9b", "9c", "9d", "9e", "12a", "12b", "22c", "24c",
)  # fmt: skip
"""Statements that are decided under every reading."""

SCENARIOS = {
    "D16": "heterogeneous",
    "D20": "advantage_own",
    "D25": "gradient_lagrangian",
    "D43": "equal_sum",
    "D46": "long",
}
"""Scenarios of readings that are not called `reading_<id>`."""

OF_THE_GAME = ("D4", "D5", "D7", "D17")
"""Readings that change what a policy earns; under the others the optimum is that of the default reading."""

READINGS = (*OF_THE_GAME, "D20", "D25", "D43", "D46")
"""Entries of data/paper/deviations.csv under whose other reading the headline statements are decided."""

MEASURED = ("D16", *READINGS)
"""Readings whose effect is measured; of D16 no statement is decided, since other devices are another game."""

DECIDED = frozenset(ANSWERS) - {OPEN}
"""Answers that another reading can change."""

OF_ONE = ("D20", "D25")
"""Readings that concern one algorithm, MAPPO or CPO-MADDPG; the others need no runs under them."""


def scenario_of(reading: str) -> str:
    """Name the scenario of a reading, `default` for the default one."""
    return reading if reading == "default" else SCENARIOS.get(reading, f"reading_{reading}")


def robustness(root: Path) -> pd.DataFrame:
    """Decide the headline statements under each reading.

    A statement's runs under a reading are those of the reading's scenario, alone or joined with the statement's own
    scenario. For `OF_ONE`, the other algorithms are represented by those under `default`.

    Args:
        root: the project's folder.
    Returns:
        Columns reading, id, claim, verdict (the answer of the runs, or where they leave it open that of the optimum),
        by (runs or optimum), otherwise (the default reading's answer by the same, where it is another one), and answer,
        effect, lower, upper, margin, seeds, optimum.
    """
    runs, statements = Runs.load(root, printed=True), read_statements(root).loc[list(HEADLINE)]
    settled = read_optimum(root)
    own = {name: "none" for name in (*USERS.values(), *ATTACKERS.values())}
    tables = []
    for reading in ("default", *READINGS):
        base = scenario_of(reading)
        joined = {name: f"{base}+{name}" for name in ("users_50", "attacker_strong")}
        rename = {} if reading == "default" else own | {"default": base} | joined
        view = runs.view(rename, {"default": "default"} if reading in OF_ONE else {})
        optimum = settled[settled["reading"] == (reading if reading in OF_THE_GAME else "default")]
        decided = decide(statements, view).join(optimum["optimum"]).fillna({"optimum": ""})
        tables.append(decided.assign(reading=reading))
    table = pd.concat(tables).rename_axis("id").reset_index()
    table["verdict"] = with_optimum(table)
    table["by"] = np.select([table["answer"] != OPEN, table["verdict"] != OPEN], ["runs", "optimum"], "")
    table["otherwise"] = _otherwise(table)
    columns = ["reading", "id", "claim", "verdict", "by", "otherwise", "answer", "effect", "lower", "upper", "margin"]
    return table[[*columns, "seeds", "optimum"]]


def _otherwise(table: pd.DataFrame) -> pd.Series:
    """Give the default reading's answer of the same kind, of the runs or of the optimum, where it is another one."""
    default = table[table["reading"] == "default"].set_index("id")
    kinds = table["by"].map({"runs": "answer", "optimum": "optimum"})
    before = [default.at[key, kind] if kind in default else "" for key, kind in zip(table["id"], kinds, strict=True)]
    known = [one in DECIDED and one != now for one, now in zip(before, table["verdict"], strict=True)]
    return pd.Series(before, index=table.index).where(known, "")


def reading_effects(root: Path) -> pd.DataFrame:
    """Measure the effect of each reading on the final measures, against the default reading.

    Args:
        root: the project's folder.
    Returns:
        Columns reading, algorithm, measure, default (mean under the default reading), effect (mean difference by
        seed), lower, upper (Student's interval), seeds; rows for every algorithm trained under the reading.
    """
    runs = replace(Runs.load(root), planned=1, planned_for={})
    rows = []
    for reading in MEASURED:
        other = scenario_of(reading)
        for algorithm in (OURS, *BASELINES):
            if not (runs.has(algorithm, other) and runs.has(algorithm, "default")):
                continue
            for measure in (name for name in MEASURES if name != "ecpr_m"):
                base = runs.values(measure, algorithm)
                change = (runs.values(measure, algorithm, other) - base).dropna()
                rows.append((reading, algorithm, measure, base.mean(), *interval(change), len(change)))
    columns = ["reading", "algorithm", "measure", "default", "effect", "lower", "upper", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def measured_effects(effects: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Describe the measured effect of each reading on CPO-MADDPG, or on the algorithm that it concerns, in a sentence.

    Args:
        effects: as `reading_effects` returns it.
        verdicts: as `robustness` returns it.
    Returns:
        Columns id and effect; a row per reading with runs.
    """
    texts: dict[str, list[str]] = {}
    known = effects[effects["seeds"] > 0]
    for reading, rows in known.groupby("reading", sort=False):
        algorithm = OURS if OURS in set(rows["algorithm"]) else rows["algorithm"].iloc[0]
        rows = rows[rows["algorithm"] == algorithm]
        shown = [
            f"{MEASURES[row.measure].replace(', ', ' in ')} {row.effect:+.3f}"
            + (f" [{row.lower:+.3f}, {row.upper:+.3f}]" if np.isfinite(row.lower) else f" ({row.seeds} seed)")
            for row in rows.itertuples()
        ]
        text = f"{NAMES[algorithm]}, {rows['seeds'].max()} seeds, the other reading less this one: {', '.join(shown)}"
        texts.setdefault(reading, []).append(text)
    for reading in texts:
        own = verdicts[verdicts["reading"] == reading]
        if own.empty:
            continue
        decided = own[own["verdict"] != OPEN]
        changed = decided.dropna(subset="otherwise")
        words = [f"{row.id} {row.verdict} instead of {row.otherwise}" for row in changed.itertuples()]
        tally = f"{len(decided)} of {len(own)} headline statements decided, {len(changed)} otherwise"
        texts[reading].append(": ".join(part for part in (tally, ", ".join(words)) if part))
    return pd.DataFrame([(reading, "; ".join(parts)) for reading, parts in texts.items()], columns=["id", "effect"])


def write_tables(root: Path) -> None:
    """Write the verdicts, the statements and the three tables on readings to data/runs."""
    folder = root / "data" / "runs"
    for name, table in zip(("verdicts", "statements"), tables(root), strict=True):
        write_table(folder / f"{name}.csv", table)
    write_table(folder / "reading_effects.csv", reading_effects(root))
    write_table(folder / "robustness.csv", robustness(root))
    # Read back, so that the sentences have the same digits as the files.
    read = (read_table(folder / f"{name}.csv") for name in ("reading_effects", "robustness"))
    write_table(folder / "measured_effects.csv", measured_effects(*read))
