"""Latency of local and edge processing (Section 3.3, Eq 3, 4, 21)."""

from torch import Tensor


def local_latency(offload: Tensor, size: Tensor, cycles_per_bit: Tensor | float, cpu_frequency: Tensor) -> Tensor:
    r"""Compute the latency of local processing, Eq. (3).

    $$L^L_{nk}(t) = (1 - x_{nk}) \frac{S_{nk} \xi}{c_{nk}}$$

    Args:
        offload: `[..., device, chunk]`, x.
        size: `[..., device, chunk]`, S, bit.
        cycles_per_bit: xi, cycles/bit.
        cpu_frequency: `[..., device, chunk]`, c, Hz.
    Returns:
        `[..., device, chunk]`, s; zero where the chunk is offloaded.
    Source: §3.3, Eq. 3.  Deviation: none.
    """
    return (1.0 - offload) * size * cycles_per_bit / cpu_frequency


def offload_latency(
    offload: Tensor,
    size: Tensor,
    upload_rate: Tensor,
    cycles_per_bit: Tensor | float,
    server_frequency: Tensor | float,
) -> Tensor:
    r"""Compute the latency of edge processing, upload plus server, Eq. (4).

    $$L^M_{nk}(t) = x_{nk} \left(\frac{S_{nk}}{D_{nk}} + \frac{S_{nk} \xi}{MEC_c}\right)$$

    Args:
        offload: `[..., device, chunk]`, x.
        size: `[..., device, chunk]`, S, bit.
        upload_rate: `[..., device, chunk]`, D, bit/s.
        cycles_per_bit: xi, cycles/bit.
        server_frequency: MEC_c, Hz; every chunk has the whole server, however many are offloaded.
    Returns:
        `[..., device, chunk]`, s; zero where the chunk stays local.
    Source: §3.3, Eq. 4.  Deviation: none.
    """
    return offload * (size / upload_rate + size * cycles_per_bit / server_frequency)


def total_latency(local: Tensor, offloaded: Tensor) -> Tensor:
    r"""Compute the latency of a chunk, Eq. (21): $L_{nk} = L^L_{nk} + L^M_{nk}$.

    Args:
        local, offloaded: `[..., device, chunk]`, s; one of the two is zero.
    Returns:
        `[..., device, chunk]`, s.
    Source: §3.6, Eq. 21.  Deviation: none.
    """
    return local + offloaded
