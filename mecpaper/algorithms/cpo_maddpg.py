"""CPO-MADDPG: the paper's Algorithm 1 (Section 4.2, Eq 37-56)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mecpaper.algorithms.common import Optimiser, clip_stacks, gradient, named, stack_norm
from mecpaper.config import CPOMADDPGConfig, LearningConfig
from mecpaper.game import Game
from mecpaper.networks import Actors, Critic, copies, follow
from mecpaper.replay import Batch, annealed, normalised_error, priority


def td_target(instant: Tensor, discount: float, next_value: Tensor) -> Tensor:
    r"""Target of a value head, Eq. (49) and (50): $y = r + \gamma Q^{target}(s', a')$.

    Args:
        instant: r or c, any shape.
        discount: gamma_r or gamma_c.
        next_value: the same shape, the target critic at the target actors' next action. The last slot of an
            episode is a time limit, so it is bootstrapped through (D26).
    Source: §4.2.5, Eq. 49-50.  Deviation: D26.
    """
    return instant + discount * next_value


def critic_loss(reward_error: Tensor, cost_error: Tensor, weight: Tensor) -> Tensor:
    r"""Loss of the two-headed critic, Eq. (51) with the importance weights of Eq. (56).

    $$L = E_i\left[\tilde w_i \left((Q_r - y_r)^2 + (Q_c - y_c)^2\right)\right]$$

    Args:
        reward_error, cost_error: `[run, batch, agent]`, Q - y of each head.
        weight: `[run, batch]`; ones give Eq. 51.
    Returns:
        `[run]`.
    Source: §4.2.5, Eq. 51; §4.2.6, Eq. 56.  Deviation: none.
    """
    return (weight.unsqueeze(-1) * (reward_error.square() + cost_error.square())).mean(dim=(1, 2))


def dual_channel(
    reward_gradient: Sequence[Tensor],
    cost_gradient: Sequence[Tensor],
    multiplier: Tensor,
    epsilon: float,
    rule: str,
) -> list[Tensor]:
    r"""Descent direction of the actors, Eq. (45) with the normalisation of Eq. (48).

    $$-g_r + \lambda \tilde g_c, \qquad \tilde g_c = g_c \frac{\|g_r\|_2}{\|g_c\|_2 + \epsilon}$$

    The norms are taken over all weights of one actor, for each agent and run.

    Args:
        reward_gradient, cost_gradient: g_r and g_c, one `[stack, ., .]` per weight tensor.
        multiplier: lambda, `[stack, 1, 1]`.
        epsilon: of Eq. 48.
        rule: "paper" is Eq. 48; "lagrangian" leaves g_c as it is; "bounded" normalises only where
            the norm of g_c exceeds that of g_r (D25).
    Returns:
        one `[stack, ., .]` per weight tensor.
    Source: §4.2.4, Eq. 45, 48.  Deviation: D24, D25.
    """
    ratio = stack_norm(reward_gradient) / (stack_norm(cost_gradient) + epsilon)
    if rule == "lagrangian":
        ratio = torch.ones_like(ratio)
    elif rule == "bounded":
        ratio = ratio.clamp(max=1.0)
    factor = multiplier * ratio
    return [factor * g_c - g_r for g_r, g_c in zip(reward_gradient, cost_gradient, strict=True)]


def next_multiplier(multiplier: Tensor, rate: float, excess: Tensor, greatest: float) -> Tensor:
    r"""Lagrange multiplier after an update, Eq. (41), Algorithm 1 line 16, clipped as §5.1 says.

    $$\lambda \leftarrow \min\bigl(\lambda_{max},\, \max(0,\, \lambda + \eta (J_c(\pi) - C_{limit}))\bigr)$$

    Args:
        multiplier: `[run]`, lambda.
        rate: eta, per J.
        excess: `[run]`, J_c - C_limit, J per device and slot (D22), summed over the slots played since the
            last update, as Algorithm 1 makes one such step per slot (D23).
        greatest: lambda_max.
    Returns:
        `[run]`, in [0, lambda_max].
    Source: §4.2.3, Eq. 41; §5.1.  Deviation: D22, D23.
    """
    return (multiplier + rate * excess).clamp(min=0.0, max=greatest)


class CPOMADDPG:
    """Constrained policy optimisation MADDPG, Algorithm 1.

    Args:
        game: the game to be played; gives sizes, ranges and C_limit.
        learning, config: sections `learning` and `cpo_maddpg` of params.yaml.
        generators: one CPU generator per run, for the initial weights.
    """

    learns = True
    prioritised = True

    def __init__(
        self, game: Game, learning: LearningConfig, config: CPOMADDPGConfig, generators: Sequence[torch.Generator]
    ) -> None:
        self.learning, self.config = learning, config
        self.actors = Actors(game, learning.hidden, generators)
        self.critic = Critic(game, learning.hidden, 2, config.head_hidden, generators)
        self.target_actors, self.target_critic = copies(self.actors.weights), copies(self.critic.weights)
        self.actor_optimiser = Optimiser(self.actors.weights, learning.actor_learning_rate)
        self.critic_optimiser = Optimiser(self.critic.weights, learning.critic_learning_rate)
        self._multiplier = torch.zeros(game.runs, device=game.device, dtype=game.dtype)
        if config.multiplier_fixed is not None:
            self._multiplier += config.multiplier_fixed

    @torch.no_grad()
    def act(self, observation: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Noise-free actions `[run, batch, agent, 5 K]`; `uniform` is not used."""
        return self.actors(observation)[0]

    def learn(self, batch: Batch, progress: float, recent_excess: Tensor) -> dict[str, Tensor]:
        """Lines 9-18 of Algorithm 1 for every run and agent.

        Args:
            batch: joint transitions drawn by priority.
            progress: share of the training done, in [0, 1].
            recent_excess: `[run]`, sum of J_c - C_limit over the slots played since the last update.
        Returns:
            diagnostics, each `[run]`; the new priorities under "priority", `[run, batch]`.
        """
        settings, config = self.learning, self.config
        # Lines 9-13: TD errors of both heads, critic step (Eq. 49-51, 56), priorities (Eq. 52-53).
        with torch.no_grad():
            next_action, _ = self.actors(batch.next_observation, self.target_actors)
            next_values = self.critic(batch.next_observation, next_action, self.target_critic)
            scale = settings.reward_scale
            reward_target = td_target(scale * batch.reward, settings.reward_discount, next_values[..., 0])
            cost_target = td_target(scale * batch.cost, config.cost_discount, next_values[..., 1])
        values = self.critic(batch.observation, batch.action)
        reward_error, cost_error = values[..., 0] - reward_target, values[..., 1] - cost_target
        loss = critic_loss(reward_error, cost_error, batch.weight)
        critic_gradient = gradient(loss.sum(), self.critic.weights)
        clip_stacks(critic_gradient, settings.gradient_norm)
        self.critic_optimiser.step(critic_gradient)
        delta = config.normalisation_delta
        priorities = priority(
            normalised_error(reward_error.detach(), delta),
            normalised_error(cost_error.detach(), delta),
            config.priority_epsilon,
            config.priority_exponent,
        )

        # Lines 14-15: both channels of the policy gradient, Eq. 45-48.
        action, raw = self.actors(batch.observation)
        values = self.critic(batch.observation, action)
        saturation = settings.saturation_penalty * raw.square().mean(dim=-1)
        reward_return = (values[..., 0] - saturation).mean(dim=1).sum()
        cost_return = values[..., 1].mean(dim=1).sum()
        g_r = gradient(reward_return, self.actors.weights, keep=True)
        g_c = gradient(cost_return, self.actors.weights)
        per_actor = self._multiplier.repeat_interleave(self.actors.agents).view(-1, 1, 1)
        descent = dual_channel(g_r, g_c, per_actor, config.gradient_epsilon, config.gradient)
        norm = clip_stacks(descent, settings.gradient_norm)
        self.actor_optimiser.step(descent)

        # Lines 16-18: multiplier, Eq. 41, and targets.
        if config.multiplier_fixed is None:
            self._multiplier.copy_(
                next_multiplier(self._multiplier, config.multiplier_rate, recent_excess, config.multiplier_max)
            )
        follow(self.target_critic, self.critic.weights, settings.polyak)
        follow(self.target_actors, self.actors.weights, settings.polyak)
        return {
            "critic_loss": loss.detach(),
            "actor_gradient": norm.view(len(loss), -1).mean(dim=1),
            "saturated": (action.detach().abs() > 0.99).to(loss.dtype).mean(dim=(1, 2, 3)),
            "priority": priorities,
        }

    def importance_exponent(self, progress: float) -> float:
        """beta_t of Eq. 55 at this point of the training."""
        first, last = self.config.importance_exponent
        return annealed((first, last), progress)

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds, by name."""
        return {
            **named("actor", self.actors.weights),
            **named("critic", self.critic.weights),
            **named("target_actor", self.target_actors),
            **named("target_critic", self.target_critic),
            **named("actor_optimiser", self.actor_optimiser.tensors()),
            **named("critic_optimiser", self.critic_optimiser.tensors()),
            "multiplier": self._multiplier,
        }

    def multiplier(self) -> Tensor | None:
        """lambda, `[run]`."""
        return self._multiplier
