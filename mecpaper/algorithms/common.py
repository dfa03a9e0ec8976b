"""What the learners share: gradients of stacked networks, their norms, and a step of the optimiser."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gradient(objective: Tensor, weights: Sequence[Tensor], keep: bool = False) -> list[Tensor]:
    """Gradient of a scalar with respect to stacked weights; stacks do not interact, so each gets its own."""
    return list(torch.autograd.grad(objective, weights, retain_graph=keep))


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
        self.adam = torch.optim.Adam(self.weights, lr=learning_rate, fused=True)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of descent."""
        for weight, grad in zip(self.weights, gradients, strict=True):
            weight.grad = grad
        self.adam.step()

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, created if no step was made yet; to be written to in place."""
        named = {}
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
