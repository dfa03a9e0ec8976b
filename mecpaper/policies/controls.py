"""Controls: policies without learning, for any game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from mecpaper.config import GameConfig
from mecpaper.env.game import Game
from mecpaper.env.measures import Policy, evaluate
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

    Source: §5.1.6 (Random), where frame rate and resolution are not mentioned; see `random_offloading`.
    """
    return lambda observation, uniform: 2.0 * uniform - 1.0


def random_offloading(game: Game) -> Policy:
    """Draw only what §5.1.6 names: offloading, power and clock rate; the video stays in the middle of its ranges.

    Source: §5.1.6 (Random).  Deviation: D16 (no bandwidth is allocated).
    """
    random = uniform_random(game)
    drawn = torch.tensor([name not in ("frame_rate", "resolution") for name in VARIABLES]).repeat(game.chunks)
    return lambda observation, uniform: random(observation, uniform) * drawn.to(uniform)


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
    "random_offloading": Control("Random as in Section 5.1.6", random_offloading),
    "all_request": Control("All request, random power", all_request),
    "always_local": Control("All local, middle of every range", always_local()),
}
"""Controls that need no search, by key. `always_local` is where learners start: all outputs 0 before the tanh."""


def measure_controls(config: GameConfig, seed: int, episodes: int) -> pd.DataFrame:
    """Measure all controls in a game: a row per control, with its key as policy, its label and all measures."""
    game, rows = Game([config], episodes), []
    for key, control in CONTROLS.items():
        measured = evaluate(control.policy(game), game, [seed])
        rows.append(
            {"policy": key, "label": control.label} | {name: float(value[0]) for name, value in measured.items()}
        )
    return pd.DataFrame(rows)
