"""Stacked networks: every run and every network of a run is one slice of a weight tensor, so one product serves all.

Weights are plain leaf tensors in a list, which is what the optimiser, the target update and the checkpoint
work on; products may read copies of them in reduced precision (`mecpaper.algorithms.precision`). Activations are
overwritten where nothing needs them again; the actors' backward pass is written out, because both channels of the
policy gradient (Eq. 45-48) then share every product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mecpaper.algorithms.optimiser import Factored
from mecpaper.algorithms.precision import Reading
from mecpaper.config import LearningConfig
from mecpaper.env.game import Game
from mecpaper.system.tasks import VARIABLES

NARROW = 16
"""Products of fewer columns are computed transposed, since libraries are slow on few columns, but not on few rows."""


class Narrow(torch.autograd.Function):
    """A stacked affine map to few columns, transposed: all its products are but that of the gradient by the inputs,
    which goes to a rectifier, many times as slow on a transposed gradient."""

    @staticmethod
    def forward(context: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Apply the map: arguments as for `linear`; returns `[s, out, row]`."""
        context.save_for_backward(inputs, weight)
        return torch.baddbmm(*(part.transpose(1, 2) for part in (bias, weight, inputs)))

    @staticmethod
    def backward(context: Any, flow: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiate by inputs, weight and bias, as far as they ask for it."""
        inputs, weight = context.saved_tensors
        by_inputs, by_weight, by_bias = context.needs_input_grad
        return (
            torch.bmm(flow.transpose(1, 2), weight.transpose(1, 2)) if by_inputs else None,
            torch.bmm(flow, inputs).transpose(1, 2) if by_weight else None,
            flow.sum(dim=2, keepdim=True).transpose(1, 2) if by_bias else None,
        )


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a stacked affine map in the weights' precision: `[s, row, in]`, `[s, in, out]`, `[s, 1, out]` ->
    `[s, row, out]`."""
    inputs = inputs.to(weight.dtype)
    if weight.shape[-1] < NARROW:
        return Narrow.apply(inputs, weight, bias).transpose(1, 2)
    return torch.baddbmm(bias, inputs, weight)


def initial(shapes: Sequence[tuple[int, int]], generators: Sequence[torch.Generator], stacks: int) -> list[Tensor]:
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


@dataclass(frozen=True)
class Trace:
    """What the backward pass of the actors needs: what every layer read, `[stack, row, in]` each."""

    inputs: list[Tensor]


class Actors:
    """Actors of all runs: observation -> 256-128-64 ReLU -> tanh, §5.1.

    Args:
        game: gives the sizes and the range of the observation.
        learning: the widths, whether the agents of a run share one actor (D19), and where the policy starts (D40).
        generators: one CPU generator per run.
        products: the precision of products; by default that of the game.
    """

    def __init__(
        self,
        game: Game,
        learning: LearningConfig,
        generators: Sequence[torch.Generator],
        products: torch.dtype | None = None,
    ) -> None:
        self.runs, self.agents = game.runs, game.devices
        self.agents_per_stack = game.devices if learning.actor == "shared" else 1
        self.stacks = game.runs * game.devices // self.agents_per_stack
        sizes = [game.observation_size, *learning.hidden, game.action_size]
        self.centre, self.half = (part.unsqueeze(1) for part in game.observation_range())
        weights = initial(list(pairwise(sizes)), generators, self.stacks // game.runs)
        for last in weights[-2:]:
            last *= learning.actor_output_start
        self.weights = [w.to(game.device, game.dtype) for w in weights]
        self.reading = Reading(self.weights, products or game.dtype)

    def forward(self, observation: Tensor, weights: Sequence[Tensor] | None = None) -> tuple[Tensor, Trace]:
        """Compute the outputs before the tanh, and what `gradient` needs.

        Args:
            observation: `[run, batch, agent, feature]`, as the game gives it.
            weights: others than the actors' own, such as the targets'.
        Returns:
            `[run, batch, agent, 5 K]`, and the trace.
        """
        weights = self.reading.weights if weights is None else weights
        rows = ((observation - self.centre) / self.half).transpose(1, 2)
        rows = rows.reshape(self.stacks, -1, observation.shape[-1])
        inputs = []
        for layer in range(0, len(weights) - 2, 2):
            inputs.append(rows.to(weights[layer].dtype))
            rows = linear(inputs[-1], weights[layer], weights[layer + 1]).relu_()
        inputs.append(rows.to(weights[-2].dtype))
        raw = linear(inputs[-1], weights[-2], weights[-1])
        return raw.view(self.runs, self.agents, -1, raw.shape[-1]).transpose(1, 2), Trace(inputs)

    def __call__(self, observation: Tensor, weights: Sequence[Tensor] | None = None) -> Tensor:
        """Compute actions in [-1, 1], `[run, batch, agent, 5 K]`; arguments as for `forward`."""
        return torch.tanh(self.forward(observation, weights)[0])

    def gradient(self, trace: Trace, channels: Sequence[Tensor]) -> Factored:
        """Differentiate several objectives by the weights, in one backward pass for all of them.

        Args:
            trace: of the forward pass with the same weights.
            channels: each objective's gradient with respect to the outputs before the tanh,
                `[run, batch, agent, 5 K]`.
        """
        weights = self.reading.weights[::2]
        flow = torch.stack([part.transpose(1, 2).reshape(self.stacks, -1, part.shape[-1]) for part in channels], dim=1)
        flows = [flow]
        for inputs, weight in zip(trace.inputs[:0:-1], weights[:0:-1], strict=True):
            back = torch.bmm(flow.flatten(1, 2), weight.transpose(1, 2)).unflatten(1, flow.shape[1:3])
            # What the rectifier of the layer before let pass.
            flow = torch.ops.aten.threshold_backward(back, inputs.unsqueeze(1), 0.0)
            flow = flow.to(trace.inputs[-1 - len(flows)].dtype)
            flows.append(flow)
        return Factored(trace.inputs, flows[::-1], self.weights[0].dtype)


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
    """Centralised critics of all runs: a value per agent from all agents' observations (and actions).

    Four readings of who owns a critic (D19), all with the backbone 256-128-64 of §4.2.5:

    - "pooled": one critic per run, shared by the agents. Its first layer is computed for every agent; the mean over
      all agents joins the agent's own features in the second layer. Each value depends on all agents, at the cost of a
      critic that sees one.
    - "channel": as "pooled", but what joins are messages that an agent makes of its gains, offloading decisions and
      powers: by Eq. 5 and 12 nothing else of it reaches the rewards of others, and what the critic cannot see it cannot
      take for a cause.
    - "separate": a critic for each agent, on the joint observation and action; the policy gradient reaches an agent's
      own action only.
    - "joint": one critic on the joint observation and action, with an output for each agent.

    A head is one layer of `head_hidden` units, with ReLU or linear (D28), and a linear output; or a linear output alone
    when `head_hidden` is 0. Several whole critics side by side (`copies`) serve twin critics and fully separate ones.

    Args:
        game: gives the sizes.
        hidden: the widths of the backbone.
        generators: one CPU generator per run.
        kind: "pooled", "channel", "separate" or "joint".
        heads: values per agent and copy.
        head_hidden: units of each head's hidden layer, or 0.
        head_relu: False leaves out the ReLU behind them.
        copies: critics side by side, which share nothing.
        sees_action: False makes it a critic of states.
        products: the precision of products; by default that of the game.
    """

    def __init__(
        self,
        game: Game,
        hidden: Sequence[int],
        generators: Sequence[torch.Generator],
        kind: str = "pooled",
        heads: int = 1,
        head_hidden: int = 0,
        head_relu: bool = True,
        copies: int = 1,
        sees_action: bool = True,
        products: torch.dtype | None = None,
    ) -> None:
        self.kind, self.heads, self.copies = kind, heads, copies
        self.head_hidden, self.head_relu = head_hidden, head_relu
        self.runs, self.agents, self.chunks, self.sees_action = game.runs, game.devices, game.chunks, sees_action
        self.actions = game.action_size if sees_action else 0
        self.centre, self.half = (part.unsqueeze(1) for part in game.observation_range())
        self.features = game.observation_size + self.actions
        first, second, third = hidden
        self.shared = kind in ("pooled", "channel")
        self.stacks = copies * (game.devices if kind == "separate" else 1)
        self.groups = heads * (game.devices if kind == "joint" else 1)
        inputs = self.features if self.shared else self.features * game.devices
        told = {"pooled": first, "channel": third}.get(kind, 0)
        shapes = [(inputs, first), (first + told, second), (second, third)]
        shapes += [(third, self.groups * head_hidden)] if head_hidden else []
        shapes.append((head_hidden or third, self.groups))
        self._audible = torch.tensor(_audible(game, sees_action), device=game.device)
        shapes += [(len(self._audible), told)] if kind == "channel" else []
        weights = initial(shapes, generators, self.stacks)
        if kind == "channel":
            weights[4:4] = [weights.pop(-2), weights.pop()]
        if self.shared:
            parts = weights[2].split([first, told], dim=1)
            weights[2:3] = [part.clone(memory_format=torch.contiguous_format) for part in parts]
        self.weights = [w.to(game.device, game.dtype) for w in weights]
        self.reading = Reading(self.weights, products or game.dtype)
        for weight in self.reading.weights:
            weight.requires_grad_()
        self._own_head = torch.eye(self.groups, device=game.device, dtype=game.dtype)
        rows = torch.arange(game.devices * self.features, device=game.device).view(game.devices, self.features)
        self._own_rows = rows[:, game.observation_size :]

    def __call__(
        self, observation: Tensor, action: Tensor | None = None, weights: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Compute the values of all agents.

        Args:
            observation: `[run, batch, agent, feature]`.
            action: `[run, batch, agent, 5 K]`, or None for a critic of states.
            weights: others than the critic's own, such as the target's.
        Returns:
            `[run, batch, agent, copy * head]`, the heads of a copy side by side.
        """
        w = self.reading.weights if weights is None else list(weights)
        batch = observation.shape[1]
        seen = (observation - self.centre) / self.half
        if action is not None:
            seen = torch.cat([seen, binary_offload(action, self.chunks)], dim=-1)
        if self.shared:
            rows, tail = self._pooled(seen, w), 5 if self.kind == "pooled" else 7
        else:
            rows, tail = self._joined(seen, action, w), 4
        rows = linear(rows, w[tail], w[tail + 1]).relu_()
        values = self._head_values(rows, w[tail + 2 :])
        if self.kind == "separate":
            values = values.view(self.runs, self.copies, self.agents, batch, self.heads).permute(0, 3, 2, 1, 4)
        else:
            values = values.view(self.runs, self.copies, batch, self.agents, self.heads).permute(0, 2, 3, 1, 4)
        return values.flatten(3)

    def _pooled(self, seen: Tensor, w: list[Tensor]) -> Tensor:
        """Compute two layers: `[run, batch, agent, feature]` -> `[run * copy, batch * agent, second]`."""
        batch = seen.shape[1]
        rows = seen.flatten(1, 2)
        if self.copies > 1:
            rows = rows.repeat_interleave(self.copies, dim=0)
        own = linear(rows, w[0], w[1]).relu_()
        told = own if self.kind == "pooled" else linear(rows[..., self._audible], w[5], w[6]).relu_()
        mean = told.unflatten(1, (batch, self.agents)).mean(dim=2)
        joined = torch.bmm(own, w[2]).unflatten(1, (batch, self.agents))
        return (joined + linear(mean, w[3], w[4]).unsqueeze(2)).relu_().flatten(1, 2)

    def _joined(self, seen: Tensor, action: Tensor | None, w: list[Tensor]) -> Tensor:
        """Compute two layers on the joint input: `[run, batch, agent, feature]` -> `[run * stack, batch, second]`."""
        joint = seen.flatten(2)
        own_only = self.kind == "separate" and action is not None and action.requires_grad
        if own_only:
            joint = joint.detach()
        # For a single run a view, which every stack reads.
        rows = joint.unsqueeze(1).expand(-1, self.stacks, -1, -1).flatten(0, 1)
        first = linear(rows, w[0], w[1])
        if own_only:
            # Adds zero, and carries the gradient to each agent's own action alone.
            own = seen[..., -self.actions :]
            delta = (own - own.detach()).transpose(1, 2).unsqueeze(1).expand(-1, self.copies, -1, -1, -1)
            weight = w[0].view(self.runs, self.copies, self.agents, -1, w[0].shape[-1])
            picked = weight[:, :, torch.arange(self.agents, device=joint.device).unsqueeze(1), self._own_rows]
            first = linear(delta.flatten(0, 2), picked.flatten(0, 2), first)
        return linear(first.relu_(), w[2], w[3]).relu_()

    def _head_values(self, rows: Tensor, w: list[Tensor]) -> Tensor:
        """`[stack, row, third]` -> `[stack, row, group]`."""
        if self.head_hidden:
            rows = linear(rows, w[0], w[1])
            rows = rows.relu_() if self.head_relu else rows
            # The heads' output layers as one product with zeros between different heads.
            apart = w[2].transpose(1, 2).unsqueeze(-1) * self._own_head.unsqueeze(1)
            return linear(rows, apart.flatten(1, 2), w[3])
        return linear(rows, w[0], w[1])


def _audible(game: Game, sees_action: bool) -> list[int]:
    """Find the columns of an agent's observation and action that enter the rates of others, Eq. 5 and 12."""
    columns = [i for i, name in enumerate(game.observation_names) if name.startswith("gain_db_")]
    if sees_action:
        heard = [i for i, name in enumerate(VARIABLES) if name in ("offload", "transmit_power")]
        starts = range(game.observation_size, game.observation_size + game.action_size, len(VARIABLES))
        columns += [start + i for start in starts for i in heard]
    return columns


def copies(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copy weights, detached: the start of a target network."""
    return [weight.detach().clone() for weight in weights]


@torch.no_grad()
def follow(targets: Sequence[Tensor], weights: Sequence[Tensor], polyak: float) -> None:
    r"""Move targets, Algorithm 1 lines 17-18: $\theta^{target} \leftarrow \tau\theta + (1-\tau)\theta^{target}$.

    Args:
        targets: changed in place.
        weights: what they follow.
        polyak: tau, in (0, 1].
    """
    torch._foreach_lerp_(list(targets), [weight.detach() for weight in weights], polyak)
