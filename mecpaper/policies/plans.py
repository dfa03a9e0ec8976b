"""Plans: policies that a short vector describes, which the planner searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mecpaper.env.game import Game
from mecpaper.env.measures import Measures, Policy
from mecpaper.env.streams import Stream, generators

SIGNALS = (
    "local_frame_rate", "local_resolution", "local_cpu_frequency",
    "offload_frame_rate", "offload_resolution", "offload_transmit_power",
)  # fmt: skip
"""The actor outputs that a plan sets, in [-1, 1], for chunks that stay local and for chunks that are sent."""

LOCAL = SIGNALS.index("offload_frame_rate")
"""Number of signals of a local chunk; those of a sent chunk follow."""

GAIN = ("threshold", *(f"{signal}_slope" for signal in SIGNALS[LOCAL:]))
"""What a plan that sees its own gain adds: the level above which a sender sends, and slopes over the level."""


@dataclass(frozen=True)
class Plan:
    """A family of policies described by one vector.

    For each chunk index k, `round(share * N)` devices are senders, a different set for each k. The vector has the share
    (mapped from [-1, 1] to [0, 1]) and the `SIGNALS`.

    Args:
        offloading: if False, hold the share at 0, for always-local policies.
        timed: the vector has the `SIGNALS` of every slot, one slot after the other.
        gain: the vector also has `GAIN`, about the device's own gain in Eq. 32, whose range is mapped to [-1, 1].
    """

    offloading: bool = True
    timed: bool = False
    gain: bool = False

    def policy(self, game: Game, vectors: Tensor) -> Policy:
        """Turn vectors into policies, one per run of the game.

        Args:
            game: the game to play; a timed policy reads its slot.
            vectors: `[run, entry]`.
        """
        share = ((vectors[:, 0] + 1.0) / 2.0).clamp(0.0, 1.0) if self.offloading else torch.zeros(len(vectors))
        last = vectors.shape[1] - len(GAIN) * self.gain
        blocks = vectors[:, 1:last].view(len(vectors), -1, 1, 1, 1, len(SIGNALS))
        threshold, *slopes = vectors[:, last:].view(len(vectors), 1, 1, 1, -1).unbind(-1) if self.gain else (None,)
        senders = (positions(game) < (share * game.devices).round().view(-1, 1, 1)).unsqueeze(1)
        columns = [i for i, name in enumerate(game.observation_names) if name.startswith("gain_db")]
        centre, half = (part[..., columns].unsqueeze(1) for part in game.observation_range())

        def act(observation: Tensor, uniform: Tensor) -> Tensor:
            signal = blocks[:, game.slot if self.timed else 0]
            local, sent = signal[..., :LOCAL].unbind(-1), signal[..., LOCAL:].unbind(-1)
            chosen = senders.expand(-1, game.envs, -1, -1)
            if threshold is not None:
                level = (observation[..., columns] - centre) / half
                chosen = chosen & (level > threshold)
                sent = tuple(value + slope * level for value, slope in zip(sent, slopes, strict=True))
            request = torch.where(chosen, 1.0, -1.0).to(vectors.dtype)
            picked = [torch.where(chosen, *pair) for pair in zip(sent[:2], local[:2], strict=True)]
            rest = (sent[2].expand_as(request), local[2].expand_as(request))
            return torch.stack([request, *picked, *rest], dim=-1).flatten(-2)

        return act


def positions(game: Game) -> Tensor:
    """Return the place of every device in the queue of senders, `[device, chunk]`, another order for each chunk."""
    device = torch.arange(game.devices).view(-1, 1)
    chunk = torch.arange(game.chunks).view(1, -1)
    return (device + chunk * game.devices // game.chunks) % game.devices


@torch.no_grad()
def rehearse(policy: Policy, game: Game, seeds: Sequence[int]) -> dict[str, Tensor]:
    """Play one planning episode in every env and measure it; planning episodes are used for no results.

    Args:
        policy: a plan's policy, which draws no random numbers.
        game: the game to play.
        seeds: one per run; runs with the same seed have the same channels and harvests.
    Returns:
        The measures of `Measures.result`, each `[run]`.
    """
    observation = game.reset(generators(seeds, Stream.PLAN))
    measures = Measures(game)
    for _ in range(game.slots):
        measures.add(game.step(policy(observation, observation)))
        observation = game.observe()
    return measures.result()
