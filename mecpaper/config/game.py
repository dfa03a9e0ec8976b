"""Section `game` of params.yaml: constants of the system model, Eq. 1-36, and readings of the paper's text."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mecpaper.config.fields import (
    ConfigError,
    Energy,
    EnergyCoefficient,
    Fraction,
    FrameRate,
    Frequency,
    Gain,
    Noise,
    Power,
    Resolution,
    Section,
    Share,
    check_ordered,
    device_constant,
    parse,
    shown,
)
from mecpaper.config.measured import FROM_ACCURACY, FROM_TRACES, AccuracyCurve, Traces

MAX_SECONDS = MAX_JOULES = 1e9
"""Upper limits on the time and energy of a chunk in the worst case."""


class Readings(Section):
    """Choices where the paper's text is ambiguous; see data/paper/deviations.csv."""

    access: Literal["full_band", "orthogonal"]
    eavesdropper_gain: Literal["shared", "independent"]
    listening_power: Literal["fixed", "user"]
    gain_error: Literal["decibel", "linear"]
    gain_set: Literal["estimate", "true_gain"]
    frame_change: Literal["literal", "clipped"]
    harvest: Literal["uniform", "fixed"]
    observation: Literal["literal", "augmented"]


class GameConfig(Section):
    """Constants of the system model, Eq. 1-36. A `device_constant` is one number, or a list for devices in turn."""

    SHARED: ClassVar = ("devices", "chunks", "slots", "readings", "traces", "accuracy_curve")
    """Keys in which the runs of one batched game agree."""

    devices: Annotated[int, Field(ge=1, le=10_000)]
    chunks: Annotated[int, Field(ge=1, le=1_000)]
    slots: Annotated[int, Field(ge=1, le=100_000)]
    frame_rate: Annotated[list[FrameRate], Field(min_length=2, max_length=2)]
    resolution: Annotated[list[Resolution], Field(min_length=2, max_length=2)]
    transmit_power: Annotated[list[device_constant(Power)], Field(min_length=2, max_length=2)]  # type: ignore[valid-type]
    cpu_frequency: Annotated[list[device_constant(Frequency)], Field(min_length=2, max_length=2)]  # type: ignore[valid-type]
    bits_per_pixel: Annotated[float, Field(ge=1e-3, le=1e3)]
    cycles_per_bit: Annotated[float, Field(ge=1e-3, le=1e9)]
    energy_coefficient: device_constant(EnergyCoefficient)  # type: ignore[valid-type]
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
    battery_capacity: device_constant(Energy)  # type: ignore[valid-type]
    battery_threshold_fraction: Fraction
    harvest_fraction: Fraction
    insecure_request_cost: Annotated[float, Field(ge=0, le=1e6)]
    cost_limit_fraction: Share
    readings: Readings
    traces: Annotated[Traces | None, *FROM_TRACES]
    accuracy_curve: Annotated[AccuracyCurve | None, *FROM_ACCURACY]

    @property
    def numbers(self) -> dict[str, Any]:
        """All constants as plain data, without files that are not named: results keep the fingerprints of before."""
        return {key: value for key, value in self.model_dump(mode="json").items() if value is not None}

    @property
    def gain_range(self) -> tuple[float, float]:
        """g_min and g_max, dB: those of the traces, if there are any."""
        if self.traces is None:
            return self.gain_db[0], self.gain_db[1]
        return float(self.traces.gain_db.min()), float(self.traces.gain_db.max())

    @model_validator(mode="after")
    def _consistent(self) -> GameConfig:
        check_ordered(self, "frame_rate", "resolution", "gain_db")
        for key in ("transmit_power", "cpu_frequency"):
            minimum, maximum = (self.per_device(value) for value in getattr(self, key))
            for device, (low, high) in enumerate(zip(minimum, maximum, strict=True)):
                if low > high:
                    raise ValueError(
                        f"{key} of device {device} = [{low}, {high}]: the first must not exceed the second"
                    )
        for key in ("quality_weights", "cost_weights"):
            if abs(sum(getattr(self, key)) - 1.0) > 1e-9:
                raise ValueError(f"{key} = {getattr(self, key)}: the two must sum to 1")
        if self.traces is not None:
            self.traces.check(self.slots, self.chunks)
        if self.accuracy_curve is not None:
            self.accuracy_curve.check(*self.resolution)
        if self.readings.gain_error == "decibel" and self.gain_error_fraction > 0 and self.gain_range[1] < 0:
            source = "gain_db" if self.traces is None else f"traces = {self.traces}: gain_db"
            raise ValueError(
                f"{source} = {list(self.gain_range)}: the maximum must not be negative, rho is a share of it (D7)"
            )
        for key, value, what, limit in self._worst():
            if value > limit:
                given = shown(getattr(self, key))
                raise ValueError(f"{key} = {given}: a chunk may take {value:.3g} {what}, at most {limit:g} is allowed")
        return self

    def _worst(self) -> list[tuple[str, float, str, float]]:
        """List the worst cases of the largest chunk: constant to blame, value, unit and purpose, limit."""
        (min_power, max_power), (min_frequency, max_frequency) = (
            [pick(self.per_device(value)) for pick, value in zip((min, max), pair, strict=True)]
            for pair in (self.transmit_power, self.cpu_frequency)
        )
        min_gain, max_gain = (10.0 ** (value / 10.0) for value in self.gain_range)
        size = self.bits_per_pixel * self.frame_rate[1] * self.resolution[1] ** 2
        work = size * self.cycles_per_bit
        if self.readings.access == "orthogonal":
            bandwidth, noise = self.bandwidth / self.devices, self.noise_power
        else:
            bandwidth, noise = self.bandwidth, self.noise_power + (self.devices - 1) * max_power * max_gain
        upload = size * math.log(2.0) / (bandwidth * math.log1p(min_power * min_gain / noise))
        coefficient = max(self.per_device(self.energy_coefficient))
        return [
            ("cycles_per_bit", work / min_frequency, "s to process locally", MAX_SECONDS),
            ("server_frequency", work / self.server_frequency, "s to process at the server", MAX_SECONDS),
            ("bandwidth", upload, "s to upload", MAX_SECONDS),
            ("energy_coefficient", coefficient * max_frequency**2 * work, "J to process locally", MAX_JOULES),
            ("transmit_power", max_power * upload, "J to upload", MAX_JOULES),
        ]

    def per_device(self, value: float | list[float]) -> list[float]:
        """Expand a device constant to one value per device; device n takes entry n of a list, modulo its length."""
        kinds = value if isinstance(value, list) else [value]
        return [kinds[device % len(kinds)] for device in range(self.devices)]

    def alike(self) -> GameConfig:
        """Return the game with all devices alike: the mean over the devices in the place of each list."""

        def mean(value: Any) -> Any:
            return fmean(self.per_device(value)) if isinstance(value, list) else value

        pairs = {key: [mean(end) for end in getattr(self, key)] for key in ("transmit_power", "cpu_frequency")}
        return self.changed(
            **pairs, **{key: mean(getattr(self, key)) for key in ("energy_coefficient", "battery_capacity")}
        )

    def changed(self, /, **changes: Any) -> GameConfig:
        """Return a checked copy with some constants changed; readings are named by their own keys.

        Raises:
            ConfigError: one line with the key, the value and what is allowed.
        """
        data = self.model_dump()
        for key, value in changes.items():
            if key == "readings" or key not in data | data["readings"]:
                raise ConfigError(f"game.{key} = {shown(value)}: unknown key")
            if key in data["readings"]:
                data["readings"][key] = value
            else:
                data[key] = value
        return parse(GameConfig, data, "game")
