"""The rule of Section 3.5 with a fixed number of operations, as a recorded graph needs it."""

from __future__ import annotations

import torch
from torch import Tensor

MARGIN = 1e-5
"""Relative margin in which `settled_offload` counts a request as insecure; larger than rounding in single precision."""


def settled_offload(
    offload: Tensor, sent: Tensor, heard: Tensor, masking: Tensor, noise: Tensor | float, heard_noise: Tensor | float
) -> Tensor:
    r"""Apply the rule of `mecpaper.system.secrecy.executed_offload` after the first pass in exactly N rounds.

    In a shared band, the sign of Eq. (12) is that of an expression linear in x:

    $$D^s_{nk} > 0 \iff p_{nk} g_{nk} \Bigl(\sigma_e^2 + \sum_{n' \ne n} x_{n'k} p_{n'k} (g^e_{n'k})^{min}\Bigr)
      > p_e (g^e_{nk})^{max} \Bigl(\sigma^2 + \sum_{n' \ne n} x_{n'k} p_{n'k} g_{n'k}\Bigr)$$

    so each round is one product with a matrix, in double precision. A request within `MARGIN` of equality is
    processed locally, so that every executed offload also satisfies Eq. (13) in single precision.

    Args:
        offload: `[..., device, chunk]`, x after the first pass.
        sent: `[..., device, chunk]`, p g, what the server receives of a sender.
        heard: `[..., device, chunk]`, p_e times the maximum gain, what the eavesdropper hears.
        masking: `[..., device, chunk]`, p times the minimum gain, what a sender adds to the eavesdropper's noise.
        noise, heard_noise: sigma squared at the server and at the eavesdropper.
    Returns:
        `[..., device, chunk]`, x as executed.
    """
    x = offload.double().transpose(-1, -2)
    heard = (1.0 + MARGIN) * heard.double()
    received, hidden, threat = (part.double().transpose(-1, -2) for part in (sent, masking, heard))
    alone = (sent.double() * heard_noise - heard * noise).transpose(-1, -2).unsqueeze(-1)
    coupling = received.unsqueeze(-1) * hidden.unsqueeze(-2) - threat.unsqueeze(-1) * received.unsqueeze(-2)
    coupling.diagonal(dim1=-2, dim2=-1).zero_()
    shape, devices = x.shape, x.shape[-1]
    x, alone, coupling = x.reshape(-1, devices, 1), alone.reshape(-1, devices, 1), coupling.flatten(0, -3)
    for _ in range(devices):
        # x where the difference is positive, else 0.
        x = torch.ops.aten.threshold_backward(x, torch.baddbmm(alone, coupling, x), 0.0)
    return x.view(shape).transpose(-1, -2).to(offload.dtype)
