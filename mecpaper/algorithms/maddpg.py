"""MADDPG: per-agent actors, a centralised critic of the reward, no constraint (§5.1.2, Eq 42-43)."""

from __future__ import annotations

import torch

from mecpaper.algorithms.learner import Diagnostics, saturated_share
from mecpaper.algorithms.off_policy import OffPolicy, td_target
from mecpaper.algorithms.replay import Batch


class MADDPG(OffPolicy):
    """Multi-agent DDPG with uniform replay. Arguments as for `Learner`; its own section is `maddpg`."""

    def update(self, batch: Batch) -> Diagnostics:
        """Make one update on a mini-batch."""
        return self.learn(batch)

    def learn(self, batch: Batch) -> Diagnostics:
        """Update critic, actors and targets.

        Args:
            batch: joint transitions.
        Returns:
            diagnostics, each `[run]`.
        """
        with torch.no_grad():
            reward = self.instant(batch)[0]
            target = td_target(reward, self.learning.reward_discount, self.next_values(batch)[..., 0])
        error = self.critic(batch.observation, batch.action)[..., 0] - target
        loss = error.square().mean(dim=(1, 2))
        critic_norm = self.critic_step(loss)

        gradients, action = self.policy_gradients(batch.observation, lambda values: [values[..., 0]])
        actor_norm = self.actor_step(gradients)

        self.follow_targets()
        return {
            "critic_loss": loss.detach(),
            "critic_gradient": critic_norm,
            "actor_gradient": actor_norm,
            "saturated": saturated_share(action),
        }
