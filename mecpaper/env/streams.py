"""Random streams: one generator per run and purpose, so that no use of random numbers affects another."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from operator import index

import torch

from mecpaper.config import ConfigError


class Stream(IntEnum):
    """Purposes of random numbers. Stored results depend on these values: give a new purpose a new value."""

    WEIGHTS = 0
    GAME = 1
    NOISE = 2
    REPLAY = 3
    SMOOTHING = 4
    EVALUATION = 5
    POLICY = 6
    CHUNKS = 7
    PARALLEL_ENV = 11
    PLAN = 21


def generators(seeds: Sequence[int], stream: int) -> list[torch.Generator]:
    """Make one CPU generator per seed; the streams of one seed are independent.

    Args:
        seeds: one per run, from 0 to 2**31 - 1.
        stream: the purpose, see `Stream`.
    Raises:
        ConfigError: a seed is no integer, or out of range.
    """
    made = []
    for given in seeds:
        # An integer of NumPy would overflow below.
        seed = index(given) if hasattr(given, "__index__") else -1
        if not 0 <= seed < 2**31:
            raise ConfigError(f"seed = {given!r}: an integer from 0 to 2**31 - 1")
        generator = torch.Generator()
        # An odd 64-bit factor spreads (seed, stream) over the generator's seed space.
        generator.manual_seed(((seed * 1_000 + stream + 1) * 0x9E3779B97F4A7C15) % 2**63)
        made.append(generator)
    return made
