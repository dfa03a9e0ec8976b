"""Say what the best policies of a game imply for each statement, without learning: the column "at the optimum".

In place of an algorithm stand the planner's near-best policies of the game: with the energy limit for algorithms that
have one, without it for the others, and random play for Random. The rules are those of the runs. A statement's interval
covers every choice among the near-best policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mecpaper.claims.effect import NOT_IDENTIFIED, OPEN, Effect, answer
from mecpaper.claims.rules import RULES
from mecpaper.claims.runs import OURS, MissingRuns, Runs
from mecpaper.claims.verdict import OPTIMUM, printed_size
from mecpaper.config.registry import ALGORITHMS

Place = tuple[str, str, str]
"""Measure, algorithm and scenario."""


@dataclass(frozen=True)
class Optimum(Runs):
    """The near-best policies in the form of runs, one value each.

    Args:
        policies: columns algorithm, game and the measures; the first row of a game is its best policy.
        chosen: value to use in place of the best policy's.
        asked: what was asked for.
    """

    policies: pd.DataFrame = field(default_factory=pd.DataFrame)
    chosen: dict[Place, float] = field(default_factory=dict)
    asked: dict[Place, pd.Series] = field(default_factory=dict)

    def values(self, measure: str, algorithm: str = OURS, scenario: str = "default") -> pd.Series:
        """Select a measure of the policies that stand for an algorithm: one value."""
        rows = self.policies[(self.policies["algorithm"] == algorithm) & (self.policies["game"] == scenario)]
        if rows.empty or measure not in rows:
            raise MissingRuns(f"no {measure} of {algorithm} in {scenario}")
        place = measure, algorithm, scenario
        self.asked[place] = rows[measure].dropna()
        return pd.Series([self.chosen.get(place, rows[measure].iloc[0])], index=[1])


def standing_for(constrained: pd.DataFrame, free: pd.DataFrame, random: pd.DataFrame) -> pd.DataFrame:
    """Let policies stand for algorithms.

    Args:
        constrained, free: near-best policies with and without the limit; columns game, cost_limit and the measures.
        random: random play, a row per game.
    Returns:
        The same with a column algorithm, and energy_share.
    """
    tables = []
    for name, algorithm in ALGORITHMS.items():
        table = random if not algorithm.learns else constrained if algorithm.constrained else free
        tables.append(table.assign(algorithm=name, energy_share=table["energy"] / table["cost_limit"]))
    return pd.concat(tables, ignore_index=True)


def settle(statements: pd.DataFrame, policies: pd.DataFrame) -> pd.DataFrame:
    """Answer the statements that the optimum can answer.

    Args:
        statements: rows of `verdict.read_statements`.
        policies: as `standing_for` returns them.
    Returns:
        `OPTIMUM` by statement.
    """
    rows = {}
    for row in statements.itertuples():
        found = _range(row.Index, policies)
        if found is None:
            continue
        mean, lower, upper, base = found
        given = str(answer(lower, upper, row.margin, printed_size(row.printed, base), row.kind))
        rows[row.Index] = (NOT_IDENTIFIED if given == OPEN else given, mean, lower, upper)
    return pd.DataFrame.from_dict(rows, orient="index", columns=OPTIMUM).rename_axis("id")


def _range(name: str, policies: pd.DataFrame) -> tuple[float, float, float, float] | None:
    """Compute the effect of the best policies, its range over near-best ones, and the base of a percentage.

    Each of the differences in an effect rises or falls in each of its values, so the range is reached at their ends.
    """
    asked: dict[Place, pd.Series] = {}

    def effect(chosen: dict[Place, float]) -> Effect:
        return RULES[name](Optimum({}, {}, policies=policies, chosen=chosen, asked=asked))

    try:
        best = effect({})
    except MissingRuns:
        return None
    # That policies with the limit keep it was asked of them, and is no finding.
    assumed = len(asked) == 1 and all(m == "energy_share" and ALGORITHMS[a].constrained for m, a, _ in asked)
    if assumed or np.isnan(best.mean):
        return None
    lowest: dict[Place, float] = {}
    highest: dict[Place, float] = {}
    for place, values in dict(asked).items():
        ends = sorted([values.min(), values.max()], key=lambda end: float(effect({place: end}).means.sum()))
        lowest[place], highest[place] = ends
    return float(best.mean), float(effect(lowest).mean), float(effect(highest).mean), best.base
