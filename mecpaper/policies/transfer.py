"""Find a policy by its name or its file, and measure it in any game, also one that it was not trained in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mecpaper.config import ALGORITHMS, Config, ConfigError, Experiment, GameConfig, resolve
from mecpaper.config.schema import EvaluationConfig
from mecpaper.env.game import Game
from mecpaper.env.measures import evaluate
from mecpaper.policies.controls import CONTROLS, Control
from mecpaper.policies.export import stored_policy
from mecpaper.policies.planner import find_plan
from mecpaper.policies.stored import StoredPolicy, read_policy
from mecpaper.store import results
from mecpaper.store.results import POLICY

PLANNED = {"always-local": "always-local", "planner": "stationary"}
"""Yardstick -> family of the planner, searched in the game that is played."""

YARDSTICKS = ("random", *PLANNED)
"""Names of the policies that need no training."""


@dataclass(frozen=True)
class Found:
    """A policy to measure.

    Args:
        name: as it was asked for.
        policy: trained actors, or a yardstick.
        game: numbers of the game that it was trained in; None if it was not trained, or if nothing says where.
        seed: seed of its run.
    """

    name: str
    policy: StoredPolicy | Control
    game: dict[str, Any] | None = None
    seed: int = 0

    def warning(self, game: GameConfig) -> str:
        """Say in a line if the policy was trained in another game, or if that is unknown; otherwise nothing."""
        if isinstance(self.policy, Control):
            return ""
        if self.game is None:
            return f"{self.name}: no {results.MARK} beside it says in which game it was trained"
        found = results.differences(self.game, game.numbers, "game", "here")
        if not found:
            return ""
        actors = "" if self.policy.devices == game.devices else f"; its {self.policy.devices} actors take turns"
        return f"{self.name}: trained in another game: {'; '.join(found)}{actors}"


def find(name: str, root: Path, config: Config, game: GameConfig) -> Found:
    """Find a policy.

    Args:
        name: one of `YARDSTICKS`; an algorithm or "algorithm/scenario" of data/runs; or a policy's file, or a folder
            that holds one.
        root: the project's folder.
        config: the whole configuration.
        game: the game to play; the planner searches it, which takes some seconds.
    Raises:
        ConfigError: no such policy, or several in the folder.
        DamagedError: a stored file has changed since it was written.
    """
    if name == "random":
        return Found(name, CONTROLS["random"], seed=config.run.seeds[0])
    if name in PLANNED:
        return Found(name, _planned(name, game, config.planner.generations))
    if Path(name).exists():
        return read(Path(name))
    algorithm, _, scenario = name.partition("/")
    if algorithm not in ALGORITHMS:
        raise ConfigError(
            f"policy = {name!r}: a file or folder of runs; one of {', '.join(YARDSTICKS)}; or an algorithm of "
            f"data/runs, one of {', '.join(key for key, entry in ALGORITHMS.items() if entry.learns)}"
        )
    return stored(root, resolve(config, algorithm, scenario or "default"))


def stored(root: Path, experiment: Experiment) -> Found:
    """Find the policy of an experiment in data/runs; errors as for `find`."""
    policy = stored_policy(root, experiment)
    folder = results.folder_of(root, experiment)
    found = _told(folder)
    if found is None:
        raise ConfigError(f"policy = {experiment.name!r}: {folder} has no {results.MARK}; train it again")
    return Found(experiment.name, policy, found["game"], found["scale"]["seeds"][0])


def read(path: Path) -> Found:
    """Read the policy in a file, or the only one in a folder of runs; errors as for `find`."""
    files = [path] if path.is_file() else sorted(f for d in ("", "*/", "*/*/") for f in path.glob(f"{d}{POLICY}"))
    if len(files) != 1:
        names = ", ".join(str(file.parent) for file in files)
        raise ConfigError(f"policy = {str(path)!r}: " + (f"one of {names}" if files else f"no {POLICY} in it"))
    numbers = _told(files[0].parent)
    if numbers is None:
        return Found(str(path), read_policy(files[0], files[0].stem, ""))
    label, limit = f"{numbers['algorithm']}/{numbers['scenario']}", numbers["game"]["cost_limit_fraction"]
    policy = read_policy(files[0], label, numbers["algorithm"], limit)
    return Found(str(path), policy, numbers["game"], numbers["scale"]["seeds"][0])


def _told(folder: Path) -> dict[str, Any] | None:
    """Read the numbers that an experiment in a folder was trained with; None if nothing tells them."""
    found = results.read(folder)
    return found.numbers if found else None


def _planned(name: str, game: GameConfig, generations: int) -> Control:
    try:
        return find_plan(game, generations, PLANNED[name], name)
    except ImportError:
        raise ConfigError(f"{name}: needs the extra, pip install 'mecpaper[planner]'") from None


def measure(found: Found, config: GameConfig, evaluation: EvaluationConfig) -> dict[str, float | None]:
    """Measure a policy in a game, on the episodes on which final policies are measured.

    Args:
        found: the policy.
        config: the game.
        evaluation: seed and number of episodes.
    Returns:
        The measures of `Measures.result` and cost_limit (J); None where there is none, such as `sor` without requests.
    Raises:
        ConfigError: the policy's observations or actions have another size than the game's.
    """
    game = Game([config], evaluation.final_episodes)
    result = evaluate(found.policy.policy(game), game, [(evaluation.seed + 1) % 2**31], [found.seed])
    values = {name: float(value[0]) for name, value in result.items()} | {"cost_limit": float(game.cost_limit.mean())}
    return {name: None if math.isnan(value) else value for name, value in values.items()}
