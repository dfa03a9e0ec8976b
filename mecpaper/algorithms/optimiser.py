"""Gradients of stacked networks and the optimiser that descends them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor


def stack_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Compute the Euclidean norm over all weights of each stack: list of `[stack, ., .]` -> `[stack, 1, 1]`."""
    squares = torch.stack([torch.linalg.vector_norm(g, dim=(1, 2)) for g in gradients])
    return torch.linalg.vector_norm(squares, dim=0).view(-1, 1, 1)


def clip_factor(norm: Tensor, maximum: float) -> Tensor:
    """Compute what a gradient of a norm is multiplied by to have at most the norm `maximum` (§4.2.4)."""
    return (maximum / (norm + 1e-12)).clamp(max=1.0)


def clip_stacks(gradients: Sequence[Tensor], maximum: float) -> Tensor:
    """Scale each stack's gradient in place to a norm of at most `maximum` (§4.2.4); return the norms before."""
    norm = stack_norm(gradients)
    torch._foreach_mul_(list(gradients), [clip_factor(norm, maximum)] * len(gradients))
    return norm


class Factored:
    """Gradients of several objectives by the weights of stacked layers, held as their factors.

    The gradient by a weight is the product of what its layer read and what flows back into its outputs. With few rows
    both are much smaller than the weights, so norms are computed from them, and only one gradient is written out.

    Args:
        inputs: what each layer read, `[stack, row, in]`.
        flows: of each layer, `[stack, channel, row, out]`; a channel is an objective.
        dtype: of the weights.
    """

    def __init__(self, inputs: Sequence[Tensor], flows: Sequence[Tensor], dtype: torch.dtype) -> None:
        self.inputs, self.flows, self.dtype = list(inputs), list(flows), dtype

    def ones(self) -> Tensor:
        """Coefficients of the sum of all channels, `[stack, channel]`."""
        return self.flows[0].new_ones(self.flows[0].shape[:2], dtype=self.dtype)

    @cached_property
    def products(self) -> Tensor:
        """Inner products of the channels' gradients over all weights of a stack, `[stack, channel, channel]`."""
        parts = []
        for inputs, flows in zip(self.inputs, self.flows, strict=True):
            count, rows = flows.shape[1:3]
            if rows > inputs.shape[2] + flows.shape[3]:
                one = other = torch.cat(_by_channel(inputs, flows), dim=2).flatten(2)
            else:
                # <x'd, x'e> = <x x'd, e>, and the bias reads ones.
                kernel = torch.bmm(inputs, inputs.transpose(1, 2)) + 1.0
                one = torch.bmm(kernel.repeat_interleave(count, dim=0), flows.flatten(0, 1)).view_as(flows).flatten(2)
                other = flows.flatten(2)
            parts.append(torch.bmm(one.to(self.dtype), other.to(self.dtype).transpose(1, 2)))
        return torch.stack(parts).sum(dim=0)

    @property
    def norms(self) -> Tensor:
        """Euclidean norm of each channel's gradient over all weights of a stack, `[stack, channel]`."""
        return self.products.diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt()

    def norm(self, coefficients: Tensor) -> Tensor:
        """Compute the norm of the sum of all channels times `coefficients` `[stack, channel]`: `[stack]`."""
        moved = (self.products @ coefficients.unsqueeze(2)).squeeze(2)
        return (moved * coefficients).sum(dim=1).clamp(min=0.0).sqrt()

    def channels(self) -> list[list[Tensor]]:
        """Compute the gradient of every channel: `[stack, ., .]` for each weight."""
        return [self.combined(unit.expand_as(self.ones())) for unit in torch.eye(len(self.ones()[0])).to(self.ones())]

    def combined(self, coefficients: Tensor) -> list[Tensor]:
        """Compute the sum of all channels times `coefficients` `[stack, channel]`: `[stack, ., .]` for each weight."""
        gradients: list[Tensor] = []
        for inputs, flows in zip(self.inputs, self.flows, strict=True):
            factors = coefficients.to(flows.dtype).unsqueeze(-1).unsqueeze(-1)
            flow = flows[:, 0] * factors[:, 0]
            for channel in range(1, flows.shape[1]):
                flow.addcmul_(flows[:, channel], factors[:, channel])
            gradients += [part.squeeze(1).to(self.dtype) for part in _by_channel(inputs, flow.unsqueeze(1))]
        return gradients


def _by_channel(inputs: Tensor, flows: Tensor) -> list[Tensor]:
    """Gradients by weight and bias: `[stack, row, in]`, `[stack, channel, row, out]` -> `[stack, channel, ., out]`."""
    repeated = inputs.repeat_interleave(flows.shape[1], dim=0) if flows.shape[1] > 1 else inputs
    weight = torch.bmm(repeated.transpose(1, 2), flows.flatten(0, 1))
    return [weight.unflatten(0, flows.shape[:2]), flows.sum(dim=2, keepdim=True)]


class Optimiser:
    """Adam on stacked weights, descending gradients it is handed.

    It calls torch's fused step itself: `torch.optim.Adam` spends as long on its lists as a small network's step takes.
    """

    def __init__(self, weights: Sequence[Tensor], learning_rate: float) -> None:
        self.weights, self.learning_rate = list(weights), learning_rate
        # In memory, so that a step recorded on a GPU sees it change.
        self.rate = torch.full((), learning_rate, device=weights[0].device)
        self.steps = [torch.zeros((), device=weight.device) for weight in weights]
        self.moments, self.squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))

    def set_rate(self, share: float) -> None:
        """Set the learning rate to a share of its first value."""
        self.rate.fill_(share * self.learning_rate)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Make one step of descent."""
        # The fused step reads a gradient in memory order on a CPU, and refuses one of another order on a GPU.
        ordered = [
            grad if grad.stride() == weight.stride() else torch.empty_like(weight).copy_(grad)
            for weight, grad in zip(self.weights, gradients, strict=True)
        ]
        torch._foreach_add_(self.steps, 1)
        torch._fused_adam_(
            self.weights, ordered, self.moments, self.squares, [], self.steps,
            lr=self.rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and step counts by name, to be written to in place."""
        state = {"step": self.steps, "exp_avg": self.moments, "exp_avg_sq": self.squares}
        return {f"{i}.{name}": tensor for name, tensors in state.items() for i, tensor in enumerate(tensors)}


def prefixed(prefix: str, tensors: Sequence[Tensor] | dict[str, Tensor]) -> dict[str, Tensor]:
    """Put tensors under a common prefix, for `Learner.tensors`."""
    items = tensors.items() if isinstance(tensors, dict) else enumerate(tensors)
    return {f"{prefix}.{key}": value for key, value in items}
