"""The planner: a search in the simulator for the best policy of a family, and the controls derived from it.

The planner is the reference for every learner. It finds the vector of a `Plan` by dynamic programming, refines it by
CMA-ES on common random numbers if it is short, and measures the result on fresh episodes. It is not an upper bound, but
the best policy found in a small family. Devices may have different roles, since only some of them gain from offloading
at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mecpaper.config import Config, GameConfig, load
from mecpaper.config.tables import read_table
from mecpaper.env.game import Game
from mecpaper.env.measures import evaluate
from mecpaper.policies.controls import CONTROLS, Control, all_request, always_local, measure_controls
from mecpaper.policies.plans import GAIN, Plan, rehearse
from mecpaper.policies.schedule import best_schedule
from mecpaper.report.statistics import interval
from mecpaper.report.tables import unlike_printed
from mecpaper.store.files import write_table

if TYPE_CHECKING:
    import cma

PLANNER = "Planner, best stationary plan"
"""Label of the control that `find_plan` returns."""


def plan(
    configs: Sequence[GameConfig],
    seeds: Sequence[int],
    family: Plan,
    constrained: bool,
    generations: int,
    population: int = 16,
    episodes: int = 2,
    price: float = 20.0,
) -> list[tuple[NDArray, float]]:
    """Search a family of policies for the highest mean reward by CMA-ES; run several searches side by side.

    A search begins with the best plan of `schedule`, which ignores batteries below their threshold and fluctuations.

    Args:
        configs: the game of each search; devices, chunks, slots and readings must agree.
        seeds: one per search, for CMA-ES and for the episodes, which all candidates of a search share.
        family: the family of policies.
        constrained: keep the mean energy at or below C_limit, by an exact penalty of `price` per J of excess.
        generations, population: size of each search.
        episodes: random episodes per candidate.
        price: penalty per J of excess, far above the reward that a J can earn.
    Returns:
        For each search the best vector and its mean reward per device and slot on the planning episodes, minus the
        penalty of any remaining excess.
    """
    game = Game([config for config in configs for _ in range(population)], episodes)
    limit = game.cost_limit.mean(dim=(1, 2)).double()
    sources = [seed for seed in seeds for _ in range(population)]

    def score(vectors: NDArray) -> NDArray:
        result = rehearse(family.policy(game, torch.as_tensor(vectors, dtype=game.dtype)), game, sources)
        excess = (result["energy"] - limit).clamp(min=0.0) * float(constrained)
        return (price * excess - result["reward"]).reshape(len(seeds), population).numpy()

    starts: list[NDArray] = []
    for before, config in zip([None, *configs], configs, strict=False):
        if config != before:
            vector = best_schedule(config, constrained, replace(family, gain=False))[0]
        # The neutral threshold is the lowest level: all senders send.
        starts.append(np.append(vector, [-1.0] + [0.0] * (len(GAIN) - 1)) if family.gain else vector)
    searches = [_search(start, seed, population) for start, seed in zip(starts, seeds, strict=True)]
    for _ in range(generations):
        candidates = [search.ask() for search in searches]
        scores = score(np.concatenate(candidates))
        for search, vectors, values in zip(searches, candidates, scores, strict=True):
            search.tell(vectors, values.tolist())
    return [(np.asarray(search.result.xbest), -float(search.result.fbest)) for search in searches]


def _search(start: NDArray, seed: int, population: int) -> cma.CMAEvolutionStrategy:
    """Start a search with its own random numbers, so that it does not depend on the searches beside it."""
    import cma

    source = np.random.default_rng(seed)
    options = {
        "popsize": population,
        "bounds": [-1.5, 1.5],
        "randn": lambda *shape: source.standard_normal(shape),
        "seed": np.nan,
        "verbose": -9,
    }
    return cma.CMAEvolutionStrategy(start.clip(-1.0, 1.0), 0.1, options)


def measure(
    configs: Sequence[GameConfig], family: Plan, vectors: Sequence[NDArray], seeds: Sequence[int], episodes: int
) -> pd.DataFrame:
    """Measure plans, each in its game and on its own fresh episodes: one row per plan (see `Measures.result`)."""
    game = Game(configs, episodes)
    policy = family.policy(game, torch.as_tensor(np.array(vectors), dtype=game.dtype))
    result = evaluate(policy, game, seeds)
    return pd.DataFrame({name: value.numpy() for name, value in result.items()})


FAMILIES = {
    "always-local": Plan(offloading=False),
    "stationary": Plan(),
    "own gain": Plan(gain=True),
    "always-local schedule": Plan(offloading=False, timed=True),
    "schedule": Plan(timed=True),
}
"""Families of the planner, by their names in its table."""

GROUPS = 8
"""Number of groups of evaluation episodes per plan, for the interval of its measures."""


def planner_table(
    games: dict[Any, GameConfig], families: Sequence[str], restarts: int, generations: int, seed: int, episodes: int
) -> pd.DataFrame:
    """Plan with and without the constraint, with several restarts, and measure the plans on fresh episodes.

    Args:
        games: games to plan for, by label; searches of the same kind run side by side.
        families: keys of `FAMILIES`.
        restarts: independent searches of each kind by CMA-ES, whose spread shows the planner's own uncertainty;
            schedules need no search.
        generations: generations of each search.
        seed, episodes: for the evaluation, split into `GROUPS` groups; the searches use other episodes.
    Returns:
        One row per search: game (its label), policy, constrained, restart, planned_reward (on the planning
        episodes), reward and energy with Student's 95 % intervals over the groups, and other measures.
    """
    tables = []
    for name in families:
        family = FAMILIES[name]
        seeds = range(1 if family.timed else restarts)
        runs = [(label, config, seed) for label, config in games.items() for seed in seeds]
        labels, configs, sources = (list(column) for column in zip(*runs, strict=True))
        groups = [seed + group for group in range(GROUPS) for _ in runs]
        for constrained in (True, False):
            if family.timed:
                found = [best_schedule(config, constrained, family) for config in configs]
            else:
                found = plan(configs, sources, family, constrained, generations)
            vectors, planned = (list(column) for column in zip(*found, strict=True))
            measured = measure(configs * GROUPS, family, vectors * GROUPS, groups, max(1, episodes // GROUPS))
            table = pd.DataFrame({"game": labels, "policy": name, "constrained": constrained, "restart": sources})
            table["planned_reward"] = planned
            for key in _KEPT:
                table[key], lower, upper = interval(measured[key].to_numpy().reshape(GROUPS, len(runs)))
                if key in ("reward", "energy"):
                    table[f"{key}_lower"], table[f"{key}_upper"] = lower, upper
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


_KEPT = (
    "reward", "energy", "penalty", "offload_share", "request_share", "sor", "latency", "accuracy", "battery",
    "frame_rate", "resolution", "transmit_power", "cpu_frequency",
)  # fmt: skip


def write_yardsticks(root: Path) -> None:
    """Plan for the default setting, and for each of the cycles per bit that notebook 06 chooses from; measure controls.

    Writes four tables into data/runs: planner.csv, which is a `planner_table`; parameter_sweep.csv, the best restarts
    of two families with the cycles per bit in the place of the game; controls.csv; and untrained_sor.csv.

    Args:
        root: the project's folder.
    """
    settings = load(root / "params.yaml")
    game, fresh = settings.game, (settings.evaluation.seed + 1, settings.evaluation.final_episodes)
    effort = settings.run.planner_restarts, settings.planner.generations, *fresh
    write_table(root / "data/runs/planner.csv", planner_table({"default": game}, list(FAMILIES), *effort))
    games = {value: game.changed(cycles_per_bit=value) for value in settings.planner.cycles_per_bit}
    table = planner_table(games, ["always-local", "stationary"], *effort).rename(columns={"game": "cycles_per_bit"})
    best = table.groupby(["cycles_per_bit", "policy", "constrained"])["planned_reward"].idxmax()
    write_table(root / "data/runs/parameter_sweep.csv", table.loc[best])
    write_table(root / "data/runs/controls.csv", measure_controls(game, *fresh))
    registry = read_table(root / "data/paper/reported.csv")
    write_table(root / "data/runs/untrained_sor.csv", untrained_sor(settings, registry))


def untrained_sor(settings: Config, registry: pd.DataFrame) -> pd.DataFrame:
    """Measure `controls.all_request`, every chunk requested at a uniform power (§5.2.3), where the paper prints a rate.

    Args:
        settings: the whole configuration.
        registry: data/paper/reported.csv.
    Returns:
        Of Tables 3 and 4: place, scenario, the safe offload rate printed (empty if the setting is not the printed one),
        and executed offloads per request with the set of Eq. 11 around the estimate and around the true gain (D7).
    """
    printed = registry[(registry["measure"] == "sor") & registry["place"].isin(["Table 3", "Table 4"])]
    table = printed.loc[printed["scenario"] != "", ["place", "scenario"]].reset_index(drop=True)
    as_printed = [not unlike_printed(settings, registry, name) for name in table["scenario"]]
    table["paper"] = printed["value"].astype(float).reset_index(drop=True).where(as_printed)
    for column, centre in (("untrained", "estimate"), ("untrained, true gain", "true_gain")):
        games = [settings.scenario(name).changed(gain_set=centre) for name in table["scenario"]]
        table[column] = [
            random_power_sor(game, settings.evaluation.seed + 1, settings.evaluation.final_episodes) for game in games
        ]
    return table


def random_power_sor(config: GameConfig, seed: int, episodes: int) -> float:
    """Measure the safe offload rate of `controls.all_request`: every chunk requested, power uniform (§5.2.3).

    Args:
        config: the game; the attacker and the number of devices matter.
        seed, episodes: for the evaluation.
    Returns:
        Executed offloads per request.
    """
    game = Game([config], episodes)
    return float(evaluate(all_request(game), game, [seed])["sor"][0])


def find_plan(config: GameConfig, generations: int, family: str = "stationary", label: str = PLANNER) -> Control:
    """Find a plan that keeps C_limit in a game, by two searches; this takes some seconds.

    Args:
        config: the game to plan for.
        generations: generations of each search.
        family: kind of plan, a key of `FAMILIES`.
        label: name of the control.
    Returns:
        The better plan as a control; the share of devices that send is the same for any number of devices.
    """
    kind = FAMILIES[family]
    vector, _ = max(plan([config] * 2, [0, 1], kind, True, generations), key=lambda pair: pair[1])
    return Control(label, lambda game: kind.policy(game, torch.as_tensor(vector[None], dtype=game.dtype)), True)


def planned_local(root: Path, config: GameConfig) -> Control:
    """Read the best always-local plan that keeps C_limit at the default setting from data/runs/planner.csv.

    Args:
        root: the project's folder.
        config: the game, whose ranges turn the plan's settings into actions.
    Returns:
        The plan as a control; `CONTROLS["always_local"]` if there is no usable table.
    """
    table = read_table(root / "data" / "runs" / "planner.csv", optional=True)
    rows = table[(table["game"] == "default") & (table["policy"] == "always-local") & table["constrained"].eq(True)]
    if rows.empty:
        return CONTROLS["always_local"]
    best = rows.loc[rows["reward"].idxmax()]
    actions = {}
    for key in ("frame_rate", "resolution", "cpu_frequency"):
        minimum, maximum = getattr(config.alike(), key)
        if maximum > minimum:
            actions[key] = float(np.clip(2.0 * (best[key] - minimum) / (maximum - minimum) - 1.0, -1.0, 1.0))
    return Control("All local, planned settings", always_local(**actions), planned=True)
