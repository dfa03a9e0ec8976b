"""All policies that can control a game: the trained ones in data/runs, and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mecpaper.config import Config, ConfigError
from mecpaper.config.registry import ALGORITHMS
from mecpaper.policies.controls import CONTROLS, Control
from mecpaper.policies.planner import planned_local
from mecpaper.policies.stored import StoredPolicy, read_policy
from mecpaper.store.results import POLICY

Controllers = Mapping[str, StoredPolicy | Control]
"""Policies by key: "algorithm/scenario" for trained ones, or a key of `CONTROLS`."""


def read_policies(root: Path, settings: Config) -> dict[str, StoredPolicy]:
    """Read the trained policies in data/runs, by "algorithm/scenario", the default scenario first.

    Unusable files, those of algorithms and scenarios that params.yaml does not have, and policies of another state than
    the game's (D11) are skipped.

    Args:
        root: the project's folder.
        settings: configuration, for the cost limit of each scenario.
    """
    paths = (root / "data" / "runs").glob(f"*/*/{POLICY}")
    found = {}
    for path in sorted(paths, key=lambda path: (path.parts[-2] != "default", path)):
        algorithm, scenario = path.parts[-3:-1]
        with suppress(ConfigError, KeyError):
            label = f"{ALGORITHMS[algorithm].label}, {scenario.replace('_', ' ')}".removesuffix(", default")
            game = settings.scenario(scenario)
            if game.readings.observation == settings.game.readings.observation:
                found[f"{algorithm}/{scenario}"] = read_policy(path, label, algorithm, game.cost_limit_fraction)
    return found


def read_controllers(root: Path, settings: Config) -> dict[str, StoredPolicy | Control]:
    """Read the trained policies and add the controls; the always-local control uses the planner's settings."""
    return {**read_policies(root, settings), **CONTROLS, "always_local": planned_local(root, settings.game)}
