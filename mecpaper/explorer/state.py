"""Settings of the explorer, and how they relate to params.yaml and the paper."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mecpaper.config import Config, GameConfig
from mecpaper.config.registry import ALGORITHMS
from mecpaper.config.tables import read_table
from mecpaper.report.tables import unlike_printed

KEYS = ("gain_db", "battery_capacity", "harvest_fraction", "devices", "cost_limit_fraction")
"""Constants of the game with a slider, by their names in params.yaml."""

NAME = "explored"
"""Name of the scenario in the snippet and in live trainings."""

Reported = Mapping[tuple[str, str], float]
"""(scenario, measure) -> the paper's value for CPO-MADDPG."""


@dataclass(frozen=True)
class State:
    """Five constants of the game, the controller, the seed of the random episodes, and a controller to compare with."""

    gain_db: tuple[float, float]
    battery_capacity: float
    harvest_fraction: float
    devices: int
    cost_limit_fraction: float
    controller: str
    episodes: int = 1
    beside: str = ""  # name of the other controller; none if empty

    def range_of(self, key: str) -> tuple[float, float]:
        """Return a constant as a range; a single value is both of its ends."""
        value = getattr(self, key)
        return value if isinstance(value, tuple) else (value, value)

    def changes(self, game: GameConfig) -> dict[str, Any]:
        """Return the constants that differ from those of `game`, or from their mean over the devices."""
        values = {key: getattr(self, key) for key in KEYS} | {"gain_db": list(self.gain_db)}
        before = game.alike()
        return {key: value for key, value in values.items() if value != getattr(before, key)}

    def __str__(self) -> str:
        return (
            f"g {span(*self.gain_db)} dB, battery {self.battery_capacity:g} J, harvest {self.harvest_fraction:g} and "
            f"limit {self.cost_limit_fraction:g} of it, N = {self.devices}"
        )


def span(low: float, high: float) -> str:
    """Format a range, or a single value if its ends agree."""
    return f"{low:.3g}" if abs(high - low) < 1e-6 else f"{low:.3g} to {high:.3g}"


def state_of(game: GameConfig, controller: str, episodes: int = 1) -> State:
    """Return the state of a game; unequal batteries are replaced by their mean."""
    values = {key: getattr(game.alike(), key) for key in KEYS} | {"gain_db": tuple(game.gain_db)}
    return State(**values, controller=controller, episodes=episodes)


def game_of(settings: Config, state: State) -> GameConfig:
    """Return the game of a state.

    Raises:
        ConfigError: an invalid state; one line with the key, the value and what is allowed.
    """
    return settings.game.changed(**state.changes(settings.game))


def operating_points(settings: Config, keys: tuple[str, ...] = KEYS) -> dict[str, GameConfig]:
    """Return the scenarios of params.yaml that change only these constants of the game, including the default."""
    changed = {name: set(changes) - {"effort"} for name, changes in settings.scenarios.items()}
    names = [name for name, found in changed.items() if name == "default" or (found and found <= set(keys))]
    return {name: settings.scenario(name) for name in names}


def point_of(settings: Config, game: GameConfig) -> str | None:
    """Return the name of the operating point with this game; None if there is none."""
    return next((name for name, point in operating_points(settings).items() if point == game), None)


def values_of(settings: Config, key: str) -> list[tuple[float, float]]:
    """Return the values of a constant in the scenarios that change only it, as ranges, the narrowest first."""
    values = {state_of(game, "").range_of(key) for game in operating_points(settings, (key,)).values()}
    return sorted(values, key=lambda value: (value[1] - value[0], value))


def attackers_of(settings: Config) -> dict[str, tuple[float, float]]:
    """Return the gain range of every attacker in dB, by scenario: those named attacker_* that change only the gains."""
    points = operating_points(settings, ("gain_db",)).items()
    return {name: (game.gain_db[0], game.gain_db[1]) for name, game in points if name.startswith("attacker_")}


def read_reported(root: Path, settings: Config) -> Reported:
    """Read the paper's measures from data/paper/reported.csv, where the scenario's game is what the paper prints.

    Of two values for a measure, take the first.
    """
    table = read_table(root / "data" / "paper" / "reported.csv")
    theirs = [name for name in settings.scenarios if not unlike_printed(settings, table, name)]
    chosen = table["scenario"].isin(theirs) & table["measure"].isin(["reward", "sor"])
    rows = table[chosen & (table["algorithm"] == "cpo_maddpg")]
    rows = rows.drop_duplicates(["scenario", "measure"]).set_index(["scenario", "measure"])
    return rows["value"].astype(float).to_dict()


def read_seeds(root: Path) -> dict[str, str]:
    """Read which seed each stored policy has, with its reward and that of all seeds, by "algorithm/scenario".

    A training keeps the policy of its first seed.
    """
    runs = read_table(root / "data" / "runs" / "summary.csv", optional=True)
    said = {}
    for (algorithm, scenario), group in runs.groupby(["algorithm", "scenario"]):
        kept, low, high = group.iloc[0], group["reward"].min(), group["reward"].max()
        said[f"{algorithm}/{scenario}"] = (
            f"Plays seed {kept['seed']}, which earned {kept['reward']:.3f} in its final evaluation; "
            f"mean of {len(group)} seeds {group['reward'].mean():.3f} ({low:.3f} to {high:.3f})."
        )
    return said


def snippet(settings: Config, state: State, algorithm: str) -> str:
    """Write the lines for params.yaml that make `dvc repro` train on a state and keep the policy.

    Args:
        settings: params.yaml.
        state: setting to reproduce.
        algorithm: the algorithm to train.
    Raises:
        ConfigError: an invalid state.
    """
    known = point_of(settings, game_of(settings, state))
    if any(known in names for key, names in settings.experiments.items() if key == algorithm):
        return f"# Nothing to add: params.yaml trains {algorithm} on this setting as the scenario {known}.\n"
    lines = ["# Add these lines to the sections of the same names in params.yaml, then run: dvc repro"]
    if known is None:
        names = (NAME if count == 1 else f"{NAME}_{count}" for count in itertools.count(1))
        name = next(name for name in names if name not in settings.scenarios)
        changes = ", ".join(f"{key}: {value}" for key, value in state.changes(settings.game).items())
        lines += ["scenarios:", f"  {name}: {{{changes}}}"]
    else:
        name = known
        lines.append(f"# (params.yaml has this setting as the scenario {name}.)")
    lines += ["experiments:", f"  {algorithm}:", f"    - {name}"]
    if ALGORITHMS[algorithm].learns and name not in settings.policies:
        lines += ["policies:", f"  - {name}"]
    return "\n".join(lines) + "\n"
