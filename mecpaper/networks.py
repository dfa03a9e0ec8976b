"""Stacked networks: every run and every agent is one slice of a weight tensor, so one product serves them all.

Weights are plain leaf tensors in a list, which is what the optimiser, the target update and the checkpoint
work on. Each network says in `shape(...)` what the list holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mecpaper.game import Game


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Stacked affine map: `[s, row, in]`, `[s, in, out]`, `[s, 1, out]` -> `[s, row, out]`."""
    return torch.baddbmm(bias, inputs, weight)


def initial(shapes: Sequence[tuple[int, ...]], generators: Sequence[torch.Generator], stacks: int) -> list[Tensor]:
    """Draw weights uniformly within one over the root of the fan-in, the field's usual start.

    Args:
        shapes: one `(in, out)` per layer; each gives a weight and a bias.
        generators: one CPU generator per run.
        stacks: networks per run.
    Returns:
        `[run * stack, in, out]` and `[run * stack, 1, out]` for each layer, in turn.
    """
    tensors = []
    for fan_in, width in shapes:
        bound = fan_in**-0.5
        for rows in (fan_in, 1):
            draws = [torch.rand(stacks, rows, width, generator=g, dtype=torch.float64) for g in generators]
            tensors.append((2.0 * torch.cat(draws) - 1.0) * bound)
    return tensors


class Actors:
    """One actor per agent and run: observation -> 256-128-64 ReLU -> tanh, §5.1.

    Args:
        game: gives the sizes and the range of the observation.
        hidden: widths of the hidden layers.
        generators: one CPU generator per run.
    """

    def __init__(self, game: Game, hidden: Sequence[int], generators: Sequence[torch.Generator]) -> None:
        self.runs, self.agents = game.runs, game.devices
        sizes = [game.observation_size, *hidden, game.action_size]
        self.centre, self.half = (part.unsqueeze(1) for part in game.observation_range())
        weights = initial(list(pairwise(sizes)), generators, game.devices)
        self.weights = [w.to(game.device, game.dtype).requires_grad_() for w in weights]

    def __call__(self, observation: Tensor, weights: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Actions of all agents.

        Args:
            observation: `[run, batch, agent, feature]`, as the game gives it.
            weights: others than the actor's own, such as the target's.
        Returns:
            action in [-1, 1] and its value before the tanh, each `[run, batch, agent, 5 K]`.
        """
        weights = self.weights if weights is None else weights
        rows = ((observation - self.centre) / self.half).transpose(1, 2).flatten(0, 1)
        for layer in range(0, len(weights) - 2, 2):
            rows = torch.relu(linear(rows, weights[layer], weights[layer + 1]))
        raw = linear(rows, weights[-2], weights[-1]).unflatten(0, (self.runs, self.agents)).transpose(1, 2)
        return torch.tanh(raw), raw


def binary_offload(action: Tensor, chunks: int) -> Tensor:
    r"""Replace each chunk's offload signal by -1 or 1, with the gradient of the identity (straight through).

    Args:
        action: `[..., 5 K]`.
        chunks: K.
    Returns:
        `[..., 5 K]`. The critic sees what the game executes, Eq. 1; the actor still gets a gradient.
    Source: §3.2, Eq. 1 with the tanh output of §5.1.  Deviation: D30.
    """
    parts = action.unflatten(-1, (chunks, -1))
    signal = parts[..., :1]
    hard = torch.where(signal > 0, 1.0, -1.0).to(signal.dtype)
    return torch.cat([signal + (hard - signal).detach(), parts[..., 1:]], dim=-1).flatten(-2)


class Critic:
    """Weight-shared centralised critic: a value per agent from its own and all agents' observations and actions.

    The first of the three backbone layers is computed for every agent; its mean over all agents joins the
    agent's own features in the second layer. So each value depends on the observations and actions of all
    (D19), at the cost of a critic that sees one agent. A head is one layer of `head_hidden` ReLU units and a
    linear output, or purely linear when `head_hidden` is 0 (D28).

    Args:
        game: gives the sizes.
        hidden: the widths of the backbone, 256-128-64 in §4.2.5.
        heads: how many values per agent: 1 (reward) or 2 (reward, cost).
        head_hidden: units of each head's hidden layer, or 0.
        generators: one CPU generator per run.
    """

    def __init__(
        self,
        game: Game,
        hidden: Sequence[int],
        heads: int,
        head_hidden: int,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.heads, self.chunks = heads, game.chunks
        self.centre, self.half = (part.unsqueeze(1) for part in game.observation_range())
        first, second, third = hidden
        shapes = [(game.observation_size + game.action_size, first), (2 * first, second), (second, third)]
        shapes += ([(third, heads * head_hidden)] if head_hidden else []) + [(head_hidden or third, heads)]
        self.head_hidden, self.first = head_hidden, first
        self.weights = [w.to(game.device, game.dtype).requires_grad_() for w in initial(shapes, generators, 1)]

    def __call__(self, observation: Tensor, action: Tensor, weights: Sequence[Tensor] | None = None) -> Tensor:
        """Values of all agents.

        Args:
            observation: `[run, batch, agent, feature]`.
            action: `[run, batch, agent, 5 K]`.
            weights: others than the critic's own, such as the target's.
        Returns:
            `[run, batch, agent, head]`.
        """
        w = self.weights if weights is None else weights
        _, batch, agents, _ = observation.shape
        seen = [(observation - self.centre) / self.half, binary_offload(action, self.chunks)]
        own = torch.relu(linear(torch.cat(seen, dim=-1).flatten(1, 2), w[0], w[1]))
        pooled = own.unflatten(1, (batch, agents)).mean(dim=2)
        of_own, of_all = w[2][:, : self.first], w[2][:, self.first :]
        joined = torch.bmm(own, of_own).unflatten(1, (batch, agents)) + linear(pooled, of_all, w[3]).unsqueeze(2)
        rows = torch.relu(linear(torch.relu(joined).flatten(1, 2), w[4], w[5]))
        if self.head_hidden:
            rows = torch.relu(linear(rows, w[6], w[7])).unflatten(-1, (self.heads, self.head_hidden))
            values = (rows * w[8].transpose(1, 2).unsqueeze(1)).sum(dim=-1) + w[9]
        else:
            values = linear(rows, w[6], w[7])
        return values.unflatten(1, (batch, agents))


def copies(weights: Sequence[Tensor]) -> list[Tensor]:
    """Detached copies, the start of a target network."""
    return [weight.detach().clone() for weight in weights]


@torch.no_grad()
def follow(targets: Sequence[Tensor], weights: Sequence[Tensor], polyak: float) -> None:
    r"""Soft target update, Algorithm 1 lines 17-18: $\theta^{target} \leftarrow \tau\theta + (1-\tau)\theta^{target}$.

    Args:
        targets: changed in place.
        weights: what they follow.
        polyak: tau, in (0, 1].
    """
    torch._foreach_lerp_(list(targets), [weight.detach() for weight in weights], polyak)
