"""Resolve experiments: an algorithm in a scenario, with everything that its results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import Any

from pydantic import BaseModel

from mecpaper.config.fields import ConfigError, parse, shown
from mecpaper.config.game import GameConfig
from mecpaper.config.learners import LearningConfig, OwnConfig
from mecpaper.config.registry import ALGORITHMS, Algorithm
from mecpaper.config.schema import Config, EvaluationConfig, ScaleConfig

RESULTS_VERSION = 2
"""Version of what training computes from the same numbers; raise it when a golden number changes (tests/golden)."""

LONGEST = 200
"""Most bytes in the name of a scenario: with an algorithm and a key it names files, which may have 255."""

_NOT_COMPUTED_FROM = {"planner_restarts", "efforts"}
"""Keys of a scale that training does not read."""


@dataclass(frozen=True)
class Experiment:
    """An algorithm in a scenario with all its seeds; a run is one seed of it.

    Args:
        algorithm, scenario: keys in params.yaml.
        game, learning, own, scale, evaluation: sections with the scenario's changes; `scale.seeds` has a seed per run.
        scale_name: key of the scale, for tables.
        keeps_policy: whether the first run's policy is stored.
        folder: of the results of all experiments, below the folder that they are trained in.
    """

    algorithm: str
    scenario: str
    game: GameConfig
    learning: LearningConfig
    own: OwnConfig
    scale: ScaleConfig
    scale_name: str
    evaluation: EvaluationConfig
    keeps_policy: bool = False
    folder: str = "data/runs"

    @property
    def name(self) -> str:
        """Name in messages and in paths: "algorithm/scenario"."""
        return f"{self.algorithm}/{self.scenario}"

    @property
    def entry(self) -> Algorithm:
        """The algorithm's entry in the registry."""
        return ALGORITHMS[self.algorithm]

    @property
    def seeds(self) -> list[int]:
        """Seeds of its runs."""
        return list(self.scale.seeds)

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Everything that the results depend on, as plain data."""
        return {
            "algorithm": self.algorithm,
            "scenario": self.scenario,
            "game": self.game.numbers,
            "learning": self.learning.model_dump(),
            "own": self.own.model_dump(),
            "scale": {"name": self.scale_name} | self.scale.model_dump(exclude=_NOT_COMPUTED_FROM),
            "evaluation": self.evaluation.model_dump(),
        }

    @cached_property
    def key(self) -> str:
        """Fingerprint of the numbers and `RESULTS_VERSION`; stored results are current if they have the same key."""
        return fingerprint(self.numbers, RESULTS_VERSION)

    @cached_property
    def batch_key(self) -> str:
        """Fingerprint that experiments of one batched program share; it leaves out what may differ between runs: game
        constants and the keys in `OwnConfig.PER_RUN`."""
        numbers = self.numbers | {"scenario": "", "own": self.own.model_dump(exclude=set(self.own.PER_RUN))}
        numbers["game"] = {key: numbers["game"][key] for key in GameConfig.SHARED if key in numbers["game"]}
        return fingerprint(numbers)


def resolve(config: Config, algorithm: str, scenario: str, seeds: Iterable[int] | None = None) -> Experiment:
    """Resolve an algorithm in a scenario to an experiment.

    Args:
        config: the whole configuration.
        algorithm, scenario: keys in params.yaml; scenarios joined by "+" have the changes of both.
        seeds: seeds to use instead of the scale's.
    Raises:
        ConfigError: unknown algorithm or scenario, a name too long for a folder, or an effort whose episodes do not
            fit the points of its curve.
    """
    if len(scenario.encode()) > LONGEST:
        raise ConfigError(f"scenario = {shown(scenario)}: at most {LONGEST} bytes, with the names joined")
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"algorithm = {algorithm!r}: one of {', '.join(ALGORITHMS)}")
    changes = config.changes(scenario)
    learning, own = config.learner_with(algorithm, changes)
    scale = config.run.spent_on(changes.get("effort"), algorithm, f"scales.{config.scale}")
    chosen = {"seeds": list(map(index, seeds))} if seeds is not None else {}
    return Experiment(
        algorithm=algorithm,
        scenario=scenario,
        game=config.game_with(changes),
        learning=learning,
        own=own,
        scale=parse(ScaleConfig, scale.model_dump() | chosen, f"scales.{config.scale}"),
        scale_name=config.scale,
        evaluation=config.evaluation,
        keeps_policy=scenario in config.policies and ALGORITHMS[algorithm].learns,
    )


def named(config: Config) -> list[Experiment]:
    """Resolve all experiments that params.yaml names, in its order."""
    return [resolve(config, algorithm, name) for algorithm, names in config.experiments.items() for name in names]


def fingerprint(*parts: Any) -> str:
    """Hash plain data and sections to 16 hexadecimal digits, the same in every process."""
    plain = [part.model_dump() if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
