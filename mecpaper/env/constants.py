"""Constants of the games of several runs, as tensors that broadcast against `[run, env, device, chunk]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from mecpaper.config import GameConfig
from mecpaper.system import quality

Bounds = tuple[Tensor, Tensor]
"""Minimum and maximum, or the two weights of a sum."""


@dataclass(frozen=True)
class Constants:
    """Constants by their names in params.yaml, `[run, 1, 1, 1]` or, if per device, `[run, 1, device, 1]`; SI units."""

    bits_per_pixel: Tensor
    cycles_per_bit: Tensor
    server_frequency: Tensor
    bandwidth: Tensor
    noise_power: Tensor
    eavesdropper_noise_power: Tensor
    eavesdropper_power: Tensor
    accuracy_ceiling: Tensor
    accuracy_drop: Tensor
    accuracy_scale: Tensor
    harvest_fraction: Tensor
    insecure_request_cost: Tensor
    battery_threshold_fraction: Tensor
    cost_limit_fraction: Tensor
    frame_rate: Bounds
    resolution: Bounds
    gain_db: Bounds
    quality_weights: Bounds
    cost_weights: Bounds
    transmit_power: Bounds
    cpu_frequency: Bounds
    energy_coefficient: Tensor
    battery_capacity: Tensor
    gain_error: Tensor  # rho of Section 3.5, in dB or linear (D7)
    harvest: Tensor  # the middle between no harvest and the largest, J
    curve: tuple[Tensor, Tensor] | None = None  # resolutions and coefficients of a measured curve

    @classmethod
    def of(cls, configs: Sequence[GameConfig], device: torch.device, dtype: torch.dtype) -> Constants:
        """Gather the constants of several runs; `GameConfig.SHARED` must agree."""
        per_device = ("transmit_power", "cpu_frequency", "energy_coefficient", "battery_capacity")

        def tensor(name: str, values: list[Any]) -> Tensor:
            if name in per_device:
                values = [config.per_device(value) for config, value in zip(configs, values, strict=True)]
            return torch.tensor(values, dtype=dtype, device=device).view(len(configs), 1, -1, 1)

        found: dict[str, Any] = {"gain_error": tensor("gain_error", [_gain_error(config) for config in configs])}
        for name in (field.name for field in fields(cls) if field.name in GameConfig.model_fields):
            values = [config.gain_range if name == "gain_db" else getattr(config, name) for config in configs]
            is_pair = name in (
                "frame_rate",
                "resolution",
                "gain_db",
                "quality_weights",
                "cost_weights",
                *per_device[:2],
            )
            if is_pair:
                found[name] = tuple(tensor(name, [value[end] for value in values]) for end in (0, 1))
            else:
                found[name] = tensor(name, values)
        found["harvest"] = found["harvest_fraction"] * found["battery_capacity"]
        traces, curve = configs[0].traces, configs[0].accuracy_curve
        if traces is not None:
            found["harvest"] = tensor("harvest", [0.5 * traces.harvest.max()] * len(configs))
        if curve is not None:
            parts = (curve.resolution, curve.coefficients)
            found["curve"] = tuple(torch.tensor(part, dtype=dtype, device=device) for part in parts)
        return cls(**found)

    def accuracy(self, resolution: Tensor) -> Tensor:
        """Compute the parsing accuracy of a resolution in pixel, by Eq. 16 or by the measured curve (D45)."""
        if self.curve is not None:
            return quality.measured_accuracy(resolution, *self.curve)
        return quality.accuracy(resolution, self.accuracy_ceiling, self.accuracy_drop, self.accuracy_scale)


def _gain_error(config: GameConfig) -> float:
    maximum = config.gain_range[1]
    if config.readings.gain_error == "decibel":
        return config.gain_error_fraction * maximum
    return config.gain_error_fraction * 10.0 ** (maximum / 10.0)
