"""Decide the headline statements under other readings of data/paper/deviations.csv, and measure each reading's effect.

`python -m mecpaper decide` writes the tables to data/runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper import config
from mecpaper.claims.effect import OPEN
from mecpaper.claims.runs import ATTACKERS, BASELINES, OURS, USERS, Runs
from mecpaper.claims.verdict import decide, read_optimum, read_statements, tables, with_optimum
from mecpaper.report.labels import MEASURES
from mecpaper.report.statistics import interval
from mecpaper.store.files import write_table

HEADLINE = (
    "1a", "1b", "1c", "1d", "1e", "6a", "6b", "9a", "9b", "9c", "9d", "9e", "12a", "12b", "22c", "24c",
)  # fmt: skip
"""Statements that are decided under every reading."""

READINGS = ("D4", "D5", "D7", "D11", "D17", "D19", "D20", "D21", "D25", "D28")
"""Entries of data/paper/deviations.csv whose other reading has runs for the headline statements."""

OF_THE_GAME = ("D4", "D5", "D7", "D17")
"""Readings that change what a policy earns; under the others the optimum is that of the default reading."""

OURS_ALONE = ("D21", "D25", "D28")
"""Readings that concern only CPO-MADDPG (D21 also LMADDPG's cost); the other baselines need no runs under them."""

FULL = {"D25": "gradient_lagrangian", "D40": "conservative_start"}
"""Readings with a scenario at the full share of the scale, which is compared with `default`."""


def robustness(root: Path, planned: int) -> pd.DataFrame:
    """Decide the headline statements under each reading, at the reduced share of the scale.

    A statement's runs under a reading are those of the scenario `reading_<id>`, alone or joined with the statement's
    own scenario. For `OURS_ALONE`, baselines without such runs are represented by those under `baseline`.

    Args:
        root: the project's folder.
        planned: number of seeds of the reduced share.
    Returns:
        Columns reading, id, claim, verdict (the answer of the runs, or where they leave it open that of the optimum),
        by (runs or optimum), and answer, effect, lower, upper, margin, seeds, optimum; reading "default" is `baseline`.
    """
    runs, statements = Runs.load(root), read_statements(root).loc[list(HEADLINE)]
    settled = read_optimum(root)
    own = {name: "none" for name in (*USERS.values(), *ATTACKERS.values())}
    tables = []
    for reading in ("default", *READINGS):
        base = "baseline" if reading == "default" else f"reading_{reading}"
        rename = own | {"default": base, "users_50": f"{base}+users_50", "attacker_strong": f"{base}+attacker_strong"}
        view = runs.view(rename, {"default": "baseline"} if reading in OURS_ALONE else {}, planned)
        optimum = settled[settled["reading"] == (reading if reading in OF_THE_GAME else "default")]
        decided = decide(statements, view).join(optimum["optimum"]).fillna({"optimum": ""})
        tables.append(decided.assign(reading=reading))
    table = pd.concat(tables).rename_axis("id").reset_index()
    table["verdict"] = with_optimum(table)
    table["by"] = np.select([table["answer"] != OPEN, table["verdict"] != OPEN], ["runs", "optimum"], "")
    columns = ["reading", "id", "claim", "verdict", "by", "answer", "effect", "lower", "upper", "margin", "seeds"]
    return table[[*columns, "optimum"]]


def reading_effects(root: Path) -> pd.DataFrame:
    """Measure the effect of each reading on the final measures, against the default reading at the same scale.

    Args:
        root: the project's folder.
    Returns:
        Columns reading, share, algorithm, measure, default (mean under the default reading), effect (mean difference by
        seed), lower, upper (Student's interval), seeds; rows for every algorithm trained under the reading.
    """
    runs = Runs.load(root).view({}, {}, planned=1)
    pairs = [(reading, "reduced", "baseline", f"reading_{reading}") for reading in READINGS]
    pairs += [(reading, "full", "default", scenario) for reading, scenario in FULL.items()]
    rows = []
    for reading, share, taken, other in pairs:
        for algorithm in (OURS, *BASELINES):
            if not (runs.has(algorithm, other) and runs.has(algorithm, taken)):
                continue
            for measure in (name for name in MEASURES if name != "ecpr_m"):
                base = runs.values(measure, algorithm, taken)
                change = (runs.values(measure, algorithm, other) - base).dropna()
                rows.append((reading, share, algorithm, measure, base.mean(), *interval(change), len(change)))
    columns = ["reading", "share", "algorithm", "measure", "default", "effect", "lower", "upper", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def measured_effects(effects: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Describe the measured effect of each reading in a sentence.

    Args:
        effects: as `reading_effects` returns it.
        verdicts: as `robustness` returns it.
    Returns:
        Columns id and effect; a row per reading with runs.
    """
    texts: dict[str, list[str]] = {}
    ours = effects[(effects["algorithm"] == OURS) & (effects["seeds"] > 0)]
    for (reading, share), rows in ours.groupby(["reading", "share"], sort=False):
        shown = [
            f"{MEASURES[row.measure].replace(', ', ' in ')} {row.effect:+.3f}"
            + (f" [{row.lower:+.3f}, {row.upper:+.3f}]" if np.isfinite(row.lower) else f" ({row.seeds} seed)")
            for row in rows.itertuples()
        ]
        text = f"CPO-MADDPG at the {share} share of the scale, {rows['seeds'].max()} seeds, the other reading less "
        texts.setdefault(reading, []).append(f"{text}this one: {', '.join(shown)}")
    taken = verdicts[verdicts["reading"] == "default"].set_index("id")["verdict"]
    for reading in texts:
        own = verdicts[verdicts["reading"] == reading]
        if own.empty:
            continue
        decided = own[own["verdict"] != OPEN]
        before = decided["id"].map(taken)
        changed = decided[(before != OPEN) & (before != decided["verdict"])]
        words = [f"{row.id} {row.verdict} instead of {taken[row.id]}" for row in changed.itertuples()]
        tally = f"{len(decided)} of {len(own)} headline statements decided, {len(changed)} otherwise"
        texts[reading].append(": ".join(part for part in (tally, ", ".join(words)) if part))
    return pd.DataFrame([(reading, "; ".join(parts)) for reading, parts in texts.items()], columns=["id", "effect"])


def write_tables(root: Path) -> None:
    """Write the verdicts, the statements and the three tables on readings to data/runs."""
    folder = root / "data" / "runs"
    for name, table in zip(("verdicts", "statements"), tables(root), strict=True):
        write_table(folder / f"{name}.csv", table)
    write_table(folder / "reading_effects.csv", reading_effects(root))
    planned = len(config.load(root / "params.yaml").run.reduced.seeds)
    write_table(folder / "robustness.csv", robustness(root, planned))
    # Read back, so that the sentences have the same digits as the files.
    read = (pd.read_csv(folder / f"{name}.csv") for name in ("reading_effects", "robustness"))
    write_table(folder / "measured_effects.csv", measured_effects(*read))
