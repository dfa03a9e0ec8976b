"""The eavesdropper and the secrecy constraint (Section 3.5, Eq 9-13, C6)."""

from collections.abc import Callable

import torch
from torch import Tensor

from mecpaper.system.channel import from_decibel, interference, shannon_rate


def draw_gain(uniform: Tensor, minimum_db: Tensor | float, maximum_db: Tensor | float) -> Tensor:
    r"""Draw the true channel gain, Eq. (10): $g_{nk}(t) \sim U[g_{min}, g_{max}]$.

    Args:
        uniform: `[..., device, chunk]`, draws from [0, 1).
        minimum_db, maximum_db: g_min and g_max, dB.
    Returns:
        `[..., device, chunk]`, dB.
    Source: §3.5, Eq. 10.  Deviation: D5 (one symbol for two links).
    """
    return minimum_db + uniform * (maximum_db - minimum_db)


def estimated_gain_set(
    true_db: Tensor, uniform: Tensor, error: Tensor | float, unit: str = "decibel", centre: str = "estimate"
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Estimate the eavesdropper's gain and the worst cases around it, Eq. (11).

    $$g^e_{nk} \sim U[g_{nk} - \rho,\, g_{nk} + \rho], \qquad
      (g^e_{nk})^{max} = g^e_{nk} + \rho, \quad (g^e_{nk})^{min} = g^e_{nk} - \rho$$

    Args:
        true_db: `[..., device, chunk]`, true gain, dB.
        uniform: `[..., device, chunk]`, draws from [0, 1).
        error: rho, in dB with unit "decibel"; with unit "linear" a linear gain, for which the caller takes the
            same share of the linear maximum, $0.1 \cdot 10^{g_{max}/10}$.
        unit: "decibel" or "linear" (D7).
        centre: "estimate", or "true_gain" for the set around the true gain, $g_{nk} \pm \rho$ (D7).
    Returns:
        estimate, maximum and minimum of the set, each `[..., device, chunk]`, linear and not negative.
    Source: §3.5, Eq. 11-12.  Deviation: D7.
    """
    offset = (2.0 * uniform - 1.0) * error
    if unit == "linear":
        true = from_decibel(true_db)
        estimate = (true + offset).clamp(min=0.0)
        middle = true if centre == "true_gain" else estimate
        return estimate, middle + error, (middle - error).clamp(min=0.0)
    estimate_db = true_db + offset
    middle = true_db if centre == "true_gain" else estimate_db
    return from_decibel(estimate_db), from_decibel(middle + error), from_decibel(middle - error)


def eavesdropping_rate(
    bandwidth: Tensor | float,
    eavesdropper_power: Tensor | float,
    wanted_gain: Tensor,
    offload: Tensor,
    transmit_power: Tensor,
    interfering_gain: Tensor,
    noise_power: Tensor | float,
    access: str = "full_band",
) -> Tensor:
    r"""Compute the eavesdropper's rate for a chunk, Eq. (9); with worst-case gains, the last term of Eq. (12).

    $$D^e_{nk}(t) = W \log_2\!\left(1 + \frac{p_e g^e_{nk}}
      {\sigma_e^2 + \sum_{n' \ne n} x_{n'k} p_{n'k} g^e_{n'k}}\right)$$

    Args:
        bandwidth: W, Hz.
        eavesdropper_power: p_e, W (D6).
        wanted_gain: `[..., device, chunk]`, gain of the chunk that is listened to, linear.
        offload, transmit_power: `[..., device, chunk]`, x and p of all devices.
        interfering_gain: `[..., device, chunk]`, gain of every device as an interferer, linear.
        noise_power: sigma_e squared.
        access: as in `channel.upload_rate` (D4).
    Returns:
        `[..., device, chunk]`, bit/s.
    Source: §3.5, Eq. 9.  Deviation: D4, D6.
    """
    if access == "orthogonal":
        return shannon_rate(bandwidth / offload.shape[-2], eavesdropper_power * wanted_gain, noise_power)
    noise = noise_power + interference(offload, transmit_power, interfering_gain)
    return shannon_rate(bandwidth, eavesdropper_power * wanted_gain, noise)


def secrecy_rate(
    upload_rate: Tensor,
    bandwidth: Tensor | float,
    eavesdropper_power: Tensor | float,
    maximum_gain: Tensor,
    minimum_gain: Tensor,
    offload: Tensor,
    transmit_power: Tensor,
    noise_power: Tensor | float,
    access: str = "full_band",
) -> Tensor:
    r"""Compute the worst-case secrecy rate, Eq. (12): upload rate minus the eavesdropper's maximum rate.

    $$D^s_{nk}(t) = D_{nk}(t) - W \log_2\!\left(1 + \frac{p_e (g^e_{nk})^{max}}
      {\sigma_e^2 + \sum_{n' \ne n} x_{n'k} p_{n'k} (g^e_{n'k})^{min}}\right)$$

    Args:
        upload_rate: `[..., device, chunk]`, D, bit/s.
        maximum_gain, minimum_gain: `[..., device, chunk]`, the worst cases of `estimated_gain_set`, linear.
        others: as in `eavesdropping_rate`.
    Returns:
        `[..., device, chunk]`, bit/s; negative where the eavesdropper's rate exceeds the upload rate.
    Source: §3.5, Eq. 12.  Deviation: D6, D7, D10.
    """
    return upload_rate - eavesdropping_rate(
        bandwidth, eavesdropper_power, maximum_gain, offload, transmit_power, minimum_gain, noise_power, access
    )


def is_secure(secrecy_rate: Tensor) -> Tensor:
    r"""Test the secrecy condition, Eq. (13) and constraint C6, Eq. (31): $D^s_{nk}(t) > 0$.

    Args:
        secrecy_rate: `[..., device, chunk]`, bit/s.
    Returns:
        boolean, the same shape.
    Source: §3.5, Eq. 13; §3.6, Eq. 31.  Deviation: D10.
    """
    return secrecy_rate > 0


def executed_offload(requested: Tensor, secure_given: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    r"""Turn insecure requests into local execution until every executed offload is secure, §3.5.

    Removing a sender lowers the interference at the server and at the eavesdropper alike. A request that was secure
    among all requests may therefore be insecure among those that remain. The rule is applied again until nothing
    changes: the set only shrinks, so this takes at most N rounds, and C6 holds at the end.

    Args:
        requested: `[..., device, chunk]`, x as asked for.
        secure_given: maps an offloading decision to a boolean `[..., device, chunk]`: the chunks that satisfy
            Eq. (13) under it.
    Returns:
        executed: `[..., device, chunk]`, x after the mask, in {0, 1}.
        first_pass: boolean, the requests that are secure if all requests are executed.
    Source: §3.5, last paragraph.  Deviation: D9, D36.
    """
    first_pass = secure_given(requested) & (requested > 0)
    executed = first_pass.to(requested.dtype)
    while True:
        kept = (secure_given(executed) & (executed > 0)).to(requested.dtype)
        if torch.equal(kept, executed):
            return executed, first_pass
        executed = kept
