"""The planner: a search in the simulator for the best fixed policy, and the controls derived from it.

The planner is the reference for every learner. It optimises a short vector, which a `Plan` turns into a policy, by
CMA-ES on common random numbers; the result is measured on fresh episodes. It is not an upper bound, but the best policy
found in a small family of stationary (or time- and battery-aware) policies. Devices may have different roles, since
only some of them gain from offloading at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mecpaper.config import GameConfig
from mecpaper.env.game import Game
from mecpaper.env.measures import Measures, Policy, evaluate
from mecpaper.env.streams import Stream, generators
from mecpaper.policies.controls import CONTROLS, Control, all_request, always_local
from mecpaper.report.statistics import interval

if TYPE_CHECKING:
    import cma

PLANNER = "Planner, best stationary plan"
"""Label of the control that `find_plan` returns."""

SIGNALS = (
    "local_frame_rate", "local_resolution", "local_cpu_frequency",
    "offload_frame_rate", "offload_resolution", "offload_transmit_power",
)  # fmt: skip
"""The actor outputs that a plan sets, in [-1, 1], for chunks that stay local and for chunks that are sent."""


@dataclass(frozen=True)
class Plan:
    """A family of policies described by one vector.

    For each chunk index k, `round(share * N)` devices request offloading, a different set for each k. The vector has
    the share (mapped from [-1, 1] to [0, 1]) and the `SIGNALS`. An adaptive plan also has, for each signal, a slope
    over the payback of the slot and a slope over the battery level.

    Args:
        adaptive: let actions depend on time and battery.
        offloading: if False, hold the share at 0, for always-local policies.
    """

    adaptive: bool = False
    offloading: bool = True

    @property
    def size(self) -> int:
        """Length of the vector."""
        return 1 + len(SIGNALS) * (3 if self.adaptive else 1)

    def policy(self, game: Game, vectors: Tensor) -> Policy:
        r"""Turn vectors into policies, one per run of the game.

        The payback of slot t is the weight of its quality in the return, $\sum_{s \ge t} 1/s$ (D11), minus the mean
        weight, 1.

        Args:
            game: the game to play; the policy reads its slot and battery.
            vectors: `[run, size]`.
        """
        count = len(SIGNALS)
        share = ((vectors[:, 0] + 1.0) / 2.0).clamp(0.0, 1.0) if self.offloading else torch.zeros(len(vectors))
        base = vectors[:, 1 : 1 + count].view(-1, 1, 1, count)
        device = torch.arange(game.devices).view(-1, 1)
        chunk = torch.arange(game.chunks).view(1, -1)
        position = (device + chunk * game.devices // game.chunks) % game.devices
        sends = (position < (share * game.devices).round().view(-1, 1, 1)).unsqueeze(1)
        inverse = 1.0 / torch.arange(1, game.slots + 1, dtype=game.dtype)
        payback = inverse.flip(0).cumsum(0).flip(0) - 1.0

        def act(observation: Tensor, uniform: Tensor) -> Tensor:
            signal = base.expand(-1, game.envs, game.devices, count)
            if self.adaptive:
                slopes = vectors[:, 1 + count :].view(-1, 2, 1, 1, count)
                level = (game.battery / game.battery_capacity - 0.5).unsqueeze(-1)
                signal = signal + slopes[:, 0] * payback[game.slot] + slopes[:, 1] * level
            local, sent = signal[..., :3].unsqueeze(-2), signal[..., 3:].unsqueeze(-2)
            shape = (*signal.shape[:-1], game.chunks)
            chosen = sends.expand(shape)
            frame_rate = torch.where(chosen, sent[..., 0], local[..., 0])
            resolution = torch.where(chosen, sent[..., 1], local[..., 1])
            power, frequency = sent[..., 2].expand(shape), local[..., 2].expand(shape)
            request = torch.where(chosen, 1.0, -1.0).to(signal.dtype)
            return torch.stack([request, frame_rate, resolution, power, frequency], dim=-1).flatten(-2)

        return act


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
    limit, nothing = game.cost_limit.mean(dim=(1, 2)).double(), torch.empty(0)
    sources = [seed for seed in seeds for _ in range(population)]

    def score(vectors: NDArray) -> NDArray:
        policy = family.policy(game, torch.as_tensor(vectors, dtype=game.dtype))
        game.reset(generators(sources, Stream.PLAN))
        measures = Measures(game)
        for _ in range(game.slots):
            measures.add(game.step(policy(nothing, nothing)))
        result = measures.result()
        excess = (result["energy"] - limit).clamp(min=0.0) * float(constrained)
        return (price * excess - result["reward"]).reshape(len(seeds), population).numpy()

    searches = [_search(family, seed, population) for seed in seeds]
    for _ in range(generations):
        candidates = [search.ask() for search in searches]
        scores = score(np.concatenate(candidates))
        for search, vectors, values in zip(searches, candidates, scores, strict=True):
            search.tell(vectors, values.tolist())
    return [(np.asarray(search.result.xbest), -float(search.result.fbest)) for search in searches]


def _search(family: Plan, seed: int, population: int) -> cma.CMAEvolutionStrategy:
    """Start a search with its own random numbers, so that it does not depend on the searches beside it.

    The reward has two basins, many frames at low resolution or few at high resolution; seeds alternate between them.
    """
    import cma

    start = np.zeros(family.size)
    start[0] = -0.7
    start[[1 + SIGNALS.index("local_frame_rate"), 1 + SIGNALS.index("offload_frame_rate")]] = 0.8 - 1.6 * (seed % 2)
    source = np.random.default_rng(seed)
    options = {
        "popsize": population,
        "bounds": [-1.5, 1.5],
        "CMA_stds": [1.0] * (1 + len(SIGNALS)) + [0.3] * (family.size - 1 - len(SIGNALS)),
        "randn": lambda *shape: source.standard_normal(shape),
        "seed": np.nan,
        "verbose": -9,
    }
    return cma.CMAEvolutionStrategy(start, 0.4, options)


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
    "time and battery": Plan(adaptive=True),
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
        restarts: independent searches of each kind; their spread shows the planner's own uncertainty.
        generations: generations of each search.
        seed, episodes: for the evaluation, split into `GROUPS` groups; the searches use other episodes.
    Returns:
        One row per search: game (its label), policy, constrained, restart, planned_reward (on the planning
        episodes), reward and energy with Student's 95 % intervals over the groups, and other measures.
    """
    configs = [config for config in games.values() for _ in range(restarts)]
    seeds = list(range(restarts)) * len(games)
    labels = [label for label in games for _ in range(restarts)]
    groups = [seed + group for group in range(GROUPS) for _ in configs]
    tables = []
    for name in families:
        for constrained in (True, False):
            found = plan(configs, seeds, FAMILIES[name], constrained, generations)
            vectors = [vector for vector, _ in found]
            size = max(1, episodes // GROUPS)
            measured = measure(configs * GROUPS, FAMILIES[name], vectors * GROUPS, groups, size)
            head = {"game": labels, "policy": name, "constrained": constrained, "restart": seeds}
            table = pd.DataFrame(head).assign(planned_reward=[reward for _, reward in found])
            for key in _KEPT:
                samples = measured[key].to_numpy().reshape(GROUPS, len(configs))
                table[key], lower, upper = interval(samples)
                if key in ("reward", "energy"):
                    table[f"{key}_lower"], table[f"{key}_upper"] = lower, upper
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


_KEPT = (
    "reward", "energy", "offload_share", "request_share", "sor", "latency", "accuracy", "battery",
    "frame_rate", "resolution", "transmit_power", "cpu_frequency",
)  # fmt: skip


def fixed_power_sor(config: GameConfig, seed: int, episodes: int) -> float:
    """Measure the safe offload rate of `controls.all_request`: every chunk requested, power uniform (§5.2.3).

    Args:
        config: the game; the attacker and the number of devices matter.
        seed, episodes: for the evaluation.
    Returns:
        Executed offloads per request.
    """
    game = Game([config], episodes)
    return float(evaluate(all_request(game), game, [seed])["sor"][0])


def find_plan(config: GameConfig, generations: int) -> Control:
    """Find a stationary plan that keeps C_limit in a game, by two searches; this takes some seconds.

    Args:
        config: the game to plan for.
        generations: generations of each search.
    Returns:
        The better plan as a control; the share of devices that send is the same for any number of devices.
    """
    family = FAMILIES["stationary"]
    vector, _ = max(plan([config] * 2, [0, 1], family, True, generations), key=lambda pair: pair[1])
    return Control(PLANNER, lambda game: family.policy(game, torch.as_tensor(vector[None], dtype=game.dtype)), True)


def planned_local(root: Path, config: GameConfig) -> Control:
    """Read the best always-local plan that keeps C_limit at the default setting from data/runs/planner.csv.

    Args:
        root: the project's folder.
        config: the game, whose ranges turn the plan's settings into actions.
    Returns:
        The plan as a control; `CONTROLS["always_local"]` if there is no usable table.
    """
    try:
        table = pd.read_csv(root / "data" / "runs" / "planner.csv")
        rows = table[(table["game"] == "default") & (table["policy"] == "always-local") & table["constrained"]]
        best = rows.loc[rows["reward"].idxmax()]
    except (OSError, KeyError, ValueError):
        return CONTROLS["always_local"]
    actions = {}
    for key in ("frame_rate", "resolution", "cpu_frequency"):
        minimum, maximum = (float(np.mean(value)) for value in getattr(config, key))
        if maximum > minimum:
            actions[key] = float(np.clip(2.0 * (best[key] - minimum) / (maximum - minimum) - 1.0, -1.0, 1.0))
    return Control("All local, planned settings", always_local(**actions), planned=True)
