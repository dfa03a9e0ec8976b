"""The whole of params.yaml: scales, evaluation, planner, search, figures, and the changes of scenarios."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from mecpaper.config.fields import (
    ConfigError,
    Count,
    Few,
    Name,
    Names,
    Section,
    Seed,
    Seeds,
    Share,
    Size,
    Weight,
    parse,
    shown,
)  # fmt: skip
from mecpaper.config.game import GameConfig
from mecpaper.config.learners import LearningConfig, OwnConfig
from mecpaper.config.registry import ALGORITHMS, LEARNER, NAME

Episodes = Annotated[int, Field(ge=2, le=1_000_000_000)]


class EffortConfig(Section):
    """What a scale spends on the scenarios that name this effort, or on the algorithm of this name, where it differs
    from what it spends on all others."""

    seeds: Seeds | None = None
    episodes: Episodes | None = None
    episodes_at_once: Size | None = None
    slots_per_update: Count | None = None
    curve_every: Count | None = None


class ScaleConfig(Section):
    """A scale of the pipeline: how long to train, and with which seeds."""

    planner_restarts: Few
    seeds: Seeds
    episodes: Episodes
    episodes_at_once: Size
    slots_per_update: Count
    curve_every: Count
    efforts: dict[Name, EffortConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> ScaleConfig:
        if self.curve_every % self.episodes_at_once:
            raise ValueError(
                f"curve_every = {self.curve_every}: a multiple of episodes_at_once = {self.episodes_at_once}"
            )
        if self.episodes % self.curve_every:
            raise ValueError(f"episodes = {self.episodes}: a multiple of curve_every = {self.curve_every}")
        return self

    def spent_on(self, effort: str | None, algorithm: str, place: str = "scale") -> ScaleConfig:
        """Return the scale with the changes of a scenario's effort, then of the algorithm's, if it lists them.

        Args:
            effort: key of `efforts`, of a scenario.
            algorithm: key of `efforts`, of an algorithm.
            place: of the scale in params.yaml, for messages.
        Raises:
            ConfigError: the episodes do not fit the points of the curve.
        """
        names = [name for name in (effort, algorithm) if name in self.efforts]
        if not names:
            return self
        plain = self.model_dump(exclude={"efforts"})
        for name in names:
            plain |= self.efforts[name].model_dump(exclude_none=True)
        return parse(ScaleConfig, plain, f"{place}.efforts.{names[-1]}")


class EvaluationConfig(Section):
    """How policies are measured: without exploration noise, on episodes not used in training."""

    seed: Seed
    curve_episodes: Size
    final_episodes: Size


class PlannerConfig(Section):
    """Effort of the planner, and the sweep behind the choice of the default setting."""

    generations: Count
    cycles_per_bit: Annotated[list[Annotated[float, Field(ge=1e-3, le=1e9)]], Field(min_length=1)]


class SearchShares(Section):
    """Share of a scale's episodes that each search spends on a candidate."""

    off_policy: Share
    mappo: Share


class TuningConfig(Section):
    """The search over hyperparameters, the same for every learner: its seeds, and the changes of each candidate."""

    seeds: Seeds
    share: SearchShares
    energy_margin: Weight
    off_policy: dict[Name, dict[str, Any]]
    mappo: dict[Name, dict[str, Any]]

    def candidates(self, algorithm: str) -> dict[str, dict[str, Any]]:
        """Return the changes of an algorithm's candidates, by name."""
        found: dict[str, dict[str, Any]] = getattr(self, ALGORITHMS[algorithm].search)
        return found


class FigureConfig(Section):
    """How curves of several seeds are summarised."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    smoothing: Count


def _registered(named: dict[str, str]) -> dict[str, str]:
    """Check that the registry has the user's own algorithms, which it reads when it is imported."""
    for name, learner in named.items():
        problem = None
        if not re.fullmatch(NAME, name) or not re.fullmatch(LEARNER, learner):
            problem = "a name of small letters, digits and _, and its class as module:Class"
        elif name in _Config.model_fields or (name in ALGORITHMS and ALGORITHMS[name].learner != learner):
            problem = "the name is taken, another is required"
        elif name not in ALGORITHMS:
            problem = "only in the params.yaml of the project that mecpaper was started in"
        if problem:
            raise PydanticCustomError("algorithm", "{name}: {problem}", {"name": name, "problem": problem})
    return named


class _Config(Section):
    """The whole of params.yaml; the algorithms' own sections come from the registry."""

    game: GameConfig
    scenarios: dict[Name, dict[str, Any]]
    learning: LearningConfig
    algorithms: Annotated[dict[str, str], AfterValidator(_registered)] = Field(default_factory=dict)
    experiments: dict[Literal[tuple(ALGORITHMS)], Names]  # type: ignore[valid-type]
    policies: Names
    evaluation: EvaluationConfig
    planner: PlannerConfig
    tuning: TuningConfig
    scales: Annotated[dict[Name, ScaleConfig], Field(min_length=1)]
    scale: str
    figures: FigureConfig

    @model_validator(mode="after")
    def _consistent(self) -> _Config:
        if self.scale not in self.scales:
            raise ValueError(f"scale = {shown(self.scale)}: one of {', '.join(self.scales)}")
        if "default" not in self.scenarios:
            raise ValueError("scenarios.default: required, but missing")
        places: list[tuple[str, dict[str, Any]]] = [("", {})]
        places += [(f"scenarios.{name}.", changes) for name, changes in self.scenarios.items()]
        for place, names in [
            *((f"experiments.{a}", n) for a, n in self.experiments.items()),
            ("policies", self.policies),
        ]:
            for name in names:
                try:
                    changes = self.changes(name)
                except ConfigError:
                    raise ValueError(f"{place} names {name!r}: one of {', '.join(self.scenarios)}") from None
                places += [(f"{place} names {name!r}: ", changes)] * ("+" in name)
        for place, changes in places:
            try:
                self._check(changes)
            except ConfigError as error:
                reason = str(error)
                if place:
                    reason = place + reason.removeprefix("game.").removeprefix("readings.")
                raise ValueError(reason) from None
        for algorithm in (key for key, entry in ALGORITHMS.items() if entry.learns):
            section = ALGORITHMS[algorithm].search
            for name, changes in self.tuning.candidates(algorithm).items():
                try:
                    self._check({algorithm: {"learning": {}} | changes})
                except ConfigError as error:
                    reason = str(error).removeprefix(f"{algorithm}.")
                    raise ValueError(f"tuning.{section}.{name}.{reason}") from None
        for value in self.planner.cycles_per_bit:
            try:
                self.game.changed(cycles_per_bit=value)
            except ConfigError as error:
                raise ValueError(str(error).replace("game.", "planner.", 1)) from None
        return self

    def _check(self, changes: dict[str, Any]) -> None:
        """Check that a scenario's changes leave all sections valid. Raises ConfigError."""
        self.game_with(changes)
        efforts = dict.fromkeys(name for scale in self.scales.values() for name in scale.efforts)
        effort = changes.get("effort")
        if effort is not None and effort not in list(efforts):
            raise ConfigError(f"effort = {shown(effort)}: one of {', '.join(efforts) or 'the efforts of a scale'}")
        changed = self.run.efforts[effort].episodes_at_once if effort in self.run.efforts else None
        at_once = changed or self.run.episodes_at_once
        for algorithm in ALGORITHMS:
            learning, _ = self.learner_with(algorithm, changes)
            if learning.buffer < at_once:
                place = f"scales.{self.scale}" + (f".efforts.{effort}" if changed else "")
                raise ConfigError(f"learning.buffer = {learning.buffer}: at least {place}.episodes_at_once = {at_once}")

    @property
    def run(self) -> ScaleConfig:
        """The scale that `scale` names."""
        return self.scales[self.scale]

    def changes(self, name: str) -> dict[str, Any]:
        """Return the changes of a scenario; with names joined by "+", later parts override earlier ones.

        Raises:
            ConfigError: unknown scenario.
        """
        changes: dict[str, Any] = {}
        for part in name.split("+"):
            if part not in self.scenarios:
                raise ConfigError(f"scenario = {part!r}: one of {', '.join(self.scenarios)}")
            for key, value in self.scenarios[part].items():
                nested = isinstance(value, dict) and isinstance(changes.get(key), dict)
                changes[key] = changes[key] | value if nested else value
        return changes

    def scenario(self, name: str) -> GameConfig:
        """Return the game of a scenario. Raises ConfigError if it is unknown."""
        return self.game_with(self.changes(name))

    def game_with(self, changes: dict[str, Any]) -> GameConfig:
        """Apply a scenario's changes to the game."""
        other = ("learning", "effort", *ALGORITHMS)
        return self.game.changed(**{k: v for k, v in changes.items() if k not in other})

    def learner_with(self, algorithm: str, changes: dict[str, Any]) -> tuple[LearningConfig, OwnConfig]:
        """Apply a scenario's changes to `learning` and to the algorithm's own section.

        Changes under the algorithm's name override its section. In `learning`, the algorithm's section overrides the
        shared numbers, and the scenario overrides both.

        Raises:
            ConfigError: one line with the key, the value and what is allowed.
        """
        section = getattr(self, algorithm).model_dump() | _part(changes, algorithm)
        own: OwnConfig = parse(ALGORITHMS[algorithm].section, section, algorithm)
        shared = self.learning.model_dump()
        try:
            return parse(LearningConfig, shared | own.learning | _part(changes, "learning"), "learning"), own
        except ConfigError:
            # If the algorithm's section alone is invalid, name that section.
            parse(LearningConfig, shared | own.learning, f"{algorithm}.learning")
            raise


def _part(changes: dict[str, Any], key: str) -> dict[str, Any]:
    part = changes.get(key, {})
    if not isinstance(part, dict):
        raise ConfigError(f"{key} = {shown(part)}: a mapping of changes is required")
    return part


if TYPE_CHECKING:
    Config = _Config
else:
    _sections = {e.key: (e.section, ... if e.printed else e.section()) for e in ALGORITHMS.values()}
    _sections = {key: section for key, section in _sections.items() if key not in _Config.model_fields}
    Config = create_model("Config", __base__=_Config, **_sections)
    Config.__doc__ = _Config.__doc__
