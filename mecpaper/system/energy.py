"""Energy of local and edge processing and the battery (Section 3.4, Eq 6-8, 22)."""

from torch import Tensor


def local_energy(
    offload: Tensor,
    energy_coefficient: Tensor | float,
    cpu_frequency: Tensor,
    size: Tensor,
    cycles_per_bit: Tensor | float,
) -> Tensor:
    r"""Compute the energy of local processing, Eq. (6).

    $$E^L_{nk}(t) = (1 - x_{nk})\, \varsigma\, c_{nk}^2\, S_{nk}\, \xi$$

    Args:
        offload: `[..., device, chunk]`, x.
        energy_coefficient: varsigma, J s^2 per cycle^3.
        cpu_frequency: `[..., device, chunk]`, c, Hz.
        size: `[..., device, chunk]`, S, bit.
        cycles_per_bit: xi, cycles/bit.
    Returns:
        `[..., device, chunk]`, J; zero where the chunk is offloaded.
    Source: §3.4, Eq. 6.  Deviation: D1 (a parenthesis is missing in print).
    """
    return (1.0 - offload) * energy_coefficient * cpu_frequency.square() * size * cycles_per_bit


def offload_energy(offload: Tensor, transmit_power: Tensor, size: Tensor, upload_rate: Tensor) -> Tensor:
    r"""Compute the energy of the upload, Eq. (7).

    $$E^M_{nk}(t) = x_{nk}\, p_{nk} \frac{S_{nk}}{D_{nk}}$$

    Args:
        offload: `[..., device, chunk]`, x.
        transmit_power: `[..., device, chunk]`, p, W.
        size: `[..., device, chunk]`, S, bit.
        upload_rate: `[..., device, chunk]`, D, bit/s.
    Returns:
        `[..., device, chunk]`, J; zero where the chunk stays local.
    Source: §3.4, Eq. 7.  Deviation: none.
    """
    return offload * transmit_power * size / upload_rate


def total_energy(local: Tensor, offloaded: Tensor) -> Tensor:
    r"""Compute the energy of a chunk, Eq. (22): $E_{nk} = E^L_{nk} + E^M_{nk}$.

    Args:
        local, offloaded: `[..., device, chunk]`, J; one of the two is zero.
    Returns:
        `[..., device, chunk]`, J.
    Source: §3.6, Eq. 22.  Deviation: none.
    """
    return local + offloaded


def next_battery(battery: Tensor, energy: Tensor, harvest: Tensor, capacity: Tensor | float) -> Tensor:
    r"""Compute the energy in the battery at the start of the next slot, Eq. (8).

    $$E^r_n(t+1) = \mathrm{clip}\Bigl(E^r_n(t) - \sum_k E_{nk}(t) + E^{up}_n(t),\; 0,\; B_{max}\Bigr)$$

    Args:
        battery: `[..., device]`, E^r at the start of the slot, J.
        energy: `[..., device, chunk]`, E_nk, J.
        harvest: `[..., device]`, E^up, J.
        capacity: B_max, J, broadcastable to `[..., device]`.
    Returns:
        `[..., device]`, J, in [0, B_max].
    Source: §3.4, Eq. 8.  Deviation: D2 (the printed `max` with B_max would keep every battery full), D37 (what is
    missing at 0 is free).
    """
    level = battery - energy.sum(dim=-1) + harvest
    return level.clamp(min=0.0).clamp(max=capacity)
