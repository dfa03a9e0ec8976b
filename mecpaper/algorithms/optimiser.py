"""Gradients of stacked networks and the optimiser that descends them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def stack_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Compute the Euclidean norm over all weights of each stack: list of `[stack, ., .]` -> `[stack, 1, 1]`."""
    squares = torch.stack([torch.linalg.vector_norm(g, dim=(1, 2)) for g in gradients])
    return torch.linalg.vector_norm(squares, dim=0).view(-1, 1, 1)


def clip_stacks(gradients: Sequence[Tensor], maximum: float) -> Tensor:
    """Scale each stack's gradient in place to a norm of at most `maximum` (§4.2.4); return the norms before."""
    norm = stack_norm(gradients)
    factor = (maximum / (norm + 1e-12)).clamp(max=1.0)
    torch._foreach_mul_(list(gradients), [factor] * len(gradients))
    return norm


class Optimiser:
    """Adam on stacked weights, descending gradients it is handed."""

    def __init__(self, weights: Sequence[Tensor], learning_rate: float) -> None:
        self.weights = list(weights)
        on_gpu = self.weights[0].is_cuda
        self.adam = torch.optim.Adam(self.weights, lr=learning_rate, fused=True, capturable=on_gpu)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Make one step of descent."""
        for weight, grad in zip(self.weights, gradients, strict=True):
            if weight.is_cuda and grad.stride() != weight.stride():
                # The fused step of a GPU refuses gradients whose memory order differs from that of the weights.
                grad = torch.empty_like(weight).copy_(grad)
            weight.grad = grad
        self.adam.step()

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and step counts by name, to be written to in place; made here if no step was made yet."""
        found: dict[str, Tensor] = {}
        for i, weight in enumerate(self.weights):
            state = self.adam.state[weight]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
            found |= {f"{i}.{key}": value for key, value in state.items()}
        return found


def prefixed(prefix: str, tensors: Sequence[Tensor] | dict[str, Tensor]) -> dict[str, Tensor]:
    """Put tensors under a common prefix, for `Learner.tensors`."""
    items = tensors.items() if isinstance(tensors, dict) else enumerate(tensors)
    return {f"{prefix}.{key}": value for key, value in items}
