"""Controls: policies without learning, for any game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mecpaper.env.game import Game
from mecpaper.env.measures import Policy
from mecpaper.system.tasks import VARIABLES


@dataclass(frozen=True)
class Control:
    """A named policy without learning.

    Args:
        label: name shown in lists and tables.
        policy: makes the policy for a game with any number of devices and chunks.
        planned: whether its actions were planned for the default setting.
    """

    label: str
    policy: Callable[[Game], Policy]
    planned: bool = False


def uniform_random(game: Game) -> Policy:
    """Draw every action uniformly from [-1, 1): variables uniform in their ranges, offloading with probability 0.5.

    Source: §5.1.6 (Random).
    """
    return lambda observation, uniform: 2.0 * uniform - 1.0


def all_request(game: Game) -> Policy:
    """Request offloading for every chunk and draw all other actions uniformly, including the transmit power.

    Source: §5.2.3 (attackers without learning).
    """
    random, first = uniform_random(game), VARIABLES.index("offload")

    def act(observation: Tensor, uniform: Tensor) -> Tensor:
        action = random(observation, uniform)
        action[..., first :: len(VARIABLES)] = 1.0
        return action

    return act


def always_local(
    frame_rate: float = 0.0, resolution: float = 0.0, cpu_frequency: float = 0.0
) -> Callable[[Game], Policy]:
    """Never offload, with the same settings in every slot.

    Args:
        frame_rate, resolution, cpu_frequency: actions in [-1, 1]; 0 is the middle of the range.
    Returns:
        A factory of the policy, as for `Control.policy`.
    """
    signals = {"offload": -1.0, "frame_rate": frame_rate, "resolution": resolution, "cpu_frequency": cpu_frequency}
    chunk = torch.tensor([signals.get(name, 0.0) for name in VARIABLES])
    return lambda game: lambda observation, uniform: chunk.repeat(game.chunks).to(uniform).expand_as(uniform)


CONTROLS = {
    "random": Control("Random, uniform actions", uniform_random),
    "all_request": Control("All request, random power", all_request),
    "always_local": Control("All local, middle of every range", always_local()),
}
"""Controls that need no search, by key."""
