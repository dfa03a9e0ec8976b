"""Constants of the games of several runs, as tensors that broadcast against `[run, env, device, chunk]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from mecpaper.config import GameConfig

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

    @classmethod
    def of(cls, configs: Sequence[GameConfig], device: torch.device, dtype: torch.dtype) -> Constants:
        """Gather the constants of several runs; number of devices and readings must agree."""
        per_device = ("transmit_power", "cpu_frequency", "energy_coefficient", "battery_capacity")

        def tensor(name: str, values: list[Any]) -> Tensor:
            if name in per_device:
                values = [config.per_device(value) for config, value in zip(configs, values, strict=True)]
            return torch.tensor(values, dtype=dtype, device=device).view(len(configs), 1, -1, 1)

        found: dict[str, Any] = {"gain_error": tensor("gain_error", [_gain_error(config) for config in configs])}
        for name in (field.name for field in fields(cls) if field.name != "gain_error"):
            values = [getattr(config, name) for config in configs]
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
        return cls(**found)


def _gain_error(config: GameConfig) -> float:
    if config.readings.gain_error == "decibel":
        return config.gain_error_fraction * config.gain_db[1]
    return config.gain_error_fraction * 10.0 ** (config.gain_db[1] / 10.0)
