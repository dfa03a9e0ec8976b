"""Decide the claims of data/paper/claims.csv from stored runs: rules, verdicts, robustness over readings."""

from mecpaper.claims.rules import CLAIMS
from mecpaper.claims.runs import ATTACKERS, BATTERIES, CRITICS, FIXED, HARVESTS, LINEAR, USERS, Runs
from mecpaper.claims.verdict import VERDICTS, seen, table

__all__ = [
    "ATTACKERS", "BATTERIES", "CLAIMS", "CRITICS", "FIXED", "HARVESTS", "LINEAR", "USERS", "VERDICTS", "Runs", "seen",
    "table",
]  # fmt: skip
