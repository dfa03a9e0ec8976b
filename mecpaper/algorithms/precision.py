"""The precision of products: reduced where the hardware is faster for it; the paper says nothing of it.

In reduced precision all layers but the last read copies of their weights in bfloat16 and pass activations in bfloat16;
sums within a product are in single precision. Weights, moments, targets, the last layers, values, losses, the
gradients' norms and all the game stay in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def product_dtype(precision: str, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.dtype:
    """Resolve `precision` of params.yaml on a device.

    Args:
        precision: "float32", "bfloat16", or "auto": the latter where the device has instructions for its products.
        device: where the products are computed.
        dtype: of the weights; only single precision is ever reduced.
    """
    if dtype != torch.float32 or precision == "float32":
        return dtype
    return torch.bfloat16 if precision == "bfloat16" or _has_bfloat16(device) else dtype


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


class Reading:
    """Weights as products read them: the weights themselves, or copies of all but the last layer in reduced precision.

    Args:
        weights: weight and bias of each layer in turn.
        dtype: of the products.
    """

    def __init__(self, weights: Sequence[Tensor], dtype: torch.dtype) -> None:
        self._copied = [] if dtype == weights[0].dtype else list(weights[:-2])
        self._copies = [weight.detach().to(dtype) for weight in self._copied]
        self.weights = [*self._copies, *weights[len(self._copies) :]]

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the weights after they have changed."""
        if self._copies:
            torch._foreach_copy_(self._copies, self._copied)
