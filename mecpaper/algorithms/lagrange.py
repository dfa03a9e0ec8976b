"""The Lagrange multiplier of Eq. 41."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mecpaper.config.learners import MultiplierConfig
from mecpaper.env.game import Game


def next_multiplier(multiplier: Tensor, rate: float, excess: Tensor, maximum: float) -> Tensor:
    r"""Move a Lagrange multiplier, Eq. (41), Algorithm 1 line 16, clipped as §5.1 says.

    $$\lambda \leftarrow \min\bigl(\lambda_{max},\, \max(0,\, \lambda + \eta (J_c(\pi) - C_{limit}))\bigr)$$

    Args:
        multiplier: lambda, any shape.
        rate: eta, per J.
        excess: the same shape, J_c - C_limit, J per device and slot (D22), summed over the slots played since the
            last update, in each slot the mean of the parallel episodes (D38).
        maximum: lambda_max.
    Returns:
        the same shape, in [0, lambda_max].
    Source: §4.2.3, Eq. 41; §5.1.  Deviation: D22, D23, D38.
    """
    return (multiplier + rate * excess).clamp(min=0.0, max=maximum)


class Multiplier:
    """Lagrange multipliers of all runs and agents, `value` of shape `[run, agent]`, moved by Eq. 41.

    Args:
        game: gives the shape.
        config: rate, maximum and readings (D21, D23).
        fixed: per run a number that holds its multipliers there (§5.5.1), or None.
    """

    def __init__(self, game: Game, config: MultiplierConfig, fixed: Sequence[float | None]) -> None:
        self.config = config
        start = torch.tensor([0.0 if value is None else value for value in fixed], device=game.device, dtype=game.dtype)
        self.value = start.unsqueeze(1).repeat(1, game.devices)
        self.moves = torch.tensor([value is None for value in fixed], device=game.device).unsqueeze(1)
        self.share = 1.0 if config.multiplier_step == "slot" else 1.0 / game.slots

    def per_stack(self, agents_per_stack: int) -> Tensor:
        """Return the multiplier of every actor, `[stack]`; the mean over the agents that share one."""
        return self.value.view(-1, agents_per_stack).mean(dim=1)

    def update(self, excess: Tensor) -> None:
        """Apply Eq. 41.

        Args:
            excess: `[run, agent]`, J_c - C_limit summed over the slots played since the last update.
        """
        config = self.config
        if config.multipliers == "team":
            excess = excess.mean(dim=1, keepdim=True)
        if config.multiplier_rule == "text":
            excess = excess.clamp(min=0.0)
        moved = next_multiplier(self.value, config.multiplier_rate, self.share * excess, config.multiplier_max)
        self.value.copy_(torch.where(self.moves, moved, self.value))

    def diagnostics(self) -> dict[str, Tensor]:
        """Return the share of multipliers at each bound, `[run]`."""
        bounds = {"multiplier_at_zero": self.value <= 0, "multiplier_at_max": self.value >= self.config.multiplier_max}
        return {name: held.to(self.value.dtype).mean(dim=1) for name, held in bounds.items()}
