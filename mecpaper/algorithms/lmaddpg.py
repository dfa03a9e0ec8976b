"""LMADDPG: MADDPG with a second critic for the cost and a Lagrange multiplier (§5.1.3, Eq 40-41, 45)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mecpaper.algorithms.lagrange import Multiplier
from mecpaper.algorithms.learner import Diagnostics, saturated_share
from mecpaper.algorithms.off_policy import OffPolicy, td_target
from mecpaper.algorithms.replay import Batch
from mecpaper.config import LearningConfig
from mecpaper.config.learners import LMADDPGConfig
from mecpaper.env.game import Game


class LMADDPG(OffPolicy):
    """Lagrangian MADDPG: uniform replay, two critics that share nothing, the plain gradient of the Lagrangian.

    The paper describes it in one sentence (D41). What CPO-MADDPG adds to it: shared backbone with two heads, the
    normalisation of Eq. 48, CA-PER, and a discount of its own for the cost. Arguments as for `Learner`; its own
    section is `lmaddpg`.
    """

    def __init__(
        self,
        game: Game,
        learning: LearningConfig,
        own: Sequence[LMADDPGConfig],
        seeds: Sequence[int],
        slots_per_update: int = 1,
    ) -> None:
        super().__init__(game, learning, own, seeds, slots_per_update, copies=2)
        self.lagrange = Multiplier(game, self.config, [None] * game.runs)

    def update(self, batch: Batch) -> Diagnostics:
        """Make one update on a mini-batch."""
        return self.learn(batch, self.excess) | self.lagrange.diagnostics()

    def learn(self, batch: Batch, excess: Tensor) -> Diagnostics:
        """Update critics, actors, multiplier and targets.

        Args:
            batch: joint transitions.
            excess: `[run, agent]`, sum of J_c - C_limit over the slots played since the last update.
        Returns:
            diagnostics, each `[run]`.
        """
        with torch.no_grad():
            instant = torch.stack(self.instant(batch), dim=-1)
            target = td_target(instant, self.learning.reward_discount, self.next_values(batch))
        error = self.critic(batch.observation, batch.action) - target
        loss = error.square().mean(dim=(1, 2))
        critic_norm = self.critic_step(loss.sum(dim=-1))

        weight = self.lagrange.value.unsqueeze(1)
        gradients, action = self.policy_gradients(
            batch.observation, lambda values: [values[..., 0] - weight * values[..., 1]]
        )
        actor_norm = self.actor_step(gradients)

        self.lagrange.update(excess)
        self.follow_targets()
        return {
            "critic_loss": loss[:, 0].detach(),
            "cost_critic_loss": loss[:, 1].detach(),
            "critic_gradient": critic_norm,
            "actor_gradient": actor_norm,
            "saturated": saturated_share(action),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the state by name."""
        return {**super().tensors(), "multiplier": self.lagrange.value}

    def multiplier(self) -> Tensor | None:
        """Return lambda of every agent, `[run, agent]`."""
        return self.lagrange.value
