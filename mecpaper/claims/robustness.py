"""What the paper's open places are worth: verdicts and measures under the other readings of data/paper/deviations.csv.

`python -m mecpaper.claims.robustness` writes data/runs/robustness.csv, data/runs/reading_effects.csv and what is measured of
each reading into the column `measured_effect` of data/paper/deviations.csv, whose other columns are written by hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper import config
from mecpaper.claims import ATTACKERS, BASELINES, HEADLINE, MIN_SEEDS, OURS, USERS, Part, Runs, difference, verdict
from mecpaper.store import results

READINGS = ("D4", "D5", "D7", "D11", "D17", "D19", "D20", "D21", "D25", "D28")
"""Entries of data/paper/deviations.csv under whose other reading the headline claims are decided again."""

OURS_ALONE = ("D21", "D25", "D28")
"""Those that change nothing for the baselines but LMADDPG's cost under D21; the others need no runs of their own."""

FULL = {"D25": "gradient_lagrangian", "D40": "conservative_start"}
"""Readings that also have a scenario at the full share, to be held against `default`."""

MEASURES = {"reward": "reward", "energy": "energy in J", "ecpr_f": "ECPR-f", "sor": "SOR", "offload_share": "offloaded"}

GENERATED = "CPO-MADDPG at the "
"""What the measured part of a `measured_effect` begins with; words before it are kept."""


def robustness(root: Path, least: int) -> pd.DataFrame:
    """The headline claims under each reading, at the reduced share of the scale: a row per reading and claim.

    A claim's runs under a reading are those of the scenario `reading_<id>`, alone or joined with the claim's own
    scenario; for `OURS_ALONE` the baselines are represented by their runs under `baseline`.

    Args:
        root: the project's folder.
        least: seeds that are needed.
    Returns:
        columns reading, claim, verdict, effect, lower, upper, reason; reading "default" is the same scale without any.
    """
    runs = Runs.load(root)
    own = {name: "none" for name in (*USERS.values(), *ATTACKERS.values())}
    rows: list[dict[str, object]] = []
    for reading in ("default", *READINGS):
        base = "baseline" if reading == "default" else f"reading_{reading}"
        rename = own | {"default": base, "users_50": f"{base}+users_50", "attacker_strong": f"{base}+attacker_strong"}
        fallback = {"default": "baseline"} if reading in OURS_ALONE else {}
        for number in HEADLINE:
            found = verdict(number, runs.view(rename, fallback), least)
            mean, lower, upper = found.interval
            row = {"reading": reading, "claim": number, "verdict": found.verdict, "effect": mean}
            rows.append(row | {"lower": lower, "upper": upper, "reason": found.reason})
    return pd.DataFrame(rows)


def reading_effects(root: Path) -> pd.DataFrame:
    """What each reading changes in the final measures, against the default reading at the same share of the scale.

    Args:
        root: the project's folder.
    Returns:
        columns reading, share, algorithm, measure, default, effect, lower, upper, seeds: mean under the default
        reading, mean difference by seed and Student's interval; rows for each algorithm that was trained under the
        reading.
    """
    runs = Runs.load(root)
    pairs = [(reading, "reduced", "baseline", f"reading_{reading}") for reading in READINGS]
    pairs += [(reading, "full", "default", scenario) for reading, scenario in FULL.items()]
    columns = ("reading", "share", "algorithm", "measure", "default", "effect", "lower", "upper", "seeds")
    rows = []
    for reading, share, taken, other in pairs:
        for algorithm in (OURS, *BASELINES):
            if not (runs.has(algorithm, other) and runs.has(algorithm, taken)):
                continue
            for measure in MEASURES:
                base = runs.final(measure, algorithm, taken)
                part = Part(measure, difference(runs.final(measure, algorithm, other), base))
                mean, lower, upper = part.interval()
                row = [reading, share, algorithm, measure, base.mean(), mean, lower, upper, part.seeds]
                rows.append(dict(zip(columns, row, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def measured_effects(effects: pd.DataFrame, verdicts: pd.DataFrame) -> dict[str, str]:
    """What was measured of each reading, in words.

    Args:
        effects: as `reading_effects` returns it.
        verdicts: as `robustness` returns it.
    Returns:
        reading -> text, for the readings that have runs.
    """
    texts: dict[str, list[str]] = {}
    ours = effects[(effects["algorithm"] == OURS) & (effects["seeds"] > 0)]
    for (reading, share), rows in ours.groupby(["reading", "share"], sort=False):
        shown = [
            f"{MEASURES[row.measure]} {row.effect:+.3f}"
            + (f" [{row.lower:+.3f}, {row.upper:+.3f}]" if np.isfinite(row.lower) else f" ({row.seeds} seed)")
            for row in rows.itertuples()
        ]
        text = f"{GENERATED}{share} share of the scale, {rows['seeds'].max()} seeds, the other reading less this one: "
        texts.setdefault(reading, []).append(text + ", ".join(shown))
    taken = verdicts[verdicts["reading"] == "default"].set_index("claim")["verdict"]
    for reading in texts:
        own = verdicts[(verdicts["reading"] == reading) & (verdicts["verdict"] != "untestable")]
        changed = own[own["verdict"] != own["claim"].map(taken)]
        if len(own):
            words = [f"claim {row.claim} {row.verdict} instead of {taken[row.claim]}" for row in changed.itertuples()]
            tally = f"{len(changed)} of {len(own)} headline verdicts change"
            texts[reading].append(": ".join(part for part in (tally, ", ".join(words)) if part))
    return {reading: "; ".join(parts) for reading, parts in texts.items()}


def with_effects(deviations: pd.DataFrame, measured: dict[str, str]) -> pd.DataFrame:
    """The register of deviations with its measured part renewed.

    Args:
        deviations: data/paper/deviations.csv, all as text.
        measured: as `measured_effects` returns it.
    """
    column = []
    for row in deviations.itertuples():
        kept = row.measured_effect.partition(GENERATED)[0].rstrip("; ")
        column.append("; ".join(part for part in (kept, measured.get(row.id, "")) if part))
    return deviations.assign(measured_effect=column)


def main(root: Path) -> None:
    """Write both tables of data/runs and the column of the register."""
    share = config.load(root / "params.yaml").run.reduced
    tables = {
        "reading_effects": reading_effects(root),
        "robustness": robustness(root, least=min(len(share.seeds), MIN_SEEDS)),
    }
    paths = [root / "data" / "runs" / f"{name}.csv" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        results.write_table(path, table)
    # Read again: the words have the digits of the files.
    measured = measured_effects(*(pd.read_csv(path) for path in paths))
    register = root / "data" / "paper" / "deviations.csv"
    renewed = with_effects(pd.read_csv(register, dtype=str, keep_default_na=False), measured)
    results.write_atomically(register, renewed.to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    main(config.find_root())
