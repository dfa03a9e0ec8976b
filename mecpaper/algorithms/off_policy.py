"""What the algorithms that replay share: actors, critic, targets, buffer, and the round of Algorithm 1."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mecpaper.algorithms.learner import Diagnostics, Learner, Tally
from mecpaper.algorithms.networks import Actors, Critic, copies, follow
from mecpaper.algorithms.optimiser import Factored, Optimiser, clip_factor, clip_stacks, prefixed
from mecpaper.algorithms.precision import Reading, product_dtype
from mecpaper.algorithms.replay import Batch, Replay, annealed
from mecpaper.config import LearningConfig
from mecpaper.env.game import Game, Slot
from mecpaper.env.streams import Stream, generators
from mecpaper.system.quality import device_reward, recognition_quality


def td_target(instant: Tensor, discount: float, next_value: Tensor) -> Tensor:
    r"""Compute the target of a value head, Eq. (49) and (50): $y = r + \gamma Q^{target}(s', a')$.

    Args:
        instant: r or c, any shape.
        discount: gamma_r or gamma_c.
        next_value: the same shape, the target critic at the target actors' next action. The last slot of an
            episode is a time limit, so it is bootstrapped through (D26).
    Source: §4.2.5, Eq. 49-50.  Deviation: D26.
    """
    return instant + discount * next_value


class Round(NamedTuple):
    """Inputs of a round: random draws, and numbers that change from round to round."""

    uniform: Tensor  # of the game, see `Game.draw`
    noise: Tensor  # [slot or 1, run, env, agent, 5 K], of the exploration
    judged: Tensor  # [env], weights of the episodes that J_c of Eq. 41 is the mean of
    picks: Tensor  # [run, slot, batch], what is replayed
    order: Tensor  # [run, update, batch, chunk], of the chunks
    smoothing: Tensor  # [run, update, ...], see `OffPolicy.smoothing`
    places: Tensor  # [slot, env], where transitions are stored
    sizes: list[int] | Tensor  # [slot], transitions held
    exponent: float | Tensor  # beta_t of Eq. 55


class Phase(NamedTuple):
    """Determines which operations a round consists of, whatever the numbers are."""

    warmup: bool
    critic_only: bool  # actors and multipliers wait for the critic (D35)
    slots_since: int  # slots played since the last update
    update: int  # updates made, modulo the learner's cycle


class OffPolicy(Learner):
    """Actors, a critic, the target of each, two optimisers and a replay buffer.

    Arguments as for `Learner`, and further:
        prioritised: whether the buffer keeps priorities (Eq. 53-55).
        critic: further arguments of `Critic`.
    """

    cycle = 1
    """Number of updates after which the sequence of operations repeats."""

    def __init__(
        self,
        game: Game,
        learning: LearningConfig,
        own: Sequence[Any],
        seeds: Sequence[int],
        slots_per_update: int = 1,
        prioritised: bool = False,
        **critic: Any,
    ) -> None:
        super().__init__(game, learning, own, seeds, slots_per_update)
        weights = generators(seeds, Stream.WEIGHTS)
        products = product_dtype(learning.precision, game.device, game.dtype)
        self.actors = Actors(game, learning, weights, products)
        self.critic = Critic(game, learning.hidden, weights, learning.critic, products=products, **critic)
        self.target_actors, self.target_critic = copies(self.actors.weights), copies(self.critic.weights)
        self.targets = Reading(self.target_actors, products), Reading(self.target_critic, products)
        self.actor_optimiser = Optimiser(self.actors.weights, learning.actor_learning_rate)
        self.critic_optimiser = Optimiser(self.critic.weights, learning.critic_learning_rate)
        self.replay = Replay(
            game.runs, learning.buffer, game.devices, game.observation_size, game.action_size, game.device, game.dtype,
            prioritised,
        )  # fmt: skip
        self.excess = torch.zeros(game.runs, game.devices, device=game.device, dtype=game.dtype)
        self.slots_since = self.rounds = 0
        self.actors_wait = False

    # -- playing ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def act(self, observation: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Choose noise-free actions, `[run, batch, agent, 5 K]`; `uniform` is not used."""
        return self.actors(observation)

    def play_round(self, done: float, tally: Tally) -> None:
        """Play and learn as Algorithm 1, lines 3-19, does; see `Learner.play_round`."""
        start, alone = self.learning.warmup_fraction, self.learning.critic_first_fraction
        phase = Phase(done < start, done < start + alone, self.slots_since, self.updates % self.cycle)
        slots = self.slots_since + (0 if phase.warmup else self.game.slots)
        updates, since = divmod(slots, self.slots_per_update)
        after = self.updates + updates, since
        self.anneal(done)
        inputs = self.draw_round(phase, updates, done)
        self.perform(phase, partial(self.play, phase), inputs, tally)
        self.rounds += 1
        # A replayed graph runs no Python, so it does not count.
        self.updates, self.slots_since = after

    def draw_round(self, phase: Phase, updates: int, done: float) -> Round:
        """Draw the random numbers of a round, in which a share `done` of the training is done."""
        game, learning = self.game, self.learning
        uniform, free = game.draw(self.sources[Stream.GAME]), self.noise_free()
        if phase.warmup and learning.warmup == "uniform":
            noise = 2.0 * self.draw(Stream.NOISE, game.envs, game.devices, game.action_size).unsqueeze(0) - 1.0
        else:
            first, last = learning.noise
            noise = annealed((first, last), done / learning.noise_until) * self.noise()
            noise = noise * (~free).to(noise).view(-1, 1, 1)
        picks = self.draw(Stream.REPLAY, game.slots, learning.batch)
        order = self.draw_times(updates, Stream.CHUNKS, learning.batch, game.chunks)
        places, sizes = self.replay.reserve(game.slots, game.envs)
        judged, exponent = self.judged(free, done).to(noise), self.importance_exponent(done)
        return Round(uniform, noise, judged, picks, order, self.smoothing(updates), places, sizes, exponent)

    def play(self, phase: Phase, inputs: Round, tally: Tally) -> None:
        """Play one episode in every env with random numbers drawn before, and learn; recorded as one graph on a GPU."""
        game = self.game
        self.actors_wait = phase.critic_only
        observation = game.begin(inputs.uniform)
        made, since = 0, phase.slots_since
        for t in range(game.slots):
            action = self.explore(phase, observation, inputs.noise[t % len(inputs.noise)])
            slot = game.step(action)
            next_observation = game.observe()
            credit = self.credit(slot, t)
            self.replay.add(observation, action, credit, slot.cost, next_observation, inputs.places[t])
            observation = next_observation
            tally.add_slot(slot)
            if phase.warmup:
                continue
            if not phase.critic_only:
                self.excess += (inputs.judged.view(-1, 1) * (slot.cost - game.cost_limit)).sum(dim=1)
            since += 1
            if since == self.slots_per_update:
                self.updates += 1
                batch = self.replay.sample(inputs.picks[:, t], inputs.exponent, inputs.sizes[t])
                batch = self.reordered(batch, inputs.order[:, made])._replace(smoothing=inputs.smoothing[:, made])
                tally.add(self.update(batch))
                self.excess.zero_()
                made, since = made + 1, 0

    def noise_free(self) -> Tensor:
        """Tell which episodes of the round are played without exploration noise, `[env]`, evenly spread (D38)."""
        share = self.learning.noise_free_share
        number = torch.arange(self.game.envs + 1, dtype=torch.float64) + self.rounds * self.game.envs
        return torch.floor(share * number + 1e-6).diff() > 0

    def judged(self, free: Tensor, done: float) -> Tensor:
        """Weigh the episodes of the round in J_c of Eq. 41, `[env]`: those without noise as long as there is noise, and
        all of them otherwise. The weights of a round have mean sum 1 (D38)."""
        learning = self.learning
        gone = done >= learning.noise_until and learning.noise[1] == 0.0
        share = 1.0 if gone else learning.noise_free_share
        return torch.ones(len(free)) / len(free) if share in (0.0, 1.0) else free.double() / (share * len(free))

    def credit(self, slot: Slot, t: int) -> Tensor:
        r"""Compute what the critic learns as the reward of slot `t` (from 0), `[run, env, agent]` (D43).

        The running means of Eq. 15 and 17 pay the quality of a slot in all later slots. Over an episode,

        $$\sum_{t=1}^T A(t) = \sum_{s=1}^T w_s\, a(s), \qquad w_s = \sum_{t=s}^T 1/t,$$

        and the mean of w is 1. "printed" is Eq. 24; "equal_sum" credits a slot with its own quality, which has the
        same mean over an episode if the policy does not see the time; "weighted" credits it with w_s times its quality.
        """
        game, rule = self.game, self.learning.credit
        if rule == "printed":
            return slot.reward
        weight = sum(1.0 / later for later in range(t + 1, game.slots + 1)) if rule == "weighted" else 1.0
        value = recognition_quality(game.constants.quality_weights, slot.accuracy, slot.smoothness)
        return device_reward(weight * value, slot.compute_cost, slot.penalty)

    def explore(self, phase: Phase, observation: Tensor, noise: Tensor) -> Tensor:
        """Choose actions while training, `[run, env, agent, 5 K]`.

        The policy's action with Gaussian noise that stays (or drifts, an Ornstein-Uhlenbeck process, below correlation
        1), so that an action is held long enough for the running means of Eq. 15 and 17 to show its value. In the other
        reading of D35 each device keeps one uniformly random action per episode during the warm-up.
        """
        if phase.warmup and self.learning.warmup == "uniform":
            return noise
        return (self.act(observation) + noise).clamp(-1.0, 1.0)

    def sample(self, uniform: Tensor, done: float) -> Batch:
        """Draw a mini-batch by `uniform`, `[run, batch]`, when a share `done` of the training is done."""
        order = self.draw(Stream.CHUNKS, uniform.shape[1], self.game.chunks)
        return self.reordered(self.replay.sample(uniform, self.importance_exponent(done)), order)

    def reordered(self, batch: Batch, uniform: Tensor) -> Batch:
        """Put the chunks in an order drawn by `uniform`, `[run, batch, chunk]`, unless this is switched off (D42)."""
        if not self.learning.permute_chunks:
            return batch
        parts = {name: getattr(batch, name) for name in ("observation", "action", "next_observation")}
        return batch._replace(**self.game.reorder_chunks(uniform.argsort(dim=-1), **parts))

    def smoothing(self, updates: int) -> Tensor:
        """Draw further random numbers for the updates of a round, `[run, update, ...]`; none by default."""
        return self.excess.new_empty(self.game.runs, updates)

    def importance_exponent(self, done: float) -> float:
        """Return beta_t of Eq. 55 when a share `done` of the training is done; unused without priorities."""
        return 0.0

    def optimisers(self) -> Sequence[Optimiser]:
        """Return the optimisers of actors and critic."""
        return self.actor_optimiser, self.critic_optimiser

    # -- learning --------------------------------------------------------------------------------------

    @abstractmethod
    def update(self, batch: Batch) -> Diagnostics:
        """Make one update of Algorithm 1 on a mini-batch, for every run and agent at once."""

    def instant(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return reward and cost as the critic learns them, `[run, batch, agent]`: scaled, and read as D20 says."""
        reward = batch.reward
        if self.learning.reward == "team":
            reward = reward.mean(dim=2, keepdim=True).expand_as(reward)
        return self.learning.reward_scale * reward, self.learning.reward_scale * batch.cost

    def next_values(self, batch: Batch) -> Tensor:
        """Compute the target critic at the target actors' next action, `[run, batch, agent, value]`."""
        actors, critic = self.targets
        next_action = self.actors(batch.next_observation, actors.weights)
        return self.critic(batch.next_observation, next_action, critic.weights)

    def critic_step(self, loss: Tensor) -> Tensor:
        """Make one step of the critics on losses `[run]`; return the norm of the gradient, `[run]`."""
        gradients = [part.to(loss.dtype) for part in torch.autograd.grad(loss.sum(), self.critic.reading.weights)]
        norm = clip_stacks(gradients, self.learning.gradient_norm)
        self.critic_optimiser.step(gradients)
        self.critic.reading.refresh()
        return norm.view(len(loss), -1).mean(dim=1)

    def policy_gradients(
        self, observation: Tensor, channels: Callable[[Tensor], Sequence[Tensor]]
    ) -> tuple[Factored, Tensor]:
        r"""Compute deterministic policy gradients of several returns, Eq. (46) and (47), by one backward pass.

        $$\nabla_{\theta} J \approx E_s\left[\nabla_a Q(s, a)|_{a = \pi(s)} \nabla_\theta \pi(s)\right]$$

        The objective of a run is the sum over its agents (Eq. 25); the first channel is less the saturation
        penalty (D34).

        Args:
            observation: `[run, batch, agent, feature]`.
            channels: values `[run, batch, agent, value]` -> the returns to differentiate, each
                `[run, batch, agent]`.
        Returns:
            the gradients by the weights of the actors, and the actions, `[run, batch, agent, 5 K]`.
        """
        raw, trace = self.actors.forward(observation)
        action = torch.tanh(raw).requires_grad_()
        fixed = [weight.detach() for weight in self.critic.reading.weights]
        returns = channels(self.critic(observation, action, fixed))
        batch, size = action.shape[1], action.shape[3]
        slopes = []
        for number, value in enumerate(returns):
            last = number == len(returns) - 1
            (slope,) = torch.autograd.grad(value.sum() / batch, action, retain_graph=not last)
            slopes.append(slope * (1.0 - action.detach().square()))
        slopes[0].addcmul_(raw, 2.0 * self.saturation / (batch * size), value=-1.0)
        return self.actors.gradient(trace, slopes), action.detach()

    def actor_step(self, gradients: Factored, coefficients: Tensor | None = None) -> Tensor:
        """Make one step of descent of the actors, clipped (§4.2.4).

        Args:
            gradients: from `policy_gradients`.
            coefficients: `[stack, channel]`, of the descent direction in the channels; by default all are ascended.
        Returns:
            the norm before clipping, `[run]`; 0 while the actors wait.
        """
        if self.actors_wait:
            return self.excess.new_zeros(self.actors.runs)
        maximum = self.learning.gradient_norm
        if coefficients is None:
            descent = gradients.combined(-gradients.ones())
            norm = clip_stacks(descent, maximum)
        else:
            norm = gradients.norm(coefficients)
            descent = gradients.combined(coefficients * clip_factor(norm, maximum).unsqueeze(1))
        self.actor_optimiser.step(descent)
        self.actors.reading.refresh()
        return norm.view(self.actors.runs, -1).mean(dim=1)

    def follow_targets(self) -> None:
        """Move the targets, Algorithm 1, lines 17-18."""
        follow(self.target_critic, self.critic.weights, self.learning.polyak)
        follow(self.target_actors, self.actors.weights, self.learning.polyak)
        for target in self.targets:
            target.refresh()

    # -- state -----------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """Return the plain numbers of the state."""
        replay = {"size": self.replay.size, "position": self.replay.position}
        return {**super().counters(), "slots_since": self.slots_since, "rounds": self.rounds, **replay}

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the state by name; of the buffer what is filled."""
        filled = slice(0, self.replay.size)
        return {
            **prefixed("actor", self.actors.weights),
            **prefixed("critic", self.critic.weights),
            **prefixed("target_actor", self.target_actors),
            **prefixed("target_critic", self.target_critic),
            **prefixed("actor_optimiser", self.actor_optimiser.tensors()),
            **prefixed("critic_optimiser", self.critic_optimiser.tensors()),
            "replay.data": self.replay.data[:, filled],
            "replay.priorities": self.replay.priorities[:, filled],
            "replay.highest": self.replay.highest,
            "excess": self.excess,
        }

    def load(self, counters: dict[str, int], stored: dict[str, Tensor]) -> None:
        """Take up a state, the size of the buffer first."""
        self.slots_since, self.rounds = counters["slots_since"], counters["rounds"]
        self.replay.size, self.replay.position = counters["size"], counters["position"]
        super().load(counters, stored)
        for reading in (self.actors.reading, self.critic.reading, *self.targets):
            reading.refresh()
