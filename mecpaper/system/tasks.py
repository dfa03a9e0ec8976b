"""Video tasks: the decision and the size of a chunk (Section 3.2, Eq 1-2) and the bounds C1-C5."""

from torch import Tensor

VARIABLES = ("offload", "frame_rate", "resolution", "transmit_power", "cpu_frequency")
"""The five decision variables of a chunk in the order of Eq 34."""


def offload_decision(signal: Tensor) -> Tensor:
    r"""Decide whether a chunk is offloaded, Eq. (1) and constraint C1, Eq. (26).

    $$x_{nk} = 1 \text{ if the signal is positive (process at the edge server), else } 0 \text{ (locally)}$$

    Args:
        signal: `[..., device, chunk]`, one output of the actor in [-1, 1].
    Returns:
        `[..., device, chunk]`, x in {0, 1} in the dtype of the signal.
    Source: §3.2, Eq. 1; §3.6, Eq. 26.  Deviation: D30 (the text does not say how tanh becomes binary).
    """
    return (signal > 0).to(signal.dtype)


def scale_to_range(signal: Tensor, minimum: Tensor | float, maximum: Tensor | float) -> Tensor:
    r"""Map an actor output onto an allowed range, constraints C2-C5, Eq. (27)-(30).

    $$v = v_{min} + \tfrac{1}{2}(\mathrm{clip}(u, -1, 1) + 1)(v_{max} - v_{min})$$

    Args:
        signal: `[..., device, chunk]`, u; clipped to [-1, 1].
        minimum, maximum: bounds, broadcastable to the signal, in the unit of the result.
    Returns:
        `[..., device, chunk]`, a value in [minimum, maximum].
    Source: §3.6, Eq. 27-30; §5.1 (tanh output).  Deviation: none.
    """
    span = maximum - minimum
    value = minimum + 0.5 * (signal.clamp(-1.0, 1.0) + 1.0) * span
    return value.clamp(min=minimum, max=maximum)  # type: ignore[arg-type]


def chunk_size(bits_per_pixel: Tensor | float, frame_rate: Tensor, resolution: Tensor) -> Tensor:
    r"""Compute the size of a chunk, Eq. (2).

    $$S_{nk}(t) = \alpha f_{nk}(t) r_{nk}^2(t)$$

    Args:
        bits_per_pixel: alpha, bit/pixel.
        frame_rate: `[..., device, chunk]`, f, frame/s (a chunk is one second of video).
        resolution: `[..., device, chunk]`, r, pixel per side.
    Returns:
        `[..., device, chunk]`, S, bit.
    Source: §3.2, Eq. 2.  Deviation: none.
    """
    return bits_per_pixel * frame_rate * resolution.square()
