"""Decide the statements of each claim from stored runs, and derive each claim's verdict.

A statement has an effect, positive where it holds, and a margin fixed in data/paper/claims.csv before the runs. Its
answer is read off one interval, so that they cannot contradict each other (see `effect.answer`):

- reproduced: the interval lies above 0;
- reproduced, smaller than printed: so, but below the size that the paper prints;
- no difference of practical size: it lies within the margin;
- contradicted: it lies below 0;
- open: it includes 0 and reaches beyond the margin; the number of seeds that would decide is given.

A statement of kind "no worse" is reproduced above minus the margin, and contradicted below it. Intervals have the level
at which Holm's procedure tests the statement, 5 % for the whole claim, also where it was decided repeatedly (`LOOKS`).
A claim for which planned runs are missing is open as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper.claims.effect import ANSWERS, ERROR, MANY, NONE, NOT_IDENTIFIED, OPEN, REPRODUCED, SMALLER, answer, holm
from mecpaper.claims.rules import RULES
from mecpaper.claims.runs import MissingRuns, Runs
from mecpaper.config.tables import read_table

MIXED, UNTESTABLE = "mixed", "untestable here"
VERDICTS = (*ANSWERS[:-1], MIXED, OPEN, UNTESTABLE)
"""Verdicts on claims."""

COLUMNS = ("answer", "effect", "lower", "upper", "confidence", "printed", "seeds", "needed", "p", "reason")
"""What `decide` adds to the statements."""

LOOKS = dict.fromkeys((26, 27, 28, 39), 3)
"""How often claims were decided that got more seeds after it; each time at this part of the error."""

OPTIMUM = ["optimum", "optimum_effect", "optimum_lower", "optimum_upper"]
"""Columns on what the optimum says of a statement; see `mecpaper.claims.optimum`."""


def read_claims(root: Path) -> pd.DataFrame:
    """Read the claims of data/paper/claims.csv: place, text and evidence by number."""
    table = read_table(root / "data" / "paper" / "claims.csv", dtype={"id": str})
    claims = table[table["id"].str.isdigit()]
    return claims.set_index(claims["id"].astype(int))[["place", "text", "evidence"]].rename(columns={"text": "claim"})


def read_statements(root: Path) -> pd.DataFrame:
    """Read the statements of data/paper/claims.csv: claim (its number), text, meaning, kind, margin, printed, label."""
    table = read_table(root / "data" / "paper" / "claims.csv", dtype={"id": str, "printed": str})
    table = table[~table["id"].str.isdigit()].fillna({name: "" for name in ("meaning", "printed", "label")})
    numbers = table["id"].str.extract(r"(\d+)", expand=False).astype(int)
    columns = ["claim", "text", "meaning", "kind", "margin", "reason", "printed", "label"]
    return table.assign(claim=numbers).set_index("id")[columns].rename(columns={"reason": "margin_reason"})


def printed_size(text: str, base: float) -> float:
    """Convert a printed size to a number; a percentage is of the mean that the effect is compared with."""
    if not text:
        return float("nan")
    return float(text.removesuffix("%")) / 100.0 * base if text.endswith("%") else float(text)


def read_optimum(root: Path) -> pd.DataFrame:
    """Read data/runs/optimum.csv, reading and `OPTIMUM` by statement; empty if notebook 24 was not run."""
    return read_table(root / "data" / "runs" / "optimum.csv", optional=True).set_index("id")


def decide(statements: pd.DataFrame, runs: Runs) -> pd.DataFrame:
    """Decide statements, claim by claim.

    Args:
        statements: rows of `read_statements`.
        runs: the stored runs.
    Returns:
        The statements with `COLUMNS`; p is the smallest level that decides.
    """
    decided = [_decide_claim(group, runs) for _, group in statements.groupby("claim", sort=False)]
    return statements.drop(columns="printed").join(pd.concat(decided))


def _decide_claim(statements: pd.DataFrame, runs: Runs) -> pd.DataFrame:
    try:
        effects = {name: RULES[name](runs) for name in statements.index}
    except MissingRuns as error:
        blank = dict.fromkeys(COLUMNS, np.nan) | {"answer": OPEN, "seeds": 0, "reason": str(error)}
        return pd.DataFrame(blank, index=statements.index)
    enough = {name: effect.seeds >= runs.least for name, effect in effects.items()}
    rows = statements.itertuples()
    p_values = [float(effects[row.Index].p_value(row.margin, row.kind)) if enough[row.Index] else 1.0 for row in rows]
    levels = holm(p_values, ERROR / LOOKS.get(statements["claim"].iloc[0], 1))
    found = {}
    for row, p_value, level in zip(statements.itertuples(), p_values, levels, strict=True):
        effect, size = effects[row.Index], printed_size(row.printed, effects[row.Index].base)
        lower, upper = map(float, effect.interval(level)) if enough[row.Index] else (np.nan, np.nan)
        given = str(answer(lower, upper, row.margin, size, row.kind))
        notes = [f"{_count(effect.absent)} without a value"] if effect.absent else []
        if given == NONE and 0.0 < size < row.margin:
            notes.append(f"the printed size, {size:.3g}, is itself within the margin")
        needed = effect.needed(level, row.margin, row.kind) if given == OPEN and enough[row.Index] else np.nan
        p_shown = p_value if enough[row.Index] else np.nan
        measured = (float(effect.mean), lower, upper, 1.0 - level, size, effect.seeds, needed, p_shown)
        found[row.Index] = dict(zip(COLUMNS, (given, *measured, "; ".join(notes)), strict=True))
    return pd.DataFrame.from_dict(found, orient="index")


def listed(answers: pd.Series) -> str:
    """Group statements by their answer: "reproduced 1a, 1c; open 1b"."""
    names = (*ANSWERS, NOT_IDENTIFIED)
    groups = [(name, [str(key) for key in answers.index[answers == name]]) for name in names]
    return "; ".join(f"{name} {', '.join(keys)}" for name, keys in groups if keys)


def headline(answers: Sequence[str], testable: Iterable[bool]) -> str:
    """Derive a claim's verdict from its statements.

    It is open only while open statements could still change it: if two others disagree, it is mixed whatever they say.

    Args:
        answers: entries of `ANSWERS`.
        testable: False for statements that count only if no other does.
    """
    counted = [name for name, counts in zip(answers, testable, strict=True) if counts]
    if not counted:
        return UNTESTABLE
    decided = {name for name in counted if name != OPEN}
    if len(decided - {SMALLER}) > 1 or (SMALLER in decided and decided - {SMALLER, REPRODUCED}):
        return MIXED
    if OPEN in counted:
        return OPEN
    return SMALLER if SMALLER in decided else decided.pop()


def with_optimum(decided: pd.DataFrame) -> pd.Series:
    """Fill in, where the runs leave a statement open, what the optimum says of it, if it says something.

    Args:
        decided: columns answer and optimum.
    """
    settles = (decided["answer"] == OPEN) & ~decided["optimum"].isin(["", NOT_IDENTIFIED])
    return decided["answer"].where(~settles, decided["optimum"])


MISSING = ("no ", "not the paper's setting")
"""How reasons begin by which a statement has no effect."""


def _by_label(labels: pd.Series) -> list[str]:
    """List each label after the statements that have it."""
    return [f"{', '.join(group.index)}: {label}" for label, group in labels.groupby(labels, sort=False) if label]


def headlines(decided: pd.DataFrame) -> pd.DataFrame:
    """Derive the verdict on each claim.

    Args:
        decided: as `decide` returns it, with a column optimum.
    Returns:
        Columns verdict, with_optimum (the verdict if the optimum fills in what the runs leave open, and statements that
        it does not identify are untestable), statements (how they stand, in a line), reason (missing runs, labels),
        optimum (how they stand there), by the claim's number.
    """
    rows = {}
    for number, group in decided.groupby("claim", sort=False):
        labels = group["label"]
        testable = ~labels.str.startswith(UNTESTABLE)
        verdict, filled = headline(list(group["answer"]), testable), with_optimum(group)
        identified = (filled != OPEN) | (group["optimum"] != NOT_IDENTIFIED)
        settled = headline(list(filled), testable & identified)
        label = labels.iloc[0] if labels.nunique() == 1 else "; ".join(_by_label(labels))
        missing = next((text for text in group["reason"] if text.startswith(MISSING) or " planned " in text), "")
        reason = "; ".join(part for part in (missing, label) if part)
        rows[number] = (verdict, settled, listed(group["answer"]), reason, listed(group["optimum"]))
    columns = ["verdict", "with_optimum", "statements", "reason", "optimum"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def tables(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decide everything.

    Returns:
        A row per claim with its verdict, and a row per statement with q (false discovery rate over all statements) and
        what the optimum says of it, from data/runs/optimum.csv where that exists.
    """
    from scipy.stats import false_discovery_control  # takes longer to import than all else here

    runs = Runs.load(root, printed=True)
    decided = decide(read_statements(root), runs)
    known = decided["p"].notna()
    decided.loc[known, "q"] = false_discovery_control(decided.loc[known, "p"]) if known.any() else np.nan
    optimum = read_optimum(root)
    decided = decided.join(optimum.loc[optimum["reading"] == "default", OPTIMUM]).fillna({"optimum": ""})
    claims = read_claims(root)
    scale = next(iter(runs.summary.values()))["scale"].iloc[0]
    verdicts = claims[["place", "claim"]].join(headlines(decided)).assign(scale=scale, evidence=claims["evidence"])
    return verdicts.rename_axis("id").reset_index(), decided.rename_axis("id").reset_index()


def seen(root: Path, *numbers: int) -> str:
    """List the stored verdicts on some claims and their statements in Markdown, for display below a figure."""
    runs = root / "data" / "runs"
    verdicts = read_table(runs / "verdicts.csv", keep_default_na=False).set_index("id")
    statements = read_table(runs / "statements.csv").fillna({"meaning": "", "optimum": "", "reason": ""})
    lines = []
    for number in numbers:
        claim = verdicts.loc[number]
        lines.append(f"- Claim {number}, *{claim['claim']}*: **{claim['verdict']}**.")
        lines += [f"  - {in_words(row)}" for row in statements[statements["claim"] == number].itertuples()]
    return "\n".join(lines)


def _count(seeds: int) -> str:
    return f"{seeds} seed{'s' * (seeds != 1)}"


def in_words(row: object) -> str:
    """Say in a line what was found of a statement.

    Args:
        row: named tuple of data/runs/statements.csv.
    """
    fields = row._asdict()  # type: ignore[attr-defined]
    meaning = f" ({fields['meaning']})" if fields["meaning"] else ""
    text = f"{fields['id']}, {fields['text']}{meaning}: **{fields['answer']}**"
    if np.isfinite(fields["lower"]):
        text += f", {fields['effect']:.3g} [{fields['lower']:.3g}, {fields['upper']:.3g}], margin {fields['margin']:g}"
        text += f", {_count(fields['seeds'])}"
    if fields["answer"] == OPEN and fields["needed"] > 0:
        few = f"about {fields['needed']:.0f}" if np.isfinite(fields["needed"]) else f"more than {MANY}"
        text += f"; it would take {few} seeds to decide it"
    if fields["reason"]:
        text += f"; {fields['reason']}"
    if fields["optimum"]:
        text += f"; at the optimum: {fields['optimum']}"
    return text + "."
