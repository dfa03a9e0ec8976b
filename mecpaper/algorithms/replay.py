"""Replay of joint transitions: uniform and constraint-aware prioritised (Section 4.2.6, Eq 52-56).

The pieces of Eq 52-55 are pure functions on tensors; `Replay` is the storage, one ring per run, all runs in
step. Sampling takes its random numbers from the caller, so a run's samples depend on its own generator alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mecpaper.config import ConfigError


def normalised_error(error: Tensor, delta: float) -> Tensor:
    r"""Turn TD errors of a mini-batch into z-scores, Eq. (52).

    $$\hat\sigma_i = \frac{\sigma_i - \mu}{s + \delta}$$

    Args:
        error: `[run, batch, agent]`, signed TD errors; mean and standard deviation (of the population) are
            taken over the batch, for each run and agent.
        delta: a small constant.
    Returns:
        the same shape.
    Source: §4.2.6, Eq. 52.  Deviation: D27.
    """
    centred = error - error.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True).sqrt() + delta)


def priority(reward_error: Tensor, cost_error: Tensor, epsilon: float, exponent: float) -> Tensor:
    r"""Compute the combined priority of a joint transition, Eq. (53), Algorithm 1 line 11.

    $$p_i = \left(|\hat\sigma^r_i| + |\hat\sigma^c_i| + \varepsilon\right)^\alpha$$

    Args:
        reward_error, cost_error: `[run, batch, agent]`, TD errors after Eq. 52; the buffer holds joint
            transitions, so the mean over agents is taken of the sum of magnitudes.
        epsilon: keeps every priority positive.
        exponent: alpha; 0 is uniform.
    Returns:
        `[run, batch]`, positive.
    Source: §4.2.6, Eq. 53.  Deviation: D27.
    """
    return ((reward_error.abs() + cost_error.abs()).mean(dim=-1) + epsilon).pow(exponent)


def sample_indices(priorities: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    r"""Draw transitions with probability proportional to priority, Eq. (54): $P(i) = p_i / \sum_j p_j$.

    Args:
        priorities: `[run, size]`, not negative, with a positive sum.
        uniform: `[run, batch]`, draws from [0, 1).
    Returns:
        indices `[run, batch]` and their probabilities `[run, batch]`.
    Source: §4.2.6, Eq. 54.  Deviation: none.
    """
    cumulative = priorities.cumsum(dim=1)
    total = cumulative[:, -1:]
    indices = torch.searchsorted(cumulative, uniform.to(cumulative.dtype) * total, right=True)
    indices = indices.clamp(max=priorities.shape[1] - 1)
    return indices, priorities.gather(1, indices) / total


def importance_weights(probability: Tensor, size: int | Tensor, exponent: float | Tensor) -> Tensor:
    r"""Compute the importance weights of a mini-batch, Eq. (55).

    $$w_i = \left(\frac{1}{N\, P(i)}\right)^{\beta_t}, \qquad \tilde w_i = \frac{w_i}{\max_j w_j}$$

    Args:
        probability: `[run, batch]`, P(i), positive.
        size: N, the number of transitions held (the N of Eq. 55 is not the number of devices).
        exponent: beta_t.
    Returns:
        `[run, batch]`, at most 1, the largest of each run exactly 1.
    Source: §4.2.6, Eq. 55.  Deviation: none.
    """
    weight = (size * probability).pow(-exponent)
    return weight / weight.amax(dim=1, keepdim=True)


def annealed(ends: tuple[float, float], progress: float) -> float:
    r"""Anneal linearly from the first to the second value, as of beta_t in §4.2.6.

    Args:
        ends: value at progress 0 and at progress 1.
        progress: share of the training that is done; clipped to [0, 1].
    """
    return ends[0] + (ends[1] - ends[0]) * min(max(progress, 0.0), 1.0)


class Batch(NamedTuple):
    """A mini-batch of joint transitions, `[run, batch, agent, ...]`."""

    observation: Tensor
    action: Tensor
    reward: Tensor  # [run, batch, agent]
    cost: Tensor  # [run, batch, agent]
    next_observation: Tensor
    weight: Tensor  # [run, batch], importance weights of Eq. 55 (1 under uniform replay)
    places: Tensor  # [run, batch], where they lie in the buffer
    smoothing: Tensor | None = None  # [run, batch, ...], drawn for the update, see `OffPolicy.smoothing`


class Replay:
    """A ring of joint transitions per run, packed in one tensor `[run, capacity, agent, column]`.

    Args:
        runs, capacity, agents: its shape.
        observation_size, action_size: columns of the parts.
        device, dtype: where and how to store.
        prioritised: keep and use priorities (Eq. 53-55); otherwise uniform.
    Raises:
        ConfigError: it does not fit in memory.
    """

    def __init__(
        self,
        runs: int,
        capacity: int,
        agents: int,
        observation_size: int,
        action_size: int,
        device: torch.device,
        dtype: torch.dtype,
        prioritised: bool,
    ) -> None:
        self.sizes = [observation_size, action_size, 1, 1, observation_size]
        self.capacity, self.prioritised = capacity, prioritised
        shape = runs, capacity, agents, sum(self.sizes)
        try:
            self.data = torch.zeros(shape, device=device, dtype=dtype)
        except RuntimeError:
            gigabytes = math.prod(shape) * dtype.itemsize / 1e9
            raise ConfigError(
                f"learning.buffer = {capacity}: at most what fits in memory; this takes {gigabytes:,.1f} GB"
            ) from None
        self.priorities = torch.zeros(runs, capacity, device=device, dtype=torch.float64)
        self.highest = torch.ones(runs, 1, device=device, dtype=torch.float64)
        self.size = self.position = 0
        self._offset = (torch.arange(runs, device=device) * capacity).unsqueeze(1)

    def reserve(self, slots: int, envs: int) -> tuple[Tensor, list[int]]:
        """Make room for the joint transitions of some slots, where the oldest are.

        Returns:
            where they go, `[slot, env]`, for `add`; and how many are held after each slot, for `sample`.
        """
        added = slots * envs
        places = (torch.arange(added, device=self.data.device) + self.position) % self.capacity
        sizes = [min(self.size + envs * (slot + 1), self.capacity) for slot in range(slots)]
        self.position, self.size = (self.position + added) % self.capacity, sizes[-1]
        return places.view(slots, envs), sizes

    def add(
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        cost: Tensor,
        next_observation: Tensor,
        place: Tensor | None = None,
    ) -> None:
        """Store one joint transition per env: `[run, env, agent, ...]`; the oldest make room.

        New transitions enter at the highest priority so far, so that each is likely to be replayed once (D27).
        `place` is where, `[env]`, if room has been reserved.
        """
        row = torch.cat([observation, action, reward.unsqueeze(-1), cost.unsqueeze(-1), next_observation], dim=-1)
        if place is None:
            place = self.reserve(1, row.shape[1])[0][0]
        self.data[:, place] = row
        self.priorities[:, place] = self.highest

    def sample(self, uniform: Tensor, exponent: float | Tensor, size: int | Tensor | None = None) -> Batch:
        """Draw a mini-batch.

        Args:
            uniform: `[run, batch]`, draws from [0, 1).
            exponent: beta_t of Eq. 55; unused under uniform replay.
            size: how many are held, if more room than that has been reserved. What is not held has priority 0.
        """
        size = self.size if size is None else size
        if self.prioritised:
            held = self.priorities[:, :size] if isinstance(size, int) else self.priorities
            index, probability = sample_indices(held, uniform)
            weight = importance_weights(probability, size, exponent).to(self.data.dtype)
        else:
            index = (uniform * size).long().clamp(max=size - 1)
            weight = torch.ones_like(uniform, dtype=self.data.dtype)
        rows = self.data.flatten(0, 1).index_select(0, (index + self._offset).flatten())
        parts = rows.unflatten(0, index.shape).split(self.sizes, dim=-1)
        observation, action, reward, cost, next_observation = parts
        return Batch(observation, action, reward[..., 0], cost[..., 0], next_observation, weight, index)

    def set_priorities(self, index: Tensor, value: Tensor) -> None:
        """Give replayed transitions `[run, batch]` new priorities (Algorithm 1, line 11); of one drawn twice the last
        counts, on every device."""
        same = index.unsqueeze(2) == index.unsqueeze(1)
        last = (same * torch.arange(index.shape[1], device=index.device)).amax(dim=2)
        value = value.to(self.priorities.dtype)
        self.priorities.scatter_(1, index, value.gather(1, last))
        torch.maximum(self.highest, value.amax(dim=1, keepdim=True), out=self.highest)
