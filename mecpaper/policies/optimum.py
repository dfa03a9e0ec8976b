"""Near-best policies of a game, found by the planner: what can be said of a claim without learning.

The planner's best stationary plan bounds what a learner can gain, and every plan within `TOLERANCE` of its reward is as
good as it for a learner. A measure that differs among these plans is not identified by the reward.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mecpaper.config import GameConfig
from mecpaper.env.game import Game
from mecpaper.env.measures import evaluate
from mecpaper.policies.controls import uniform_random
from mecpaper.policies.planner import FAMILIES, measure, plan

TOLERANCE = 0.01
"""Reward below the best plan's that counts as none, about as much as repeated searches differ."""

EXCESS = 0.005
"""Share of C_limit by which a constrained plan may exceed it on other episodes than it was planned on."""

STEPS = np.geomspace(0.03, 2.0, 7)
"""Changes of one setting of a plan; a setting's range is 2."""

FAMILY = FAMILIES["stationary"]


def near_best(
    games: Mapping[str, GameConfig],
    constrained: bool,
    restarts: int,
    generations: int,
    seed: int,
    episodes: int,
) -> pd.DataFrame:
    """Search each game for its best stationary plan, and vary it within `TOLERANCE` of its reward.

    Args:
        games: games of the same size and readings, by label.
        constrained: whether plans keep the energy limit.
        restarts, generations: of the search in each game; see `planner.plan`. A shorter search in the first game
            chooses between even and odd seeds.
        seed, episodes: for the measurement.
    Returns:
        Columns game, constrained, cost_limit and the measures of `Measures.result`; the first row of a game is its best
        plan.
    """
    first, rest = next(iter(games.values())), list(games.values())
    trial = plan([first] * 2, [0, 1], FAMILY, constrained, max(1, generations // 6))
    parity = int(trial[1][1] > trial[0][1])
    seeds = [2 * restart + parity for restart in range(restarts)]
    found = plan([game for game in rest for _ in seeds], seeds * len(rest), FAMILY, constrained, generations)
    tables = []
    for place, (label, game) in enumerate(games.items()):
        plans = [
            vector for vector, _ in sorted(found[place * restarts : (place + 1) * restarts], key=lambda pair: -pair[1])
        ]
        vectors = [*plans, *_varied(plans[0])]
        table = measure([game] * len(vectors), FAMILY, vectors, [seed] * len(vectors), episodes)
        limit = game.cost_limit_fraction * game.alike().battery_capacity
        keeps = table["energy"] <= (1.0 + EXCESS) * limit if constrained else table["energy"] > 0.0
        best = table.loc[keeps, "reward"].idxmax() if keeps.any() else 0
        near = keeps & (table["reward"] >= table.loc[best, "reward"] - TOLERANCE)
        ordered = pd.concat([table.loc[[best]], table[near].drop(index=best, errors="ignore")])
        tables.append(ordered.assign(game=label, constrained=constrained, cost_limit=limit))
    return pd.concat(tables, ignore_index=True)


def _varied(vector: NDArray) -> list[NDArray]:
    """Change each setting of a plan up and down by `STEPS`."""
    return [vector + step * unit for unit in np.eye(len(vector)) for step in (*STEPS, *-STEPS)]


def random_play(games: Mapping[str, GameConfig], seed: int, episodes: int) -> pd.DataFrame:
    """Measure uniformly random decisions in each game; columns as of `near_best`."""
    tables = []
    for label, config in games.items():
        game = Game([config], episodes)
        result = evaluate(uniform_random(game), game, [seed])
        row = pd.DataFrame({name: value.numpy() for name, value in result.items()})
        tables.append(row.assign(game=label, cost_limit=float(game.cost_limit.mean())))
    return pd.concat(tables, ignore_index=True)
