"""Video quality, cost, penalty and reward (Section 3.6, Eq 14-20, 23-25)."""

import torch
from torch import Tensor

Weights = tuple[Tensor, Tensor] | tuple[float, float]
"""Two weights that sum to 1: numbers, or tensors with one value per run, broadcastable to what they weigh."""


def accuracy(
    resolution: Tensor, ceiling: Tensor | float = 0.988, drop: Tensor | float = 4.469, scale: Tensor | float = 200.0
) -> Tensor:
    r"""Compute the parsing accuracy of a chunk, Eq. (16).

    $$a_{nk}(t) = 0.988 - 4.469\, e^{-r_{nk}(t)/200}$$

    Args:
        resolution: `[..., device, chunk]`, r, pixel.
        ceiling, drop, scale: the three constants of Eq. 16; scale in pixel.
    Returns:
        `[..., device, chunk]`, dimensionless; negative below about 302 pixel.
    Source: §3.6, Eq. 16.  Deviation: D13.
    """
    return ceiling - drop * torch.exp(-resolution / scale)


def measured_accuracy(resolution: Tensor, points: Tensor, coefficients: Tensor) -> Tensor:
    r"""Interpolate measured accuracy, in the place of Eq. (16).

    $$a(r) = \sum_{j=0}^{3} c_{ij}\, (r - r_i)^{3 - j}, \qquad r_i \le r < r_{i+1}$$

    Args:
        resolution: `[..., device, chunk]`, r, pixel.
        points: `[point]`, r_i, the measured resolutions, pixel, rising.
        coefficients: `[4, point - 1]`, c, of piecewise cubic polynomials.
    Returns:
        `[..., device, chunk]`, dimensionless; beyond the points the outer polynomials go on.
    Source: §3.6, Eq. 16.  Deviation: D45.
    """
    piece = torch.bucketize(resolution.detach().contiguous(), points[1:-1], right=True)
    step = resolution - points[piece]
    value = torch.zeros_like(step)
    for coefficient in coefficients:
        value = value * step + coefficient[piece]
    return value


def running_mean(mean: Tensor, value: Tensor, slot: int) -> Tensor:
    r"""Update the mean over the slots so far, the form of Eq. (15) and (17).

    $$\bar v(t) = \frac{1}{t} \sum_{t'=1}^{t} v(t') = \bar v(t-1) + \frac{v(t) - \bar v(t-1)}{t}$$

    Args:
        mean: `[..., device, chunk]`, mean over the first `slot - 1` slots (any finite value at slot 1).
        value: `[..., device, chunk]`, v(t).
        slot: t, counted from 1.
    Returns:
        `[..., device, chunk]`, mean over the first `slot` slots.
    Source: §3.6, Eq. 15, 17.  Deviation: D11 (the state of Eq. 32 does not hold these means).
    """
    return mean + (value - mean) / slot


def frame_smoothness(frame_rate: Tensor, maximum: Tensor | float) -> Tensor:
    r"""Compute the frame smoothness, Eq. (18): $f^{fs}_{nk}(t) = f_{nk}(t)/f_{max}$.

    Args:
        frame_rate: `[..., device, chunk]`, f, frame/s.
        maximum: F_max, frame/s.
    Returns:
        `[..., device, chunk]`, in (0, 1].
    Source: §3.6, Eq. 18.  Deviation: none.
    """
    return frame_rate / maximum


def frame_change(frame_rate: Tensor, previous: Tensor | None, rule: str = "literal") -> Tensor:
    r"""Compute the frame-rate change factor, Eq. (19).

    $$f^{fc}_{nk}(t) = 1 - \frac{|f_{nk}(t) - f_{nk}(t-1)|}{f_{nk}(t-1)}$$

    Args:
        frame_rate: `[..., device, chunk]`, f(t), frame/s.
        previous: f(t-1), or None at the first slot, where the factor is 1 (f(0) is undefined).
        rule: "literal", negative when f more than doubles, or "clipped" at 0 (D12).
    Returns:
        `[..., device, chunk]`, at most 1.
    Source: §3.6, Eq. 19.  Deviation: D12.
    """
    if previous is None:
        return torch.ones_like(frame_rate)
    factor = 1.0 - (frame_rate - previous).abs() / previous
    return factor.clamp(min=0.0) if rule == "clipped" else factor


def smoothness(frame_smoothness: Tensor, frame_change: Tensor) -> Tensor:
    r"""Compute the smoothness of one slot, the summand of Eq. (17): $f^{fs}_{nk}(t')\, f^{fc}_{nk}(t')$.

    Args:
        frame_smoothness, frame_change: `[..., device, chunk]`, Eq. 18 and 19.
    Returns:
        `[..., device, chunk]`; its `running_mean` is F of Eq. 17.
    Source: §3.6, Eq. 17.  Deviation: D11, D12.
    """
    return frame_smoothness * frame_change


def recognition_quality(weights: Weights, mean_accuracy: Tensor, mean_smoothness: Tensor) -> Tensor:
    r"""Compute the video recognition quality, Eq. (14): $V_{nk}(t) = \mu_1 A_{nk}(t) + \mu_2 F_{nk}(t)$.

    Args:
        weights: mu_1, mu_2, which sum to 1.
        mean_accuracy: `[..., device, chunk]`, A of Eq. 15.
        mean_smoothness: `[..., device, chunk]`, F of Eq. 17.
    Returns:
        `[..., device, chunk]`, below 1.
    Source: §3.6, Eq. 14.  Deviation: none.
    """
    return weights[0] * mean_accuracy + weights[1] * mean_smoothness


def compute_cost(weights: Weights, latency: Tensor, energy: Tensor) -> Tensor:
    r"""Compute the computational cost, Eq. (20): $C_{nk}(t) = \beta_1 L_{nk}(t) + \beta_2 E_{nk}(t)$.

    Args:
        weights: beta_1 (per s), beta_2 (per J), which sum to 1.
        latency: `[..., device, chunk]`, L, s.
        energy: `[..., device, chunk]`, E, J.
    Returns:
        `[..., device, chunk]`, dimensionless.
    Source: §3.6, Eq. 20.  Deviation: D14.
    """
    return weights[0] * latency + weights[1] * energy


def battery_penalty(threshold: Tensor | float, battery: Tensor) -> Tensor:
    r"""Compute the penalty for a battery below its threshold, Eq. (23): $P_{nk}(t) = \max(B_T - E^r_n(t), 0)$.

    Args:
        threshold: B_T, J, broadcastable to `[..., device]`.
        battery: `[..., device]`, E^r at the start of slot t, J (D32).
    Returns:
        `[..., device]`, J, the same for each chunk of a device.
    Source: §3.6, Eq. 23.  Deviation: D14, D32.
    """
    return (threshold - battery).clamp(min=0.0)


def device_reward(quality: Tensor, cost: Tensor, penalty: Tensor) -> Tensor:
    r"""Compute the reward of a device in a slot, Eq. (24) and (36).

    $$R_n(t) = \sum_{k=1}^{K} \bigl(V_{nk}(t) - C_{nk}(t) - P_{nk}(t)\bigr)$$

    Args:
        quality: `[..., device, chunk]`, V.
        cost: `[..., device, chunk]`, C.
        penalty: `[..., device]`, P; it enters once per chunk, so K times.
    Returns:
        `[..., device]`, R_n, dimensionless.
    Source: §3.6, Eq. 24; §4.1.3, Eq. 36.  Deviation: D14, D20.
    """
    return (quality - cost - penalty.unsqueeze(-1)).sum(dim=-1)


def objective(rewards: Tensor) -> Tensor:
    r"""Compute the objective of the whole system over an episode, Eq. (25): $\sum_t \sum_n R_n(t)$.

    Args:
        rewards: `[..., slot, device]`, R_n(t).
    Returns:
        `[...]`, dimensionless.
    Source: §3.6, Eq. 25.  Deviation: D31 (cited as Eq. 26 in the text).
    """
    return rewards.sum(dim=(-2, -1))
