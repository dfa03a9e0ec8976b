"""What the learners share: their parts, gradients of stacked networks, optimisers, the multiplier of Eq 41."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mecpaper.algorithms.networks import Actors, Critic, copies, follow
from mecpaper.algorithms.replay import Batch
from mecpaper.config import LearningConfig, MultiplierConfig
from mecpaper.env.game import Game

SATURATED = 0.99
"""An output of the tanh beyond this size counts as saturated in the diagnostics."""


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


def next_multiplier(multiplier: Tensor, rate: float, excess: Tensor, greatest: float) -> Tensor:
    r"""Lagrange multiplier after an update, Eq. (41), Algorithm 1 line 16, clipped as §5.1 says.

    $$\lambda \leftarrow \min\bigl(\lambda_{max},\, \max(0,\, \lambda + \eta (J_c(\pi) - C_{limit}))\bigr)$$

    Args:
        multiplier: lambda, any shape.
        rate: eta, per J.
        excess: the same shape, J_c - C_limit, J per device and slot (D22), summed over the slots played since the
            last update, as Algorithm 1 makes one such step per slot (D38).
        greatest: lambda_max.
    Returns:
        the same shape, in [0, lambda_max].
    Source: §4.2.3, Eq. 41; §5.1.  Deviation: D22, D23, D38.
    """
    return (multiplier + rate * excess).clamp(min=0.0, max=greatest)


def stack_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Euclidean norm over all weights of each stack: list of `[stack, ., .]` -> `[stack, 1, 1]`."""
    squares = torch.stack([torch.linalg.vector_norm(g, dim=(1, 2)) for g in gradients])
    return torch.linalg.vector_norm(squares, dim=0).view(-1, 1, 1)


def clip_stacks(gradients: Sequence[Tensor], greatest: float) -> Tensor:
    """Scale each stack's gradient in place to a norm of at most `greatest` (§4.2.4); returns the norms before."""
    norm = stack_norm(gradients)
    factor = (greatest / (norm + 1e-12)).clamp(max=1.0)
    torch._foreach_mul_(list(gradients), [factor] * len(gradients))
    return norm


class Optimiser:
    """Adam on stacked weights, descending gradients it is handed."""

    def __init__(self, weights: Sequence[Tensor], learning_rate: float) -> None:
        self.weights = list(weights)
        on_gpu = self.weights[0].is_cuda
        self.adam = torch.optim.Adam(self.weights, lr=learning_rate, fused=True, capturable=on_gpu)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of descent."""
        for weight, grad in zip(self.weights, gradients, strict=True):
            weight.grad = grad
        self.adam.step()

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, created if no step was made yet; to be written to in place."""
        named: dict[str, Tensor] = {}
        for i, weight in enumerate(self.weights):
            state = self.adam.state[weight]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
            named |= {f"{i}.{key}": value for key, value in state.items()}
        return named


def named(prefix: str, tensors: Sequence[Tensor] | dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under a common prefix, for `tensors()` of an algorithm."""
    items = tensors.items() if isinstance(tensors, dict) else enumerate(tensors)
    return {f"{prefix}.{key}": value for key, value in items}


class Multiplier:
    """Lagrange multipliers of all runs and agents, `value` of shape `[run, agent]`, moved by Eq. 41.

    Args:
        game: gives the shape.
        config: rate, greatest value and readings (D21, D23).
        fixed: per run a number that holds its multipliers there (§5.5.1), or None.
    """

    def __init__(self, game: Game, config: MultiplierConfig, fixed: Sequence[float | None]) -> None:
        self.config = config
        start = torch.tensor([0.0 if value is None else value for value in fixed], device=game.device, dtype=game.dtype)
        self.value = start.unsqueeze(1).repeat(1, game.devices)
        self.moves = torch.tensor([value is None for value in fixed], device=game.device).unsqueeze(1)
        self.share = 1.0 if config.multiplier_step == "slot" else 1.0 / game.slots

    def per_stack(self, agents_per_stack: int) -> Tensor:
        """The multiplier of every actor, `[stack, 1, 1]`; the mean over the agents that share one."""
        return self.value.view(-1, agents_per_stack).mean(dim=1).view(-1, 1, 1)

    def update(self, excess: Tensor) -> None:
        """Eq. 41.

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


class OffPolicy:
    """Parts of the algorithms that replay: actors, a critic, the target of each, two optimisers.

    Args:
        game: the game to be played; gives sizes and ranges.
        learning, config: section `learning` of params.yaml and the algorithm's own.
        generators: one CPU generator per run, for the initial weights.
        critic: further arguments of `Critic`.
    """

    learns = True
    on_policy = False
    prioritised = False
    smooths_target = False
    period = 1
    """After how many updates the work of an update repeats."""

    def __init__(
        self, game: Game, learning: LearningConfig, config: Any, generators: Sequence[torch.Generator], **critic: Any
    ) -> None:
        self.learning, self.config = learning, config
        self.actors = Actors(game, learning, generators)
        self.critic = Critic(game, learning.hidden, generators, learning.critic, **critic)
        self.target_actors, self.target_critic = copies(self.actors.weights), copies(self.critic.weights)
        self.actor_optimiser = Optimiser(self.actors.weights, learning.actor_learning_rate)
        self.critic_optimiser = Optimiser(self.critic.weights, learning.critic_learning_rate)
        first = learning.saturation_penalty
        self.saturation = torch.full((), first, device=game.device, dtype=torch.float64)

    def anneal(self, done: float) -> None:
        """Set the saturation penalty (D34) for a share `done` of the training: it is held at its first value for one
        half, then falls linearly to its last, reached at five sixths."""
        first, last = self.learning.saturation_penalty, self.learning.saturation_last
        self.saturation.fill_(first + (last - first) * min(max(3.0 * done - 1.5, 0.0), 1.0))

    @torch.no_grad()
    def act(self, observation: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Noise-free actions `[run, batch, agent, 5 K]`; `uniform` is not used."""
        return self.actors(observation)

    def instant(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Reward and cost `[run, batch, agent]` as the critic learns them: scaled, and the reward as D20 reads it."""
        reward = batch.reward
        if self.learning.reward == "team":
            reward = reward.mean(dim=2, keepdim=True).expand_as(reward)
        return self.learning.reward_scale * reward, self.learning.reward_scale * batch.cost

    def next_values(self, batch: Batch) -> Tensor:
        """Target critic at the target actors' next action, `[run, batch, agent, value]`."""
        next_action = self.actors(batch.next_observation, self.target_actors)
        return self.critic(batch.next_observation, next_action, self.target_critic)

    def critic_step(self, loss: Tensor) -> Tensor:
        """One step of the critics on losses `[run]`; returns the norm of the gradient, `[run]`."""
        gradients = list(torch.autograd.grad(loss.sum(), self.critic.weights))
        norm = clip_stacks(gradients, self.learning.gradient_norm)
        self.critic_optimiser.step(gradients)
        return norm.view(len(loss), -1).mean(dim=1)

    def policy_gradients(
        self, observation: Tensor, channels: Callable[[Tensor], Sequence[Tensor]]
    ) -> tuple[list[list[Tensor]], Tensor]:
        r"""Deterministic policy gradients of several returns, Eq. (46) and (47), by one backward pass of the actors.

        $$\nabla_{\theta} J \approx E_s\left[\nabla_a Q(s, a)|_{a = \pi(s)} \nabla_\theta \pi(s)\right]$$

        The objective of a run is the sum over its agents (Eq. 25); the first channel is less the saturation
        penalty (D34).

        Args:
            observation: `[run, batch, agent, feature]`.
            channels: values `[run, batch, agent, value]` -> the returns to differentiate, each
                `[run, batch, agent]`.
        Returns:
            for each channel one `[stack, ., .]` per weight of the actors; and the actions, `[run, batch, agent, 5 K]`.
        """
        raw, trace = self.actors.forward(observation)
        action = torch.tanh(raw).requires_grad_()
        returns = channels(self.critic(observation, action))
        batch, size = action.shape[1], action.shape[3]
        slopes = []
        for number, value in enumerate(returns):
            last = number == len(returns) - 1
            (slope,) = torch.autograd.grad(value.sum() / batch, action, retain_graph=not last)
            slopes.append(slope * (1.0 - action.detach().square()))
        slopes[0].addcmul_(raw, 2.0 * self.saturation / (batch * size), value=-1.0)
        both = self.actors.gradient(trace, slopes)
        return [[g[..., number, :] for g in both] for number in range(len(slopes))], action.detach()

    def actor_step(self, descent: list[Tensor]) -> Tensor:
        """One step of the actors along `descent`; returns its norm before clipping, `[run]`."""
        norm = clip_stacks(descent, self.learning.gradient_norm)
        self.actor_optimiser.step(descent)
        return norm.view(self.actors.runs, -1).mean(dim=1)

    def follow_targets(self) -> None:
        """Algorithm 1, lines 17-18."""
        follow(self.target_critic, self.critic.weights, self.learning.polyak)
        follow(self.target_actors, self.actors.weights, self.learning.polyak)

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
        """lambda of every agent, `[run, agent]`; None where there is none."""
        return None

    def importance_exponent(self, progress: float) -> float:
        """beta_t of Eq. 55 when a share `progress` of the training is done; without priorities there is none."""
        return 0.0


def saturated_share(action: Tensor) -> Tensor:
    """Share of the outputs beyond `SATURATED`, `[run]`, from actions `[run, batch, agent, 5 K]`."""
    return (action.abs() > SATURATED).to(action.dtype).mean(dim=(1, 2, 3))
