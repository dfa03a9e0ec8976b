"""Decide the claims of data/paper/claims.csv from stored runs: effects, rules, verdicts, robustness over readings."""

from mecpaper.claims.rules import CONDITIONS, RULES
from mecpaper.claims.runs import (
    ATTACKERS,
    BATTERIES,
    CRITICS,
    DYNAMIC,
    FIXED,
    HARVESTS,
    LINEAR,
    SEEDED,
    USERS,
    Runs,
    pooled,
)
from mecpaper.claims.verdict import VERDICTS, seen, tables

__all__ = [
    "ATTACKERS", "BATTERIES", "CONDITIONS", "CRITICS", "DYNAMIC", "FIXED", "HARVESTS", "LINEAR", "RULES", "SEEDED",
    "USERS", "VERDICTS", "Runs", "pooled", "seen", "tables",
]  # fmt: skip
