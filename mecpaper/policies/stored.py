"""Load trained actors from an experiment's `policy.safetensors`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from mecpaper.algorithms.networks import linear
from mecpaper.config import ConfigError
from mecpaper.env.game import Game
from mecpaper.env.measures import Policy


@dataclass(frozen=True)
class StoredPolicy:
    """Trained actors, one per device, as `Training.policy` returns them.

    Args:
        label: name in the list of algorithms.
        algorithm: key of the algorithm that trained it.
        layers: weights `[device, in, out]` and biases `[device, 1, out]`, alternating.
        centre, half: centre and half-width of the observations in training, `[device, feature]`.
        cost_limit_fraction: C_limit / B_max in training, None if unknown.
    """

    label: str
    algorithm: str
    layers: tuple[Tensor, ...]
    centre: Tensor
    half: Tensor
    cost_limit_fraction: float | None = None

    @classmethod
    def from_tensors(
        cls, label: str, algorithm: str, tensors: dict[str, Tensor], cost_limit_fraction: float | None = None
    ) -> StoredPolicy:
        """Make a policy from named tensors in half or single precision.

        Raises:
            ConfigError: tensors are missing or do not fit together.
        """
        count = sum(name.startswith("layer.") for name in tensors)
        try:
            layers = tuple(tensors[f"layer.{i}"].float() for i in range(count))
            centre, half = (tensors[f"observation.{name}"].float() for name in ("centre", "half"))
        except KeyError as error:
            raise ConfigError(f"policy {label!r}: no tensor {error}") from None
        if not layers or count % 2 or centre.shape != half.shape or layers[0].shape[1] != centre.shape[-1]:
            raise ConfigError(f"policy {label!r}: tensors that do not fit together")
        return cls(label, algorithm, layers, centre, half, cost_limit_fraction)

    @property
    def devices(self) -> int:
        """Number of devices it was trained for."""
        return len(self.centre)

    def trained_range(self, game: Game) -> dict[str, tuple[float, float]]:
        """Return the ranges in training, by key of params.yaml: gains in dB, battery in J, harvest over battery."""
        columns = {name: i for i, name in enumerate(game.observation_names)}
        gain, battery, harvest = columns["gain_db_1"], columns["battery"], columns["harvest"]
        low, high = (float((self.centre[0] + sign * self.half[0])[gain]) for sign in (-1.0, 1.0))
        capacity = 2.0 * self.centre[:, battery]
        share = float(self.centre[0, harvest] / capacity[0])
        capacities = float(capacity.min()), float(capacity.max())
        return {"gain_db": (low, high), "battery_capacity": capacities, "harvest_fraction": (share,) * 2}

    def policy(self, game: Game) -> Policy:
        """Make the policy for a game; with more devices than in training, the actors repeat.

        Raises:
            ConfigError: the game's observations or actions have another size.
        """
        sizes = (self.layers[0].shape[1], self.layers[-1].shape[-1])
        if sizes != (game.observation_size, game.action_size):
            raise ConfigError(
                f"controller = {self.label!r}: maps {sizes[0]} numbers to {sizes[1]}, "
                f"the game needs {game.observation_size} and {game.action_size}"
            )
        turn = torch.arange(game.devices)
        layers = [layer[turn % len(layer)] for layer in self.layers]
        centre, half = (part[turn % self.devices].unsqueeze(0) for part in (self.centre, self.half))

        def act(observation: Tensor, uniform: Tensor) -> Tensor:
            rows = ((observation[0] - centre) / half).transpose(0, 1)
            for i in range(0, len(layers) - 2, 2):
                rows = linear(rows, layers[i], layers[i + 1]).relu_()
            return torch.tanh(linear(rows, layers[-2], layers[-1])).transpose(0, 1).unsqueeze(0)

        return act


def read_policy(path: Path, label: str, algorithm: str, cost_limit_fraction: float | None = None) -> StoredPolicy:
    """Read a policy from a file; arguments as for `StoredPolicy`.

    Raises:
        ConfigError: the file does not exist or has no policy.
    """
    try:
        tensors = load(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"policy {label!r}: no file {path}") from None
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"policy {label!r}: {path} cannot be read ({str(error).splitlines()[0]})") from None
    return StoredPolicy.from_tensors(label, algorithm, tensors, cost_limit_fraction)
