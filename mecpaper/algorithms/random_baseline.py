"""Random: every decision variable uniform in its range, offloading with probability one half (§5.1.6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mecpaper.config import LearningConfig, RandomConfig
from mecpaper.env.game import Game


class Random:
    """The non-learning lower bound of §5.1.6; it allocates no bandwidth, as Eq. 34 has none (D16)."""

    learns = False
    on_policy = False

    def __init__(
        self, game: Game, learning: LearningConfig, config: RandomConfig, generators: Sequence[torch.Generator]
    ) -> None:
        self.runs = game.runs

    def act(self, observation: Tensor, uniform: Tensor) -> Tensor:
        """Actions `[run, batch, agent, 5 K]` in [-1, 1) from draws `uniform` of [0, 1) of that shape."""
        return 2.0 * uniform - 1.0

    def tensors(self) -> dict[str, Tensor]:
        """Nothing to keep."""
        return {}

    def multiplier(self) -> Tensor | None:
        """No multiplier."""
        return None
