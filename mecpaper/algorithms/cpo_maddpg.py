"""CPO-MADDPG: the paper's Algorithm 1 (Section 4.2, Eq 37-56)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mecpaper.algorithms.lagrange import Multiplier
from mecpaper.algorithms.learner import Diagnostics, saturated_share
from mecpaper.algorithms.off_policy import OffPolicy, td_target
from mecpaper.algorithms.replay import Batch, annealed, normalised_error, priority
from mecpaper.config import LearningConfig
from mecpaper.config.learners import CPOMADDPGConfig
from mecpaper.env.game import Game


def critic_loss(reward_error: Tensor, cost_error: Tensor, weight: Tensor) -> Tensor:
    r"""Compute the loss of the two-headed critic, Eq. (51) with the importance weights of Eq. (56).

    $$L = E_i\left[\tilde w_i \left((Q_r - y_r)^2 + (Q_c - y_c)^2\right)\right]$$

    Args:
        reward_error, cost_error: `[run, batch, agent]`, Q - y of each head.
        weight: `[run, batch]`; ones give Eq. 51.
    Returns:
        `[run]`.
    Source: §4.2.5, Eq. 51; §4.2.6, Eq. 56.  Deviation: none.
    """
    return (weight.unsqueeze(-1) * (reward_error.square() + cost_error.square())).mean(dim=(1, 2))


def dual_channel(reward_norm: Tensor, cost_norm: Tensor, multiplier: Tensor, epsilon: float, rule: str) -> Tensor:
    r"""Compute the descent direction of the actors, Eq. (45) with the normalisation of Eq. (48).

    $$-g_r + \lambda \tilde g_c, \qquad \tilde g_c = g_c \frac{\|g_r\|_2}{\|g_c\|_2 + \epsilon}$$

    The norms are taken over all weights of one actor, for each agent and run.

    Args:
        reward_norm, cost_norm: norms of g_r and g_c, `[stack]`.
        multiplier: lambda, `[stack]`.
        epsilon: of Eq. 48.
        rule: "paper" is Eq. 48; "lagrangian" leaves g_c as it is; "bounded" normalises only where
            the norm of g_c exceeds that of g_r (D25).
    Returns:
        the coefficients of g_r and g_c, `[stack, 2]`.
    Source: §4.2.4, Eq. 45, 48.  Deviation: D24, D25.
    """
    ratio = reward_norm / (cost_norm + epsilon)
    if rule == "lagrangian":
        ratio = torch.ones_like(ratio)
    elif rule == "bounded":
        ratio = ratio.clamp(max=1.0)
    return torch.stack([-torch.ones_like(ratio), multiplier * ratio], dim=1)


CRITICS: dict[str, dict[str, Any]] = {
    "two_headed": {"heads": 2},
    "linear_heads": {"heads": 2, "head_relu": False},
    "multi_output": {"heads": 2, "head_hidden": 0},
    "separate": {"copies": 2},
}
"""The critics of §5.5.2 and Fig. 16, with the linear reading of the two heads (D28), as arguments of `Critic`."""


class CPOMADDPG(OffPolicy):
    """Constrained policy optimisation MADDPG, Algorithm 1.

    Arguments as for `Learner`; its own section is `cpo_maddpg`, of which a run may have its own `multiplier_fixed`.
    """

    def __init__(
        self,
        game: Game,
        learning: LearningConfig,
        own: Sequence[CPOMADDPGConfig],
        seeds: Sequence[int],
        slots_per_update: int = 1,
    ) -> None:
        critic = {"head_hidden": own[0].head_hidden} | CRITICS[own[0].critic_heads]
        prioritised = own[0].replay != "uniform"
        super().__init__(game, learning, own, seeds, slots_per_update, prioritised, **critic)
        self.lagrange = Multiplier(game, self.config, [config.multiplier_fixed for config in own])
        self.gate = torch.zeros_like(self.excess)

    def update(self, batch: Batch) -> Diagnostics:
        """Make one update on a mini-batch, and give its transitions new priorities."""
        diagnostics, priorities = self.learn(batch, self.excess)
        if self.replay.prioritised:
            self.replay.set_priorities(batch.places, priorities)
        return diagnostics | self.lagrange.diagnostics()

    def learn(self, batch: Batch, excess: Tensor) -> tuple[Diagnostics, Tensor]:
        """Follow lines 9-18 of Algorithm 1 for every run and agent.

        Args:
            batch: joint transitions drawn by priority.
            excess: `[run, agent]`, sum of J_c - C_limit over the slots played since the last update.
        Returns:
            diagnostics, each `[run]`, and the transitions' new priorities, `[run, batch]`.
        """
        settings, config = self.learning, self.config
        # Lines 9, 10, 13: TD errors of both heads and the critic's step (Eq. 49-51, 56).
        with torch.no_grad():
            reward, cost = self.instant(batch)
            next_values = self.next_values(batch)
            reward_target = td_target(reward, settings.reward_discount, next_values[..., 0])
            cost_target = td_target(cost, config.cost_discount, next_values[..., 1])
        values = self.critic(batch.observation, batch.action)
        reward_error, cost_error = values[..., 0] - reward_target, values[..., 1] - cost_target
        loss = critic_loss(reward_error, cost_error, batch.weight)
        critic_norm = self.critic_step(loss)
        reward_error, cost_error = reward_error.detach(), cost_error.detach()

        # Lines 14-15: both channels of the policy gradient (Eq. 45-48).
        gradients, action = self.policy_gradients(batch.observation, lambda values: values.unbind(dim=-1))
        multiplier = self.lagrange.per_stack(self.actors.agents_per_stack)
        if config.gated:
            # Where no episode of the round was judged, the excess is 0 and the last judgement holds.
            self.gate.copy_(torch.where(excess == 0, self.gate, (excess > 0).to(excess.dtype)))
            multiplier = multiplier * self.gate.view(-1, self.actors.agents_per_stack).amax(dim=1)
        reward_norm, cost_norm = gradients.norms.unbind(dim=1)
        descent = dual_channel(reward_norm, cost_norm, multiplier, config.gradient_epsilon, config.gradient)
        actor_norm = self.actor_step(gradients, descent)

        # Lines 16-18: multiplier (Eq. 41) and targets.
        self.lagrange.update(excess)
        self.follow_targets()
        diagnostics = {
            "critic_loss": loss.detach(),
            "cost_critic_loss": cost_error.square().mean(dim=(1, 2)),
            "critic_gradient": critic_norm,
            "actor_gradient": actor_norm,
            "saturated": saturated_share(action),
        }
        return diagnostics, self.priorities(reward_error, cost_error)

    def priorities(self, reward_error: Tensor, cost_error: Tensor) -> Tensor:
        """Compute priorities (line 11, Eq. 52-53, D27): `[run, batch, agent]` of each head -> `[run, batch]`."""
        config = self.config
        if config.replay == "reward_per":
            cost_error = torch.zeros_like(cost_error)
        if config.priority_errors == "normalised":
            reward_error, cost_error = (
                normalised_error(error, config.normalisation_delta) for error in (reward_error, cost_error)
            )
        return priority(reward_error, cost_error, config.priority_epsilon, config.priority_exponent)

    def importance_exponent(self, done: float) -> float:
        """Return beta_t of Eq. 55 when a share `done` of the training is done."""
        return annealed(tuple(self.config.importance_exponent), done)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the state by name."""
        return {**super().tensors(), "multiplier": self.lagrange.value, "gate": self.gate}

    def multiplier(self) -> Tensor | None:
        """Return lambda of every agent, `[run, agent]`."""
        return self.lagrange.value
