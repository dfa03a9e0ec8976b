"""MATD3: MADDPG with twin critics, target policy smoothing and delayed actor updates (§5.1.5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mecpaper.algorithms.learner import Diagnostics, saturated_share
from mecpaper.algorithms.off_policy import OffPolicy, td_target
from mecpaper.algorithms.replay import Batch
from mecpaper.env.streams import Stream


def smoothed(action: Tensor, noise: Tensor, std: float, maximum: float) -> Tensor:
    r"""Smooth the target policy: $a' + \mathrm{clip}(\sigma \epsilon, -c, c)$, cut to [-1, 1].

    Args:
        action: target actors' actions, `[run, batch, agent, 5 K]`.
        noise: standard normal draws of the same shape.
        std, maximum: sigma and c.
    Source: §5.1.5; Fujimoto et al. 2018, Algorithm 1.  Deviation: none.
    """
    return (action + (std * noise).clamp(-maximum, maximum)).clamp(-1.0, 1.0)


class MATD3(OffPolicy):
    """Multi-agent TD3 with uniform replay. Arguments as for `Learner`; its own section is `matd3`."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more, copies=2)
        self.cycle = self.config.policy_delay

    def smoothing(self, updates: int) -> Tensor:
        """Draw the noise of the target smoothing, `[run, update, batch, agent, 5 K]`, standard normal."""
        shape = self.learning.batch, self.game.devices, self.game.action_size
        return self.draw_times(updates, Stream.SMOOTHING, *shape, normal=True)

    def update(self, batch: Batch) -> Diagnostics:
        """Make one update of both critics, and every `policy_delay`-th time of actors and targets."""
        noise = batch.smoothing
        if noise is None:
            noise = self.draw(Stream.SMOOTHING, *batch.action.shape[1:], normal=True)
        diagnostics = self.learn_critics(batch, noise)
        if self.updates % self.config.policy_delay == 0:
            diagnostics = diagnostics | self.learn_actors(batch.observation)
        return diagnostics

    def learn_critics(self, batch: Batch, noise: Tensor) -> Diagnostics:
        """Update both critics towards the smaller of their targets.

        Args:
            batch: joint transitions.
            noise: standard normal draws, `[run, batch, agent, 5 K]`, for the target smoothing.
        Returns:
            diagnostics, each `[run]`.
        """
        config = self.config
        with torch.no_grad():
            actors, critic = self.targets
            next_action = self.actors(batch.next_observation, actors.weights)
            next_action = smoothed(next_action, noise, config.target_noise, config.target_noise_max)
            next_value = self.critic(batch.next_observation, next_action, critic.weights).amin(dim=-1)
            reward, _ = self.instant(batch)
            target = td_target(reward, self.learning.reward_discount, next_value)
        error = self.critic(batch.observation, batch.action) - target.unsqueeze(-1)
        loss = error.square().mean(dim=(1, 2))
        critic_norm = self.critic_step(loss.sum(dim=-1))
        return {"critic_loss": loss.mean(dim=-1).detach(), "critic_gradient": critic_norm}

    def learn_actors(self, observation: Tensor) -> Diagnostics:
        """Update actors and targets, by the first critic.

        Args:
            observation: `[run, batch, agent, feature]`.
        Returns:
            diagnostics, each `[run]`.
        """
        gradients, action = self.policy_gradients(observation, lambda values: [values[..., 0]])
        norm = self.actor_step(gradients)
        self.follow_targets()
        return {"actor_gradient": norm, "saturated": saturated_share(action)}
