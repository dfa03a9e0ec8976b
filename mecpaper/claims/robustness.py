"""Decide the headline claims under other readings of data/paper/deviations.csv, and measure each reading's effect.

`python -m mecpaper decide` writes the tables to data/runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper import config
from mecpaper.claims.runs import ATTACKERS, BASELINES, OURS, USERS, Runs, greater
from mecpaper.claims.verdict import MIN_SEEDS, table, verdict
from mecpaper.report.labels import MEASURES
from mecpaper.store.files import write_table

HEADLINE = (1, 6, 9, 12, 22, 24)
"""Claims that are decided under every reading."""

READINGS = ("D4", "D5", "D7", "D11", "D17", "D19", "D20", "D21", "D25", "D28")
"""Entries of data/paper/deviations.csv whose other reading has runs for the headline claims."""

OURS_ALONE = ("D21", "D25", "D28")
"""Readings that concern only CPO-MADDPG (D21 also LMADDPG's cost); the other baselines need no runs under them."""

FULL = {"D25": "gradient_lagrangian", "D40": "conservative_start"}
"""Readings with a scenario at the full share of the scale, which is compared with `default`."""


def robustness(root: Path, min_seeds: int) -> pd.DataFrame:
    """Decide the headline claims under each reading, at the reduced share of the scale.

    A claim's runs under a reading are those of the scenario `reading_<id>`, alone or joined with the claim's own
    scenario. For `OURS_ALONE`, baselines without such runs are represented by those under `baseline`.

    Args:
        root: the project's folder.
        min_seeds: minimum number of seeds.
    Returns:
        Columns reading, claim, verdict, effect, lower, upper, reason; reading "default" is `baseline`.
    """
    runs = Runs.load(root)
    own = {name: "none" for name in (*USERS.values(), *ATTACKERS.values())}
    rows = []
    for reading in ("default", *READINGS):
        base = "baseline" if reading == "default" else f"reading_{reading}"
        rename = own | {"default": base, "users_50": f"{base}+users_50", "attacker_strong": f"{base}+attacker_strong"}
        view = runs.view(rename, {"default": "baseline"} if reading in OURS_ALONE else {})
        for number in HEADLINE:
            found = verdict(number, view, min_seeds)
            rows.append((reading, number, found.verdict, *found.interval, found.reason))
    return pd.DataFrame(rows, columns=["reading", "claim", "verdict", "effect", "lower", "upper", "reason"])


def reading_effects(root: Path) -> pd.DataFrame:
    """Measure the effect of each reading on the final measures, against the default reading at the same scale.

    Args:
        root: the project's folder.
    Returns:
        Columns reading, share, algorithm, measure, default (mean under the default reading), effect (mean difference by
        seed), lower, upper (Student's interval), seeds; rows for every algorithm trained under the reading.
    """
    runs = Runs.load(root)
    pairs = [(reading, "reduced", "baseline", f"reading_{reading}") for reading in READINGS]
    pairs += [(reading, "full", "default", scenario) for reading, scenario in FULL.items()]
    rows = []
    for reading, share, taken, other in pairs:
        for algorithm in (OURS, *BASELINES):
            if not (runs.has(algorithm, other) and runs.has(algorithm, taken)):
                continue
            for measure in (name for name in MEASURES if name != "ecpr_m"):
                base = runs.final(measure, algorithm, taken)
                part = greater(measure, runs.final(measure, algorithm, other), base)
                rows.append((reading, share, algorithm, measure, base.mean(), *part.interval(), part.seeds))
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
    taken = verdicts[verdicts["reading"] == "default"].set_index("claim")["verdict"]
    for reading in texts:
        own = verdicts[(verdicts["reading"] == reading) & (verdicts["verdict"] != "untestable")]
        changed = own[own["verdict"] != own["claim"].map(taken)]
        if len(own):
            words = [f"claim {row.claim} {row.verdict} instead of {taken[row.claim]}" for row in changed.itertuples()]
            tally = f"{len(changed)} of {len(own)} headline verdicts change"
            texts[reading].append(": ".join(part for part in (tally, ", ".join(words)) if part))
    return pd.DataFrame([(reading, "; ".join(parts)) for reading, parts in texts.items()], columns=["id", "effect"])


def write_tables(root: Path) -> None:
    """Write the verdicts and the three tables on readings to data/runs."""
    share = config.load(root / "params.yaml").run.reduced
    folder = root / "data" / "runs"
    write_table(folder / "verdicts.csv", table(root))
    write_table(folder / "reading_effects.csv", reading_effects(root))
    write_table(folder / "robustness.csv", robustness(root, min(len(share.seeds), MIN_SEEDS)))
    # Read back, so that the sentences have the same digits as the files.
    tables = (pd.read_csv(folder / f"{name}.csv") for name in ("reading_effects", "robustness"))
    write_table(folder / "measured_effects.csv", measured_effects(*tables))
