"""params.yaml as frozen, checked objects. No default hides here: every number stands in the file.

A wrong file is refused before anything starts by one line that names the key, the value and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError

# The ranges go far beyond any real system, and no further than single precision carries what is computed from them.
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Discount = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e3)]
Factor = Annotated[float, Field(gt=0, le=1e3)]
Small = Annotated[float, Field(ge=1e-12, le=1)]
FrameRate = Annotated[float, Field(ge=1e-2, le=1e3)]
Resolution = Annotated[float, Field(ge=1, le=1e5)]
Power = Annotated[float, Field(ge=1e-6, le=1e3)]
Frequency = Annotated[float, Field(ge=1e3, le=1e15)]
EnergyCoefficient = Annotated[float, Field(ge=1e-33, le=1e-15)]
Energy = Annotated[float, Field(ge=1e-6, le=1e6)]
Deviation = Annotated[float, Field(ge=1e-4, le=1e2)]
Gain = Annotated[float, Field(ge=-200, le=60)]
Noise = Annotated[float, Field(ge=1e-15, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Size = Annotated[int, Field(ge=1, le=100_000)]
Few = Annotated[int, Field(ge=1, le=1_000)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(pattern=r"^\w[\w-]*$", max_length=100)]

LONGEST, MOST = 1e9, 1e9
"""What a chunk, one second of video, may take at worst: seconds and joules."""

ONE, EACH = "<one>", "<each>"
"""Tags of the two forms of a device constant; pydantic puts them into the place of an error."""


def _device_constant(kind: Any) -> Any:
    """One number, or one per device."""
    forms = Annotated[kind, Tag(ONE)] | Annotated[list[kind], Tag(EACH)]
    return Annotated[forms, Discriminator(lambda value: EACH if isinstance(value, list) else ONE)]


def _distinct(values: list) -> list:
    for value in values:
        if values.count(value) > 1:
            raise PydanticCustomError("repeated", "each once, {value} is repeated", {"value": repr(value)})
    return values


Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]
Names = Annotated[list[str], AfterValidator(_distinct)]


class ConfigError(ValueError):
    """A wrong params.yaml, told in one line."""


class Section(BaseModel):
    """A section of params.yaml: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
    """Constants of the system model, Eq. 1-36. A `_device_constant` is one number or one per device."""

    devices: Annotated[int, Field(ge=1, le=10_000)]
    chunks: Annotated[int, Field(ge=1, le=1_000)]
    slots: Annotated[int, Field(ge=1, le=100_000)]
    frame_rate: Annotated[list[FrameRate], Field(min_length=2, max_length=2)]
    resolution: Annotated[list[Resolution], Field(min_length=2, max_length=2)]
    transmit_power: Annotated[list[_device_constant(Power)], Field(min_length=2, max_length=2)]  # type: ignore[valid-type]
    cpu_frequency: Annotated[list[_device_constant(Frequency)], Field(min_length=2, max_length=2)]  # type: ignore[valid-type]
    bits_per_pixel: Annotated[float, Field(ge=1e-3, le=1e3)]
    cycles_per_bit: Annotated[float, Field(ge=1e-3, le=1e9)]
    energy_coefficient: _device_constant(EnergyCoefficient)  # type: ignore[valid-type]
    server_frequency: Frequency
    bandwidth: Annotated[float, Field(ge=1, le=1e12)]
    noise_power: Noise
    eavesdropper_noise_power: Noise
    eavesdropper_power: Annotated[float, Field(ge=0, le=1e3)]
    gain_db: Annotated[list[Gain], Field(min_length=2, max_length=2)]
    gain_error_fraction: Fraction
    accuracy_ceiling: Annotated[float, Field(ge=-1e3, le=1e3)]
    accuracy_drop: Annotated[float, Field(ge=-1e3, le=1e3)]
    accuracy_scale: Annotated[float, Field(ge=1e-3, le=1e6)]
    quality_weights: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    cost_weights: Annotated[list[Fraction], Field(min_length=2, max_length=2)]
    battery_capacity: _device_constant(Energy)  # type: ignore[valid-type]
    battery_threshold_fraction: Fraction
    harvest_fraction: Fraction
    insecure_request_cost: Annotated[float, Field(ge=0, le=1e6)]
    cost_limit_fraction: Share
    readings: Readings

    @model_validator(mode="after")
    def _consistent(self) -> GameConfig:
        for key in ("transmit_power", "cpu_frequency", "energy_coefficient", "battery_capacity"):
            value = getattr(self, key)
            for entry in value if key in ("transmit_power", "cpu_frequency") else [value]:
                if isinstance(entry, list) and len(entry) != self.devices:
                    raise ValueError(
                        f"{key} = {_shown(value)}: has a list of {len(entry)}; one number, or {self.devices} (devices)"
                    )
        _ordered(self, "frame_rate", "resolution", "gain_db")
        for key in ("transmit_power", "cpu_frequency"):
            least, greatest = (self.per_device(value) for value in getattr(self, key))
            for device, (low, high) in enumerate(zip(least, greatest, strict=True)):
                if low > high:
                    raise ValueError(
                        f"{key} of device {device} = [{low}, {high}]: the first must not exceed the second"
                    )
        for key in ("quality_weights", "cost_weights"):
            if abs(sum(getattr(self, key)) - 1.0) > 1e-9:
                raise ValueError(f"{key} = {getattr(self, key)}: the two must sum to 1")
        if self.readings.gain_error == "decibel" and self.gain_error_fraction > 0 and self.gain_db[1] < 0:
            raise ValueError(f"gain_db = {self.gain_db}: the greatest must not be negative, rho is a share of it (D7)")
        for key, value, what, limit in self._worst():
            if value > limit:
                shown = _shown(getattr(self, key))
                raise ValueError(f"{key} = {shown}: a chunk may take {value:.3g} {what}, allowed are {limit:g}")
        return self

    def _worst(self) -> list[tuple[str, float, str, float]]:
        """What the largest chunk takes where it takes most: the constant that counts, a number, of what, the limit."""
        (least_power, power), (least_frequency, frequency) = (
            [pick(self.per_device(value)) for pick, value in zip((min, max), pair, strict=True)]
            for pair in (self.transmit_power, self.cpu_frequency)
        )
        least_gain, gain = (10.0 ** (value / 10.0) for value in self.gain_db)
        size = self.bits_per_pixel * self.frame_rate[1] * self.resolution[1] ** 2
        work = size * self.cycles_per_bit
        if self.readings.access == "orthogonal":
            bandwidth, noise = self.bandwidth / self.devices, self.noise_power
        else:
            bandwidth, noise = self.bandwidth, self.noise_power + (self.devices - 1) * power * gain
        upload = size * math.log(2.0) / (bandwidth * math.log1p(least_power * least_gain / noise))
        coefficient = max(self.per_device(self.energy_coefficient))
        return [
            ("cycles_per_bit", work / least_frequency, "s to process locally", LONGEST),
            ("server_frequency", work / self.server_frequency, "s to process at the server", LONGEST),
            ("bandwidth", upload, "s to upload", LONGEST),
            ("energy_coefficient", coefficient * frequency**2 * work, "J to process locally", MOST),
            ("transmit_power", power * upload, "J to upload", MOST),
        ]

    def per_device(self, value: float | list[float]) -> list[float]:
        """The value of a device constant for each device."""
        return list(value) if isinstance(value, list) else [value] * self.devices

    def changed(self, /, **changes: Any) -> GameConfig:
        """This game with some constants changed, checked again; a reading is named by its own key.

        Raises ConfigError naming the key, the value and what is allowed.
        """
        data = self.model_dump()
        for key, value in changes.items():
            if key == "readings" or key not in data | data["readings"]:
                raise ConfigError(f"game.{key} = {_shown(value)}: unknown key")
            if key in data["readings"]:
                data["readings"][key] = value
            else:
                data[key] = value
        return parse(GameConfig, data, "game")


class LearningConfig(Section):
    """What all learners share; an algorithm's own section may change it under the key `learning`."""

    hidden: Annotated[list[Size], Field(min_length=3, max_length=3)]
    actor_learning_rate: Share
    critic_learning_rate: Share
    gradient_norm: Factor
    reward_discount: Discount
    polyak: Share
    batch: Size
    buffer: Count
    reward_scale: Factor
    saturation_penalty: Weight
    saturation_last: Weight
    warmup_fraction: Discount
    warmup: Literal["policy", "uniform"]
    noise: Annotated[list[Weight], Field(min_length=2, max_length=2)]
    noise_correlation: Fraction
    actor_output_start: Factor
    output_start: Annotated[list[Annotated[float, Field(ge=-100, le=100)]], Field(min_length=5, max_length=5)]
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

    multiplier_rate: Weight
    multiplier_max: Factor
    multipliers: Literal["team", "device"]
    multiplier_rule: Literal["formula", "text"]
    multiplier_step: Literal["slot", "episode"]


class CPOMADDPGConfig(MultiplierConfig):
    """What CPO-MADDPG adds (Section 4.2)."""

    multiplier_fixed: Weight | None
    cost_discount: Discount
    critic_heads: Literal["two_headed", "linear_heads", "multi_output", "separate"]
    head_hidden: Size
    gradient: Literal["paper", "lagrangian", "bounded"]
    gradient_epsilon: Small
    gated: bool
    replay: Literal["ca_per", "reward_per", "uniform"]
    priority_errors: Literal["normalised", "raw"]
    priority_exponent: Fraction
    priority_epsilon: Small
    normalisation_delta: Small
    importance_exponent: Annotated[list[Fraction], Field(min_length=2, max_length=2)]


class LMADDPGConfig(MultiplierConfig):
    """What LMADDPG adds: a multiplier."""


class MADDPGConfig(OwnConfig):
    """What MADDPG adds: nothing."""


class MATD3Config(OwnConfig):
    """What MATD3 adds (Section 5.1.5)."""

    target_noise: Weight
    target_noise_max: Weight
    policy_delay: Few


class MAPPOConfig(OwnConfig):
    """What MAPPO adds (Section 5.1.4)."""

    clip: Annotated[float, Field(gt=0, lt=1)]
    advantage_decay: Fraction
    entropy: Weight
    deviation: Deviation
    deviation_range: Annotated[list[Deviation], Field(min_length=2, max_length=2)]
    minibatch: Count
    epochs: Few

    @model_validator(mode="after")
    def _consistent(self) -> MAPPOConfig:
        _ordered(self, "deviation_range")
        least, greatest = self.deviation_range
        if not least <= self.deviation <= greatest:
            raise ValueError(f"deviation = {self.deviation}: within deviation_range = [{least}, {greatest}]")
        return self


class RandomConfig(OwnConfig):
    """What the Random baseline adds: nothing."""


OWN: dict[str, type[OwnConfig]] = {
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

    seeds: Seeds
    slots_per_update: Count


class ScaleConfig(Section):
    """One scale of the pipeline: how much is trained, and with which seeds."""

    scale: str
    reduced: ReducedConfig
    planner_restarts: Few
    seeds: Seeds
    episodes: Annotated[int, Field(ge=2, le=1_000_000_000)]
    episodes_at_once: Size
    slots_per_update: Count
    curve_every: Count

    @model_validator(mode="after")
    def _consistent(self) -> ScaleConfig:
        if self.curve_every % self.episodes_at_once:
            raise ValueError(
                f"curve_every = {self.curve_every}: a multiple of episodes_at_once = {self.episodes_at_once}"
            )
        if self.episodes % self.curve_every:
            raise ValueError(f"episodes = {self.episodes}: a multiple of curve_every = {self.curve_every}")
        return self


class EvaluationConfig(Section):
    """How a policy is measured, without exploration noise, on episodes it was not trained on."""

    seed: Seed
    curve_episodes: Size
    final_episodes: Size


class PlannerConfig(Section):
    """How hard the planner searches, and the sweep behind the choice of the default setting."""

    generations: Count
    cycles_per_bit: Annotated[list[Annotated[float, Field(ge=1e-3, le=1e9)]], Field(min_length=1)]


class TuningConfig(Section):
    """The search that every learner gets alike: its seeds, and what each candidate changes in `learning` or its own."""

    seeds: Seeds
    slots_per_update: Count
    energy_margin: Weight
    off_policy: dict[Name, dict[str, Any]]
    mappo: dict[Name, dict[str, Any]]


class FigureConfig(Section):
    """How seeds become a line and a band."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    resamples: Annotated[int, Field(ge=1, le=1_000_000)]
    smoothing: Count


class Config(Section):
    """The whole of params.yaml."""

    game: GameConfig
    scenarios: dict[Name, dict[str, Any]]
    learning: LearningConfig
    cpo_maddpg: CPOMADDPGConfig
    lmaddpg: LMADDPGConfig
    maddpg: MADDPGConfig
    matd3: MATD3Config
    mappo: MAPPOConfig
    random: RandomConfig
    cells: dict[Literal["cpo_maddpg", "lmaddpg", "maddpg", "matd3", "mappo", "random"], Names]
    policies: Names
    evaluation: EvaluationConfig
    planner: PlannerConfig
    tuning: TuningConfig
    scales: Annotated[dict[Literal["smoke", "demo", "study", "paper"], ScaleConfig], Field(min_length=1)]
    run: ScaleConfig
    figures: FigureConfig

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for label, scale in self.scales.items():
            if scale.scale != label:
                raise ValueError(f"scales.{label}.scale = {scale.scale!r}: allowed is {label!r}")
        if self.run.scale not in self.scales:
            raise ValueError(f"run.scale = {self.run.scale!r}: one of {', '.join(self.scales)}")
        if "default" not in self.scenarios:
            raise ValueError("scenarios.default: required, but missing")
        places: list[tuple[str, dict[str, Any]]] = [("", {})]
        places += [(f"scenarios.{name}.", changes) for name, changes in self.scenarios.items()]
        for place, names in [*((f"cells.{a}", n) for a, n in self.cells.items()), ("policies", self.policies)]:
            for name in names:
                try:
                    changes = self._changes(name)
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
        for algorithm, candidates in self._searched():
            for name, changes in getattr(self.tuning, candidates).items():
                try:
                    self._check({algorithm: {"learning": {}} | changes})
                except ConfigError as error:
                    reason = str(error).removeprefix(f"{algorithm}.")
                    raise ValueError(f"tuning.{candidates}.{name}.{reason}") from None
        for value in self.planner.cycles_per_bit:
            try:
                self.game.changed(cycles_per_bit=value)
            except ConfigError as error:
                raise ValueError(str(error).replace("game.", "planner.", 1)) from None
        return self

    def _searched(self) -> list[tuple[str, str]]:
        """Algorithm -> where under `tuning` its candidates stand."""
        return [(name, "mappo" if name == "mappo" else "off_policy") for name in OWN if name != "random"]

    def _check(self, changes: dict[str, Any]) -> None:
        """Refuse changes, as a scenario has them, that make a section wrong. Raises ConfigError."""
        self._game(changes)
        if not isinstance(changes.get("reduced", False), bool):
            raise ConfigError(f"reduced = {_shown(changes['reduced'])}: true or false")
        for algorithm in OWN:
            learning, _ = self._learner(algorithm, changes)
            if learning.buffer < self.run.episodes_at_once:
                raise ConfigError(
                    f"learning.buffer = {learning.buffer}: at least run.episodes_at_once = {self.run.episodes_at_once}"
                )

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
        return self._game(self._changes(name))

    def _game(self, changes: dict[str, Any]) -> GameConfig:
        other = ("learning", "reduced", *OWN)
        return self.game.changed(**{k: v for k, v in changes.items() if k not in other})

    def learner(self, algorithm: str, name: str) -> tuple[LearningConfig, Any]:
        """Sections `learning` and the algorithm's own as they hold in a scenario.

        The scenario's changes under the algorithm's name come on top of the section; what the section and then the
        scenario say under `learning` on top of the shared one. Raises ConfigError as `scenario` does.
        """
        return self._learner(algorithm, self._changes(name))

    def _learner(self, algorithm: str, changes: dict[str, Any]) -> tuple[LearningConfig, Any]:
        own = parse(OWN[algorithm], getattr(self, algorithm).model_dump() | _part(changes, algorithm), algorithm)
        shared = self.learning.model_dump()
        try:
            return parse(LearningConfig, shared | own.learning | _part(changes, "learning"), "learning"), own
        except ConfigError:
            # Where the algorithm's own part alone is wrong, that is the place to name.
            parse(LearningConfig, shared | own.learning, f"{algorithm}.learning")
            raise


def _part(changes: dict[str, Any], key: str) -> dict[str, Any]:
    part = changes.get(key, {})
    if not isinstance(part, dict):
        raise ConfigError(f"{key} = {_shown(part)}: a mapping of changes is required")
    return part


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
    "greater_than": "input should be greater than {gt}",
    "greater_than_equal": "input should be greater than or equal to {ge}",
    "less_than": "input should be less than {lt}",
    "less_than_equal": "input should be less than or equal to {le}",
}
"""What is said instead of pydantic's own message."""


def _one_line(error: ValidationError, place: str) -> str:
    detail = error.errors()[0]
    keys = [str(part) for part in (place, *detail["loc"]) if part not in ("", ONE, EACH, "[key]")]
    key = ".".join(keys)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] in _TYPES:
        bounds = {k: f"{v:g}" if isinstance(v, float) else v for k, v in detail.get("ctx", {}).items()}
        message = _TYPES[detail["type"]].format(**bounds)
    if detail["type"] == "value_error":
        line = f"{key}.{message}" if key else message
    elif detail["type"] == "missing":
        line = f"{key}: {message}"
    else:
        line = f"{key or 'params'} = {_shown(detail['input'])}: {message}"
    return " ".join(line.split())


_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxlist, _brief.maxdict, _brief.maxstring, _brief.maxother = 3, 20, 8, 80, 80


def _shown(value: Any) -> str:
    """A value as a message shows it, however large it is."""
    try:
        return _brief.repr(value)
    except (ValueError, RecursionError):
        return f"a very large {type(value).__name__}"


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
    raise ConfigError(
        f"project root: no params.yaml with dvc.yaml in {folder} or above it; "
        "name the folder in MECPAPER_ROOT, or the file in load(path)"
    )


def load(path: Path | str | None = None) -> Config:
    """Read and check params.yaml.

    Args:
        path: the file; by default the one of the project around the current folder.
    Raises:
        ConfigError: one line with the key, the value and what is allowed.
    """
    path = Path(path) if path is not None else find_root() / "params.yaml"
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        content = path.read_bytes()
        data = yaml.load(content.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"params file = {str(path)!r}: no such file") from None
    except OSError as error:
        raise ConfigError(f"params file = {str(path)!r}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path.name}, line {line}: {error.object[error.start :][:1]!r} is not UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{path.name}: nested too deeply") from None
    except YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        if "undefined alias" in problem:
            problem += ": a scale that does not exist; allowed are the anchors under scales"
        raise ConfigError(" ".join(f"{path.name}{where}: {problem}".split())) from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path.name} = {_shown(data)}: a mapping of sections is required")
    return parse(Config, data)


class _Constructor(SafeConstructor):
    """Says where a value stands that is not of the type it claims to be, such as the date 2020-13-45."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError):
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"{_shown(node.value)} is no {kind}", node.start_mark) from None


def fingerprint(*parts: Any) -> str:
    """Short hash of plain data and sections, the same in every process: names what a result depends on."""
    plain = [part.model_dump() if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
