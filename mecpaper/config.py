"""params.yaml as frozen, checked objects. No default hides here: every number stands in the file.

A wrong file is refused before anything starts by one line that names the key, the value and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
PerDevice = Positive | list[Positive]


class ConfigError(ValueError):
    """A wrong params.yaml, told in one line."""


class Section(BaseModel):
    """A section of params.yaml: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _ordered(section: Section, *keys: str) -> None:
    for key in keys:
        least, greatest = getattr(section, key)
        if least > greatest:
            raise ValueError(f"{key} = [{least}, {greatest}]: the first must not exceed the second")


class Readings(Section):
    """Choices where the paper's text is open; see data/paper/deviations.csv."""

    access: Literal["full_band", "orthogonal"]
    eavesdropper_gain: Literal["shared", "independent"]
    listening_power: Literal["fixed", "user"]
    gain_error: Literal["decibel", "linear"]
    frame_change: Literal["literal", "clipped"]
    harvest: Literal["uniform", "fixed"]
    observation: Literal["literal", "augmented"]


class GameConfig(Section):
    """Constants of the system model, Eq. 1-36. A `PerDevice` value is one number or one per device."""

    devices: Annotated[int, Field(ge=1, le=10_000)]
    chunks: Annotated[int, Field(ge=1, le=1_000)]
    slots: Annotated[int, Field(ge=1, le=100_000)]
    frame_rate: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    resolution: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    transmit_power: Annotated[list[PerDevice], Field(min_length=2, max_length=2)]
    cpu_frequency: Annotated[list[PerDevice], Field(min_length=2, max_length=2)]
    bits_per_pixel: Positive
    cycles_per_bit: Positive
    energy_coefficient: PerDevice
    server_frequency: Positive
    bandwidth: Positive
    noise_power: Positive
    eavesdropper_noise_power: Positive
    eavesdropper_power: NotNegative
    gain_db: Annotated[list[Finite], Field(min_length=2, max_length=2)]
    gain_error_fraction: NotNegative
    accuracy_ceiling: Finite
    accuracy_drop: Finite
    accuracy_scale: Positive
    quality_weights: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    cost_weights: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    battery_capacity: PerDevice
    battery_threshold_fraction: Fraction
    harvest_fraction: Fraction
    insecure_request_cost: NotNegative
    cost_limit_fraction: Annotated[float, Field(gt=0, le=1)]
    readings: Readings

    @model_validator(mode="after")
    def _consistent(self) -> GameConfig:
        _ordered(self, "frame_rate", "resolution", "gain_db")
        for key in ("transmit_power", "cpu_frequency"):
            least, greatest = (self.per_device(value) for value in getattr(self, key))
            for device, (low, high) in enumerate(zip(least, greatest, strict=False)):
                if low > high:
                    raise ValueError(
                        f"{key} of device {device} = [{low}, {high}]: the first must not exceed the second"
                    )
        for key in ("quality_weights", "cost_weights"):
            if abs(sum(getattr(self, key)) - 1.0) > 1e-9:
                raise ValueError(f"{key} = {getattr(self, key)}: the two must sum to 1")
        if self.readings.gain_error == "decibel" and self.gain_error_fraction > 0 and self.gain_db[1] < 0:
            raise ValueError(f"gain_db = {self.gain_db}: the greatest must not be negative, rho is a share of it (D7)")
        for key in ("transmit_power", "cpu_frequency", "energy_coefficient", "battery_capacity"):
            value = getattr(self, key)
            for entry in value if key in ("transmit_power", "cpu_frequency") else [value]:
                if isinstance(entry, list) and len(entry) != self.devices:
                    raise ValueError(f"{key} has a list of {len(entry)}: one number, or {self.devices} (devices)")
        return self

    def per_device(self, value: float | list[float]) -> list[float]:
        """The value of a device constant for each device."""
        return list(value) if isinstance(value, list) else [value] * self.devices

    def changed(self, **changes: Any) -> GameConfig:
        """This game with some constants changed, checked again; a reading is named by its own key.

        Raises ConfigError naming the key, the value and what is allowed.
        """
        data = self.model_dump()
        for key, value in changes.items():
            if key == "readings" or key not in data | data["readings"]:
                raise ConfigError(f"game.{key} = {value!r}: unknown key")
            if key in data["readings"]:
                data["readings"][key] = value
            else:
                data[key] = value
        return parse(GameConfig, data, "game")


class LearningConfig(Section):
    """What all learners share; an algorithm's own section may change it under the key `learning`."""

    hidden: Annotated[list[Count], Field(min_length=3, max_length=3)]
    actor_learning_rate: Positive
    critic_learning_rate: Positive
    gradient_norm: Positive
    reward_discount: Annotated[float, Field(ge=0, lt=1)]
    polyak: Annotated[float, Field(gt=0, le=1)]
    batch: Count
    buffer: Count
    reward_scale: Positive
    saturation_penalty: NotNegative
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)]
    warmup: Literal["policy", "uniform"]
    noise: Annotated[list[NotNegative], Field(min_length=2, max_length=2)]
    noise_correlation: Annotated[float, Field(ge=0, le=1)]
    actor_output_start: Positive
    output_start: Annotated[list[Finite], Field(min_length=5, max_length=5)]
    permute_chunks: bool
    actor: Literal["per_agent", "shared"]
    critic: Literal["pooled", "separate", "joint"]
    reward: Literal["own", "team"]

    @model_validator(mode="after")
    def _consistent(self) -> LearningConfig:
        if self.buffer < self.batch:
            raise ValueError(f"buffer = {self.buffer}: at least batch = {self.batch}")
        return self


class OwnConfig(Section):
    """An algorithm's own section: what it adds, and what it changes in `learning`."""

    learning: dict[str, Any]


class MultiplierConfig(OwnConfig):
    """A Lagrange multiplier (Eq. 41)."""

    multiplier_rate: NotNegative
    multiplier_max: Positive
    multipliers: Literal["team", "device"]
    multiplier_rule: Literal["formula", "text"]
    multiplier_step: Literal["slot", "episode"]


class CPOMADDPGConfig(MultiplierConfig):
    """What CPO-MADDPG adds (Section 4.2)."""

    multiplier_fixed: NotNegative | None
    cost_discount: Annotated[float, Field(ge=0, lt=1)]
    critic_heads: Literal["two_headed", "linear_heads", "multi_output", "separate"]
    head_hidden: Count
    gradient: Literal["paper", "lagrangian", "bounded"]
    gradient_epsilon: Positive
    gated: bool
    replay: Literal["ca_per", "reward_per", "uniform"]
    priority_errors: Literal["normalised", "raw"]
    priority_exponent: NotNegative
    priority_epsilon: Positive
    normalisation_delta: Positive
    importance_exponent: Annotated[list[Fraction], Field(min_length=2, max_length=2)]


class LMADDPGConfig(MultiplierConfig):
    """What LMADDPG adds: a multiplier."""


class MADDPGConfig(OwnConfig):
    """What MADDPG adds: nothing."""


class MATD3Config(OwnConfig):
    """What MATD3 adds (Section 5.1.5)."""

    target_noise: NotNegative
    target_noise_max: NotNegative
    policy_delay: Count


class MAPPOConfig(OwnConfig):
    """What MAPPO adds (Section 5.1.4)."""

    clip: Annotated[float, Field(gt=0, lt=1)]
    advantage_decay: Fraction
    entropy: NotNegative
    deviation: Positive
    deviation_range: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    minibatch: Count
    epochs: Count

    @model_validator(mode="after")
    def _consistent(self) -> MAPPOConfig:
        _ordered(self, "deviation_range")
        return self


class RandomConfig(OwnConfig):
    """What the Random baseline adds: nothing."""


OWN = {
    "cpo_maddpg": CPOMADDPGConfig,
    "lmaddpg": LMADDPGConfig,
    "maddpg": MADDPGConfig,
    "matd3": MATD3Config,
    "mappo": MAPPOConfig,
    "random": RandomConfig,
}
"""Algorithm -> the class of its own section of params.yaml."""


class ReducedConfig(Section):
    """What a scale spends on the scenarios marked `reduced`."""

    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    slots_per_update: Count


class ScaleConfig(Section):
    """One scale of the pipeline: how much is trained, and with which seeds."""

    scale: str
    reduced: ReducedConfig
    planner_restarts: Count
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    episodes: Annotated[int, Field(ge=2)]
    episodes_at_once: Count
    slots_per_update: Count
    curve_every: Count

    @model_validator(mode="after")
    def _consistent(self) -> ScaleConfig:
        repeated = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        if repeated:
            raise ValueError(f"seeds = {self.seeds}: each seed once, {repeated[0]} is repeated")
        if self.curve_every % self.episodes_at_once:
            raise ValueError(
                f"curve_every = {self.curve_every}: a multiple of episodes_at_once = {self.episodes_at_once}"
            )
        if self.episodes % self.curve_every:
            raise ValueError(f"episodes = {self.episodes}: a multiple of curve_every = {self.curve_every}")
        return self


class EvaluationConfig(Section):
    """How a policy is measured, without exploration noise, on episodes it was not trained on."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    curve_episodes: Count
    final_episodes: Count


class PlannerConfig(Section):
    """How hard the planner searches, and the sweep behind the choice of the default setting."""

    generations: Count
    cycles_per_bit: Annotated[list[Positive], Field(min_length=1)]


class TuningConfig(Section):
    """The search that every learner gets alike: its seeds, and what each candidate changes in `learning` or its own."""

    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    slots_per_update: Count
    energy_margin: NotNegative
    off_policy: dict[str, dict[str, Any]]
    mappo: dict[str, dict[str, Any]]


class FigureConfig(Section):
    """How seeds become a line and a band."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    resamples: Count
    smoothing: Count


class Config(Section):
    """The whole of params.yaml."""

    game: GameConfig
    scenarios: dict[str, dict[str, Any]]
    learning: LearningConfig
    cpo_maddpg: CPOMADDPGConfig
    lmaddpg: LMADDPGConfig
    maddpg: MADDPGConfig
    matd3: MATD3Config
    mappo: MAPPOConfig
    random: RandomConfig
    cells: dict[Literal["cpo_maddpg", "lmaddpg", "maddpg", "matd3", "mappo", "random"], list[str]]
    policies: list[str]
    evaluation: EvaluationConfig
    planner: PlannerConfig
    tuning: TuningConfig
    scales: dict[Literal["smoke", "demo", "study", "paper"], ScaleConfig]
    run: ScaleConfig
    figures: FigureConfig

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for name, scale in self.scales.items():
            if scale.scale != name:
                raise ValueError(f"scales.{name}.scale = {scale.scale!r}: allowed is {name!r}")
        if self.run.scale not in self.scales:
            raise ValueError(f"run.scale = {self.run.scale!r}: one of {', '.join(self.scales)}")
        for name in self.scenarios:
            try:
                self.scenario(name)
                for algorithm in OWN:
                    self.learner(algorithm, name)
            except ConfigError as error:
                raise ValueError(f"scenarios.{name}.{str(error).removeprefix('game.')}") from None
        for place, names in [*((f"cells.{a}", n) for a, n in self.cells.items()), ("policies", self.policies)]:
            for name in names:
                try:
                    self._changes(name)
                except ConfigError:
                    raise ValueError(f"{place} names {name!r}: one of {', '.join(self.scenarios)}") from None
        return self

    def _changes(self, name: str) -> dict[str, Any]:
        """What a scenario changes; one joined by "+" has the changes of its parts, a later part's on top."""
        changes: dict[str, Any] = {}
        for part in name.split("+"):
            if part not in self.scenarios:
                raise ConfigError(f"scenario = {part!r}: one of {', '.join(self.scenarios)}")
            for key, value in self.scenarios[part].items():
                nested = isinstance(value, dict) and isinstance(changes.get(key), dict)
                changes[key] = changes[key] | value if nested else value
        return changes

    def scale_of(self, name: str) -> ScaleConfig:
        """The scale `run` as it holds in a scenario: one marked `reduced` gets the smaller share."""
        reduced = self._changes(name).get("reduced", False)
        return self.run.model_copy(update=self.run.reduced.model_dump()) if reduced else self.run

    def scenario(self, name: str) -> GameConfig:
        """The game of a scenario. Raises ConfigError when there is none of that name."""
        other = ("learning", "reduced", *OWN)
        return self.game.changed(**{k: v for k, v in self._changes(name).items() if k not in other})

    def learner(self, algorithm: str, name: str) -> tuple[LearningConfig, Any]:
        """Sections `learning` and the algorithm's own as they hold in a scenario.

        The scenario's changes under the algorithm's name come on top of the section; what the section and then the
        scenario say under `learning` on top of the shared one. Raises ConfigError as `scenario` does.
        """
        changes = self._changes(name)
        own_changes = changes.get(algorithm, {})
        own = parse(OWN[algorithm], getattr(self, algorithm).model_dump() | own_changes, algorithm)
        shared = self.learning.model_dump() | own.learning | changes.get("learning", {})
        return parse(LearningConfig, shared, "learning"), own


def parse(section: type[Section], data: Any, place: str = "") -> Any:
    """Build a section from plain data.

    Args:
        section: the class to build.
        data: what the YAML file holds there.
        place: dotted key of the section, for messages.
    Returns:
        an instance of `section`.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    try:
        return section.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_one_line(error, place)) from None


_TYPES = {
    "missing": "required, but missing",
    "extra_forbidden": "unknown key",
}


def _one_line(error: ValidationError, place: str) -> str:
    # Of a union's complaints the last one is about the more general form; all stand at the same key.
    detail = error.errors()[0]
    keys = [str(part) for part in (place, *detail["loc"]) if part != "" and not _is_union_tag(part)]
    key = ".".join(keys)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] in _TYPES:
        value = "" if detail["type"] == "missing" else f" = {detail['input']!r}"
        return f"{key}{value}: {_TYPES[detail['type']]}"
    if detail["type"] == "value_error":
        return f"{key}.{message}" if key and not message.startswith("scenarios") else message
    return f"{key} = {detail['input']!r}: {message}"


def _is_union_tag(part: Any) -> bool:
    return isinstance(part, str) and (part in ("float", "int") or "[" in part)


def find_root(start: Path | str | None = None) -> Path:
    """Folder of the project: the nearest one upwards that holds params.yaml and dvc.yaml.

    The environment variable MECPAPER_ROOT, where set, names it instead.
    Raises ConfigError when there is none.
    """
    if start is None and os.environ.get("MECPAPER_ROOT"):
        start = os.environ["MECPAPER_ROOT"]
    folder = Path(start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / "params.yaml").is_file() and (candidate / "dvc.yaml").is_file():
            return candidate
    raise ConfigError(f"project root: no params.yaml with dvc.yaml in {folder} or above it")


def load(path: Path | str | None = None) -> Config:
    """Read and check params.yaml.

    Args:
        path: the file; by default the one of the project around the current folder.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    path = Path(path) if path is not None else find_root() / "params.yaml"
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"params file = {str(path)!r}: no such file") from None
    except YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        if "undefined alias" in problem:
            problem += ": a scale that does not exist; allowed are the anchors under scales"
        raise ConfigError(f"{path.name}{line}: {problem}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path.name} = {data!r}: a mapping of sections is required")
    return parse(Config, data)


def fingerprint(*parts: Any) -> str:
    """Short hash of plain data and sections, the same in every process: names what a result depends on."""
    plain = [part.model_dump() if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
