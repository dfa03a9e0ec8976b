"""Decide claims from stored runs.

A claim is a list of `Part`s. A part has one number per seed, positive if the claim holds for that seed; differences
between algorithms or settings are taken within a seed. A part holds if Student's interval of its mean lies above 0, and
fails if it lies below 0. A claim is

- reproduced if all its parts hold;
- contradicted if a part fails at a significance level divided by the number of parts (Bonferroni), so that claims with
  many parts are not contradicted by chance more often than others;
- unresolved otherwise, also with fewer than `MIN_SEEDS` seeds;
- untestable if no stored runs concern it.

If the text has several possible meanings (two definitions of ECPR, an unnamed baseline), the parts form a group for
each. The claim gets the verdict on which all meanings agree; otherwise it is unresolved, and the reason lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mecpaper.claims.rules import CLAIMS
from mecpaper.claims.runs import CONFIDENCE, MissingRuns, Part, Runs

MIN_SEEDS = 5
VERDICTS = ("reproduced", "contradicted", "unresolved", "untestable")


@dataclass(frozen=True)
class Verdict:
    """A verdict with its reason and the deciding part: the weakest one that holds, or the clearest one that fails."""

    verdict: str
    reason: str
    part: Part | None = None

    @property
    def interval(self) -> tuple[float, float, float]:
        """Mean and Student's interval of the deciding part."""
        return self.part.interval() if self.part else (float("nan"),) * 3


def decide(parts: Sequence[Part], min_seeds: int = MIN_SEEDS) -> Verdict:
    """Decide a claim by its parts (see the module's docstring).

    Args:
        parts: at least one.
        min_seeds: minimum number of seeds.
    """
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.group, []).append(part)
    verdicts = {name: _decide_group(members, min_seeds) for name, members in groups.items()}
    first = next(iter(verdicts.values()))
    if len({verdict.verdict for verdict in verdicts.values()}) == 1:
        # With one meaning, or if all agree, report the first.
        return first
    words = "; ".join(f"{name}: {verdict.verdict}" for name, verdict in verdicts.items())
    return Verdict("unresolved", f"depends on what is meant: {words}", first.part)


def _decide_group(parts: Sequence[Part], min_seeds: int) -> Verdict:
    few = min(parts, key=lambda part: part.seeds)
    if few.seeds < min_seeds:
        return Verdict("unresolved", f"{few.label}: {few.seeds} seeds with a value, {min_seeds} are needed", few)
    strict = 1.0 - (1.0 - CONFIDENCE) / len(parts)
    failing = [part for part in parts if part.interval(strict)[2] < 0.0]
    if failing:
        worst = min(failing, key=lambda part: part.interval()[0] / _scale(part))
        return Verdict("contradicted", f"{worst.label}: no ({len(failing)} of {len(parts)} parts fail)", worst)
    weak = min(parts, key=lambda part: part.interval()[1] / _scale(part))
    holding = sum(part.interval()[1] > 0.0 for part in parts)
    if holding == len(parts):
        return Verdict("reproduced", f"all {len(parts)} parts hold, weakest: {weak.label}", weak)
    return Verdict("unresolved", f"{holding} of {len(parts)} parts hold, weakest: {weak.label}", weak)


def _scale(part: Part) -> float:
    """Return the scale of a part's values, to compare parts in different units."""
    return float(np.nanmax(np.abs(part.values))) or 1.0


def verdict(number: int, runs: Runs, min_seeds: int = MIN_SEEDS) -> Verdict:
    """Decide one claim.

    Args:
        number: number of the claim.
        runs: the stored runs.
        min_seeds: minimum number of seeds.
    """
    try:
        return decide(list(CLAIMS[number](runs)), min_seeds)
    except MissingRuns as error:
        return Verdict("untestable", str(error))


def _registry(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "data" / "paper" / "claims.csv").set_index("id")


def seen(root: Path, *numbers: int) -> str:
    """List the verdicts on some claims in Markdown, for display below a figure."""
    registry, runs = _registry(root), Runs.load(root)
    lines = []
    for number in numbers:
        found = verdict(number, runs)
        mean, lower, upper = found.interval
        effect = f" (effect {mean:.3g}, 95 % interval {lower:.3g} to {upper:.3g})" if found.part else ""
        claim = registry.loc[number, "claim"]
        lines.append(f"- Claim {number}, *{claim}*: **{found.verdict}**; {found.reason}{effect}.")
    return "\n".join(lines)


def table(root: Path) -> pd.DataFrame:
    """Decide all claims; return a row each, in the order of data/paper/claims.csv."""
    registry, runs = _registry(root)[["place", "claim", "evidence"]], Runs.load(root)
    found = {number: verdict(number, runs) for number in registry.index}
    decided = pd.DataFrame(
        [
            (v.verdict, v.part.label if v.part else "", *v.interval, v.part.seeds if v.part else 0, v.reason)
            for v in found.values()
        ],
        columns=["verdict", "decided_on", "effect", "lower", "upper", "seeds", "reason"],
        index=registry.index,
    ).assign(scale=next(iter(runs.summary.values()))["scale"].iloc[0])
    columns = ["place", "claim", "verdict", "decided_on", "effect", "lower", "upper", "seeds", "scale", "reason"]
    return registry.join(decided)[[*columns, "evidence"]].reset_index()
