"""MAPPO: per-agent Gaussian actors, a centralised value of the state, clipped updates on fresh episodes (§5.1.4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mecpaper.algorithms.learner import Diagnostics, Learner, Tally, saturated_share
from mecpaper.algorithms.networks import Actors, Critic
from mecpaper.algorithms.optimiser import Optimiser, clip_stacks, prefixed
from mecpaper.config import ConfigError, LearningConfig
from mecpaper.config.learners import MAPPOConfig
from mecpaper.env.game import Game
from mecpaper.env.streams import Stream, generators


class Round(NamedTuple):
    """The random draws of a round."""

    uniform: Tensor  # of the game, see `Game.draw`
    noise: Tensor  # [slot, run, env, agent, 5 K], of the policy
    order: Tensor  # [run, epoch, slot * env], see `MAPPO.learn_round`


@dataclass(frozen=True)
class Rollout:
    """Whole episodes of all envs, `[slot, run, env, agent, ...]`."""

    observation: Tensor
    action: Tensor  # as drawn, before the game cuts it to [-1, 1]
    reward: Tensor  # [slot, run, env, agent]
    last_observation: Tensor  # [run, env, agent, feature]


def log_probability(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    r"""Compute the log density of a diagonal Gaussian, summed over an agent's outputs.

    $$\log \pi(a|s) = -\sum_j \left(\tfrac12 \left(\frac{a_j - \mu_j}{\sigma_j}\right)^2
      + \log \sigma_j + \tfrac12 \log 2\pi\right)$$

    Args:
        action, mean: `[run, row, agent, 5 K]`.
        log_std: log sigma, `[run, 1, agent, 5 K]`.
    Returns:
        `[run, row, agent]`.
    Source: §5.1.4; Schulman et al. 2017.  Deviation: none.
    """
    scaled = (action - mean) * torch.exp(-log_std)
    return -(0.5 * scaled.square() + log_std + 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)


def advantages(reward: Tensor, value: Tensor, discount: float, decay: float) -> Tensor:
    r"""Compute generalised advantage estimates of episodes that a time limit ends (D26).

    $$\hat A_t = \delta_t + \gamma \ell \hat A_{t+1}, \qquad \delta_t = r_t + \gamma V_{t+1} - V_t$$

    Args:
        reward: `[slot, ...]`.
        value: `[slot + 1, ...]`, the last one of the state after the last slot.
        discount, decay: gamma and the decay of the estimator (the field's lambda).
    Returns:
        `[slot, ...]`.
    Source: §5.1.4; Schulman et al. 2016, Eq. 16.  Deviation: D26.
    """
    errors = reward + discount * value[1:] - value[:-1]
    result = torch.empty_like(errors)
    running = torch.zeros_like(errors[0])
    for slot in reversed(range(len(errors))):
        running = errors[slot] + discount * decay * running
        result[slot] = running
    return result


def clipped_slope(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    r"""Differentiate the clipped surrogate $\min(\rho \hat A, \mathrm{clip}(\rho, 1 \pm c) \hat A)$ by $\log \rho$.

    Args:
        ratio: rho, any shape.
        advantage: the same shape.
        clip: c.
    Returns:
        rho A, and 0 where the clip holds.
    Source: §5.1.4; Schulman et al. 2017, Eq. 7.  Deviation: none.
    """
    held = torch.where(advantage > 0, ratio > 1.0 + clip, ratio < 1.0 - clip)
    return torch.where(held, torch.zeros_like(ratio), ratio * advantage)


def centred(estimate: Tensor) -> Tensor:
    r"""Subtract from the estimates of each slot their mean over envs and agents.

    The reward to go falls with the slots that are left, which Eq. 32 does not show to the critic; without this
    baseline, what a slot's number explains would be taken for the merit of its actions.

    Args:
        estimate: `[slot, run, env, agent]`.
    Returns:
        the same shape.
    Source: §5.1.4; Eq. 32.  Deviation: D39.
    """
    return estimate - estimate.mean(dim=(2, 3), keepdim=True)


def standardised(advantage: Tensor, whose: str) -> Tensor:
    r"""Standardise each agent's advantages over a round.

    An agent weighs its actions by what they did to its own rewards or, since the system's objective is the sum over
    agents (D20), by the mean of all agents' advantages, $\frac1N \sum_n \hat A_n$.

    Args:
        advantage: `[run, row, agent]`.
        whose: "own" or "team".
    Returns:
        the same shape, with mean 0 and standard deviation 1 over the rows.
    Source: §5.1.4; Yu et al. 2022.  Deviation: D20.
    """
    if whose == "team":
        advantage = advantage.mean(dim=2, keepdim=True).expand_as(advantage)
    error = advantage - advantage.mean(dim=1, keepdim=True)
    return error / (error.square().mean(dim=1, keepdim=True).sqrt() + 1e-8)


class Moments:
    r"""Running mean and standard deviation of each run's returns, the units of the critic (Yu et al. 2022, §5.1).

    $$m \leftarrow \beta m + (1 - \beta)\, \overline{x}, \qquad q \leftarrow \beta q + (1 - \beta)\, \overline{x^2},
      \qquad w \leftarrow \beta w + 1 - \beta$$

    from 0; the mean is $m/w$ and the variance $q/w - (m/w)^2$. Before any return they are 0 and 1.

    Args:
        runs: number of runs.
        decay: beta.
        device: device of the state.
    """

    def __init__(self, runs: int, decay: float, device: torch.device) -> None:
        self.decay = decay
        self.state = torch.zeros(3, runs, 1, 1, device=device, dtype=torch.float64)

    def take(self, values: Tensor) -> None:
        """Take up a round's returns, `[run, row, agent]`."""
        values = values.to(self.state.dtype)
        new = [part.mean(dim=(1, 2), keepdim=True) for part in (values, values.square(), torch.ones_like(values))]
        self.state.lerp_(torch.stack(new), 1.0 - self.decay)

    def mean_and_std(self) -> tuple[Tensor, Tensor]:
        """Return both, each `[run, 1, 1]`."""
        mean, square, weight = self.state
        met = weight > 0
        weight = torch.where(met, weight, 1.0)
        variance = (square / weight - (mean / weight).square()).clamp(min=1e-8)
        return mean / weight, torch.where(met, variance, 1.0).sqrt()

    def scaled(self, values: Tensor) -> Tensor:
        """Return values `[run, row, agent]` less the mean, in standard deviations."""
        mean, std = self.mean_and_std()
        return ((values - mean) / std).to(values.dtype)

    def unscaled(self, values: Tensor) -> Tensor:
        """Return the values that `scaled` would turn into these."""
        mean, std = self.mean_and_std()
        return (values * std + mean).to(values.dtype)


class MAPPO(Learner):
    """Multi-agent PPO: each agent's own reward, a value per agent from all agents' observations.

    Arguments as for `Learner`; its own section is `mappo`. It learns at the end of each round.
    """

    def __init__(
        self,
        game: Game,
        learning: LearningConfig,
        own: Sequence[MAPPOConfig],
        seeds: Sequence[int],
        slots_per_update: int = 1,
    ) -> None:
        super().__init__(game, learning, own, seeds, slots_per_update)
        config, weights = own[0], generators(seeds, Stream.WEIGHTS)
        if (game.envs if config.advantage == "team" else game.envs * game.devices) < 2:
            raise ConfigError(
                f"mappo.advantage = {config.advantage!r}: two episodes at once or more, since advantages are "
                "compared with their mean in a slot"
            )
        self.actors = Actors(game, learning, weights)
        self.critic = Critic(game, learning.hidden, weights, learning.critic, sees_action=False)
        shape = (game.runs, 1, self.actors.stacks // game.runs, game.action_size)
        start = math.log(config.std)
        self.log_std = torch.full(shape, start, device=game.device, dtype=game.dtype)
        self.actor_optimiser = Optimiser([*self.actors.weights, self.log_std], learning.actor_learning_rate)
        self.critic_optimiser = Optimiser(self.critic.weights, learning.critic_learning_rate)
        self.moments = Moments(game.runs, config.value_decay, game.device)

    @torch.no_grad()
    def act(self, observation: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Choose noise-free actions, the means, `[run, batch, agent, 5 K]`; `uniform` is not used."""
        return self.actors(observation)

    @torch.no_grad()
    def explore(self, observation: Tensor, noise: Tensor) -> Tensor:
        """Draw actions from the policy with standard normal draws `noise` of their shape `[run, env, agent, 5 K]`."""
        return self.actors(observation) + torch.exp(self.log_std) * noise

    def noise(self) -> Tensor:
        """Draw the policy's standard normal noise, `[slot, run, env, agent, 5 K]`, as correlated between slots as the
        others' (D35). The probability of an action is that of its own slot alone, as for coloured noise in PPO
        (Hollenstein et al. 2024)."""
        noise = super().noise()
        return noise.expand(self.game.slots, *noise.shape[1:])

    def play_round(self, done: float, tally: Tally) -> None:
        """Play one episode in every env, then learn from them; see `Learner.play_round`."""
        self.anneal(done)
        count, epochs, sources = self.game.slots * self.game.envs, self.config.epochs, self.sources[Stream.REPLAY]
        uniform, noise = self.game.draw(self.sources[Stream.GAME]), self.noise()
        order = [torch.stack([torch.randperm(count, generator=g) for _ in range(epochs)]) for g in sources]
        after = self.updates + epochs * -(-count // self.config.minibatch)
        self.perform(None, self.play, Round(uniform, noise, torch.stack(order).to(self.game.device)), tally)
        # A replayed graph runs no Python, so it does not count.
        self.updates = after

    def play(self, inputs: Round, tally: Tally) -> None:
        """Play and learn with random numbers drawn before; recorded as one graph on a GPU."""
        game = self.game
        observation = game.begin(inputs.uniform)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for t in range(game.slots):
            action = self.explore(observation, inputs.noise[t])
            slot = game.step(action)
            parts.append((observation, action, slot.reward))
            observation = game.observe()
            tally.add_slot(slot)
        observations, actions, rewards = (torch.stack(part) for part in zip(*parts, strict=True))
        rollout = Rollout(observations, actions, rewards, observation)
        for diagnostics in self.learn_round(rollout, inputs.order):
            self.updates += 1
            tally.add(diagnostics)

    def learn_round(self, rollout: Rollout, order: Tensor) -> Iterator[Diagnostics]:
        """Make updates on a round of episodes, mini-batch by mini-batch.

        Args:
            rollout: of the policy as it is.
            order: `[run, epoch, slot * env]`, a permutation of the joint transitions for each epoch.
        Yields:
            diagnostics of one update, each `[run]`.
        """
        settings, config = self.learning, self.config
        slots, _, envs = rollout.reward.shape[:3]
        states = torch.cat([rollout.observation, rollout.last_observation.unsqueeze(0)]).transpose(0, 1).flatten(1, 2)
        reward = rollout.reward
        if settings.reward == "team":
            reward = reward.mean(dim=-1, keepdim=True).expand_as(reward)
        with torch.no_grad():
            value = self.moments.unscaled(self.critic(states)[..., 0])
            value = value.unflatten(1, (slots + 1, envs)).transpose(0, 1)
            estimate = advantages(reward, value, settings.reward_discount, config.advantage_decay)
            result = (estimate + value[:-1]).transpose(0, 1).flatten(1, 2)
            self.moments.take(result)
            result = self.moments.scaled(result)
            advantage = standardised(centred(estimate).transpose(0, 1).flatten(1, 2), config.advantage)
            observation = states[:, : slots * envs]
            action = rollout.action.transpose(0, 1).flatten(1, 2)
            old = log_probability(action, self.actors(observation), self.log_std)
        for epoch in range(order.shape[1]):
            for picked in order[:, epoch].split(config.minibatch, dim=1):
                rows = [_take(part, picked) for part in (observation, action, advantage, result, old)]
                yield self._update(*rows)

    def _update(
        self, observation: Tensor, action: Tensor, advantage: Tensor, result: Tensor, old: Tensor
    ) -> Diagnostics:
        """Make one update of critic and actors on rows `[run, row, agent, ...]`."""
        settings, config = self.learning, self.config
        error = self.critic(observation)[..., 0] - result
        loss = error.square().mean(dim=(1, 2))
        critic_gradient = list(torch.autograd.grad(loss.sum(), self.critic.weights))
        critic_norm = clip_stacks(critic_gradient, settings.gradient_norm)
        self.critic_optimiser.step(critic_gradient)

        raw, trace = self.actors.forward(observation)
        mean = torch.tanh(raw)
        ratio = torch.exp(log_probability(action, mean, self.log_std) - old)
        slope = (clipped_slope(ratio, advantage, config.clip) / advantage.shape[1]).unsqueeze(-1)
        scaled = (action - mean) * torch.exp(-self.log_std)
        mean_slope = slope * scaled * torch.exp(-self.log_std) * (1.0 - mean.square())
        size = mean.shape[1] * mean.shape[3]
        mean_slope.addcmul_(raw, 2.0 * self.saturation / size, value=-1.0)
        std_slope = (slope * (scaled.square() - 1.0)).sum(dim=1, keepdim=True)
        if self.log_std.shape[2] == 1:
            std_slope = std_slope.sum(dim=2, keepdim=True)
        # The entropy of the Gaussian rises by 1 with each log standard deviation.
        std_slope = std_slope + config.entropy
        gradients = self.actors.gradient(trace, [mean_slope])
        ascent = gradients.combined(gradients.ones())
        descent = [-g for g in [*ascent, std_slope.view(self.actors.stacks, 1, -1)]]
        norm = clip_stacks(descent, settings.gradient_norm)
        descent[-1] = descent[-1].view(self.log_std.shape)
        self.actor_optimiser.step(descent)
        self.log_std.clamp_(*(math.log(end) for end in config.std_range))
        return {
            "critic_loss": loss.detach(),
            "critic_gradient": critic_norm.view(len(loss), -1).mean(dim=1),
            "actor_gradient": norm.view(len(loss), -1).mean(dim=1),
            "saturated": saturated_share(mean),
            "std": self.log_std.exp().mean(dim=(1, 2, 3)),
            "clipped": ((ratio - 1.0).abs() > config.clip).to(ratio.dtype).mean(dim=(1, 2)),
        }

    def optimisers(self) -> Sequence[Optimiser]:
        """Return the optimisers of actors and critic."""
        return self.actor_optimiser, self.critic_optimiser

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the state by name."""
        return {
            **prefixed("actor", self.actors.weights),
            **prefixed("critic", self.critic.weights),
            **prefixed("actor_optimiser", self.actor_optimiser.tensors()),
            **prefixed("critic_optimiser", self.critic_optimiser.tensors()),
            "log_std": self.log_std,
            "moments": self.moments.state,
        }


def _take(part: Tensor, picked: Tensor) -> Tensor:
    """Rows `picked` `[run, row]` of `[run, all rows, ...]`."""
    offset = torch.arange(part.shape[0], device=part.device).unsqueeze(1) * part.shape[1]
    return part.flatten(0, 1)[(picked + offset).flatten()].unflatten(0, picked.shape)
