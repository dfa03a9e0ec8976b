"""MATD3: MADDPG with twin critics, target policy smoothing and delayed actor updates (§5.1.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mecpaper.algorithms.common import OffPolicy, saturated_share, td_target
from mecpaper.algorithms.replay import Batch
from mecpaper.config import LearningConfig, MATD3Config
from mecpaper.env.game import Game


def smoothed(action: Tensor, noise: Tensor, deviation: float, greatest: float) -> Tensor:
    r"""Target policy smoothing: $a' + \mathrm{clip}(\sigma \epsilon, -c, c)$, cut to [-1, 1].

    Args:
        action: target actors' actions, `[run, batch, agent, 5 K]`.
        noise: standard normal draws of the same shape.
        deviation, greatest: sigma and c.
    Source: §5.1.5; Fujimoto et al. 2018, Algorithm 1.  Deviation: none.
    """
    return (action + (deviation * noise).clamp(-greatest, greatest)).clamp(-1.0, 1.0)


class MATD3(OffPolicy):
    """Multi-agent TD3 with uniform replay. Arguments as for `OffPolicy`; its own section is `matd3`."""

    smooths_target = True

    def __init__(
        self, game: Game, learning: LearningConfig, config: MATD3Config, generators: Sequence[torch.Generator]
    ) -> None:
        super().__init__(game, learning, config, generators, copies=2)
        self.period = config.policy_delay

    def learn(self, batch: Batch, excess: Tensor, noise: Tensor, turn: int) -> dict[str, Tensor]:
        """One update of both critics, and every `policy_delay`-th time of actors and targets.

        Args:
            batch: joint transitions.
            excess: not used: nothing here knows the constraint.
            noise: standard normal draws, `[run, batch, agent, 5 K]`, for the target smoothing.
            turn: number of this update modulo `policy_delay`; actors move at 0.
        Returns:
            diagnostics, each `[run]`.
        """
        config = self.config
        with torch.no_grad():
            next_action = self.actors(batch.next_observation, self.target_actors)
            next_action = smoothed(next_action, noise, config.target_noise, config.target_noise_max)
            next_value = self.critic(batch.next_observation, next_action, self.target_critic).amin(dim=-1)
            reward, _ = self.instant(batch)
            target = td_target(reward, self.learning.reward_discount, next_value)
        error = self.critic(batch.observation, batch.action) - target.unsqueeze(-1)
        loss = error.square().mean(dim=(1, 2))
        critic_norm = self.critic_step(loss.sum(dim=-1))
        diagnostics = {"critic_loss": loss.mean(dim=-1).detach(), "critic_gradient": critic_norm}

        if turn == 0:
            (g_r,), action = self.policy_gradients(batch.observation, lambda values: [values[..., 0]])
            diagnostics["actor_gradient"] = self.actor_step([-g for g in g_r])
            diagnostics["saturated"] = saturated_share(action)
            self.follow_targets()
        return diagnostics
