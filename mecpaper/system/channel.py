"""The wireless uplink (Section 3.3, Eq 5)."""

import math

import torch
from torch import Tensor


def from_decibel(gain_db: Tensor) -> Tensor:
    r"""Convert a gain from dB to linear: $g = 10^{g_{dB}/10}$.

    Args:
        gain_db: any shape, dB.
    Returns:
        the same shape, dimensionless.
    Source: Table 2 (gains in dB).  Deviation: D3.
    """
    return torch.pow(10.0, gain_db / 10.0)


def interference(offload: Tensor, transmit_power: Tensor, gain: Tensor) -> Tensor:
    r"""Compute the power received from all other senders of a chunk index: the sum in Eq. (5), (9) and (12).

    $$I_{nk} = \sum_{n' \ne n} x_{n'k}\, p_{n'k}\, g_{n'k}$$

    Args:
        offload: `[..., device, chunk]`, x.
        transmit_power: `[..., device, chunk]`, p, W.
        gain: `[..., device, chunk]`, g, linear.
    Returns:
        `[..., device, chunk]`, I, W times gain; zero where no other device sends, never negative.
    Source: §3.3, Eq. 5.  Deviation: D4.
    """
    received = offload * transmit_power * gain
    return (received.sum(dim=-2, keepdim=True) - received).clamp(min=0.0)


def shannon_rate(bandwidth: Tensor | float, signal: Tensor, noise: Tensor | float) -> Tensor:
    r"""Compute the capacity of a link, $W \log_2(1 + \text{signal}/\text{noise})$, the form of Eq. (5) and (9).

    Args:
        bandwidth: W, Hz.
        signal: received power of the wanted link, in the unit of `noise`.
        noise: noise plus interference, positive.
    Returns:
        the broadcast shape, bit/s.
    Source: §3.3, Eq. 5.  Deviation: none.
    """
    return bandwidth * torch.log1p(signal / noise) / math.log(2.0)


def upload_rate(
    bandwidth: Tensor | float,
    offload: Tensor,
    transmit_power: Tensor,
    gain: Tensor,
    noise_power: Tensor | float,
    access: str = "full_band",
) -> Tensor:
    r"""Compute the upload rate of a chunk, Eq. (5).

    $$D_{nk}(t) = W \log_2\!\left(1 + \frac{p_{nk} g_{nk}}{\sigma^2 + \sum_{n' \ne n} x_{n'k} p_{n'k} g_{n'k}}\right)$$

    Chunks that are not offloaded get a rate too: the one they would have if they were sent.

    Args:
        bandwidth: W, Hz.
        offload: `[..., device, chunk]`, x in {0, 1}.
        transmit_power: `[..., device, chunk]`, p, W.
        gain: `[..., device, chunk]`, g, linear.
        noise_power: sigma squared, W times gain.
        access: "full_band" shares the band, as printed; with "orthogonal" each of the N devices has W/N and no
            interference (variant of D4).
    Returns:
        `[..., device, chunk]`, D, bit/s.
    Source: §3.3, Eq. 5.  Deviation: D3, D4.
    """
    if access == "orthogonal":
        return shannon_rate(bandwidth / offload.shape[-2], transmit_power * gain, noise_power)
    noise = noise_power + interference(offload, transmit_power, gain)
    return shannon_rate(bandwidth, transmit_power * gain, noise)
