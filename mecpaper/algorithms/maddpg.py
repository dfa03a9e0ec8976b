"""MADDPG: per-agent actors, a centralised critic of the reward, no constraint (§5.1.2, Eq 42-43)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mecpaper.algorithms.common import Optimiser, clip_stacks, gradient, named
from mecpaper.config import LearningConfig, MADDPGConfig
from mecpaper.game import Game
from mecpaper.networks import Actors, Critic, copies, follow
from mecpaper.replay import Batch


class MADDPG:
    """Multi-agent DDPG with uniform replay.

    Args:
        game: the game to be played; gives sizes and ranges.
        learning, config: sections `learning` and `maddpg` of params.yaml.
        generators: one CPU generator per run, for the initial weights.
    """

    learns = True
    prioritised = False

    def __init__(
        self, game: Game, learning: LearningConfig, config: MADDPGConfig, generators: Sequence[torch.Generator]
    ) -> None:
        self.learning = learning
        self.actors = Actors(game, learning.hidden, generators)
        self.critic = Critic(game, learning.hidden, heads=1, head_hidden=0, generators=generators)
        self.target_actors, self.target_critic = copies(self.actors.weights), copies(self.critic.weights)
        self.actor_optimiser = Optimiser(self.actors.weights, learning.actor_learning_rate)
        self.critic_optimiser = Optimiser(self.critic.weights, learning.critic_learning_rate)

    @torch.no_grad()
    def act(self, observation: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Noise-free actions `[run, batch, agent, 5 K]`; `uniform` is not used."""
        return self.actors(observation)[0]

    def learn(self, batch: Batch, progress: float, recent_excess: Tensor) -> dict[str, Tensor]:
        """One update of critic, actors and targets.

        Args:
            batch: joint transitions.
            progress: share of the training done, in [0, 1]; not used.
            recent_excess: `[run]`, not used: nothing here knows the constraint.
        Returns:
            diagnostics, each `[run]`.
        """
        settings = self.learning
        with torch.no_grad():
            next_action, _ = self.actors(batch.next_observation, self.target_actors)
            next_value = self.critic(batch.next_observation, next_action, self.target_critic)[..., 0]
            target = settings.reward_scale * batch.reward + settings.reward_discount * next_value
        error = self.critic(batch.observation, batch.action)[..., 0] - target
        loss = error.square().mean(dim=(1, 2))
        critic_gradient = gradient(loss.sum(), self.critic.weights)
        clip_stacks(critic_gradient, settings.gradient_norm)
        self.critic_optimiser.step(critic_gradient)

        action, raw = self.actors(batch.observation)
        value = self.critic(batch.observation, action)[..., 0]
        saturation = settings.saturation_penalty * raw.square().mean(dim=-1)
        ascent = (value - saturation).mean(dim=1).sum()
        descent = [-g for g in gradient(ascent, self.actors.weights)]
        norm = clip_stacks(descent, settings.gradient_norm)
        self.actor_optimiser.step(descent)

        follow(self.target_critic, self.critic.weights, settings.polyak)
        follow(self.target_actors, self.actors.weights, settings.polyak)
        return {
            "critic_loss": loss.detach(),
            "actor_gradient": norm.view(len(loss), -1).mean(dim=1),
            "saturated": (action.detach().abs() > 0.99).to(loss.dtype).mean(dim=(1, 2, 3)),
        }

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint holds, by name."""
        return {
            **named("actor", self.actors.weights),
            **named("critic", self.critic.weights),
            **named("target_actor", self.target_actors),
            **named("target_critic", self.target_critic),
            **named("actor_optimiser", self.actor_optimiser.tensors()),
            **named("critic_optimiser", self.critic_optimiser.tensors()),
        }

    def multiplier(self) -> Tensor | None:
        """No multiplier."""
        return None
