"""Noise-free rollouts and the measures of Section 5: reward, ECPR, SOR, energy, latency, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mecpaper.env.game import Game, Slot
from mecpaper.env.recorded import Recorded
from mecpaper.env.streams import Stream, generators
from mecpaper.system.secrecy import is_secure

Policy = Callable[[Tensor, Tensor], Tensor]
"""Observation `[run, env, device, feature]` and draws of [0, 1) `[run, env, device, 5 K]` -> actions."""


class Measures:
    """Accumulate the slots of a rollout and compute the paper's measures, per run.

    Args:
        game: the game that is played; its C_limit is used.
    """

    def __init__(self, game: Game) -> None:
        self.cost_limit, self.chunks = game.cost_limit, game.chunks
        self.sums: dict[str, Tensor] = {}

    def add(self, slot: Slot) -> None:
        """Add one slot."""
        energy = slot.energy.sum(dim=-1)
        excess = (energy - self.cost_limit).clamp(min=0.0)
        parts = {
            "device_slots": torch.ones_like(energy),
            "reward": slot.reward,
            "energy": energy,
            "violations": (energy > self.cost_limit).to(energy.dtype),
            "local_energy": (slot.energy * (1.0 - slot.offload)).sum(-1),
            "offload_energy": (slot.energy * slot.offload).sum(-1),
            "insecure": (slot.offload * (~is_secure(slot.secrecy_rate)).to(energy.dtype)).sum(-1),
            "excess": excess,
            "penalty": slot.penalty,
            "battery": slot.battery,
            "requests": slot.requested.sum(-1),
            "offloads": slot.offload.sum(-1),
            "latency": slot.latency.sum(-1),
            "accuracy": slot.accuracy.sum(-1),
            "frame_rate": slot.frame_rate.sum(-1),
            "resolution": slot.resolution.sum(-1),
            "transmit_power": slot.transmit_power.sum(-1),
            "cpu_frequency": slot.cpu_frequency.sum(-1),
        }
        for name, value in parts.items():
            total = value.double().sum(dim=(1, 2))
            self.sums[name] = self.sums[name] + total if name in self.sums else total

    def result(self) -> dict[str, Tensor]:
        """Compute the measures, each `[run]` in double precision.

        - reward: mean R_n(t) per device and slot, Eq. 24.
        - energy, battery, penalty: mean per device and slot, J.
        - ecpr_f: share of device-slots whose energy exceeds C_limit.
        - ecpr_m: energy above C_limit as a share of all energy.
        - sor: offloads executed (all secure, C6) per offload requested; NaN without requests.
        - offload_share, request_share: share of chunks.
        - local_energy, offload_energy: mean per chunk of that kind, J; NaN without such chunks.
        - insecure_offloads: number of executed offloads whose secrecy rate, as executed, is not positive (C6).
        - latency (s), accuracy, frame_rate, resolution, transmit_power, cpu_frequency: mean per chunk.
        """
        s = self.sums
        slots, chunks = s["device_slots"], s["device_slots"] * self.chunks
        per_slot = {name: s[name] / slots for name in ("reward", "energy", "battery", "penalty")}
        names = ("latency", "accuracy", "frame_rate", "resolution", "transmit_power", "cpu_frequency")
        per_chunk = {name: s[name] / chunks for name in names}
        return {
            **per_slot,
            "ecpr_f": s["violations"] / slots,
            "ecpr_m": s["excess"] / s["energy"],
            "sor": s["offloads"] / s["requests"],
            "offload_share": s["offloads"] / chunks,
            "request_share": s["requests"] / chunks,
            "local_energy": s["local_energy"] / (chunks - s["offloads"]),
            "offload_energy": s["offload_energy"] / s["offloads"],
            "insecure_offloads": s["insecure"],
            **per_chunk,
        }


class Draws(NamedTuple):
    """The random draws of a rollout, in [0, 1)."""

    game: Tensor  # see `Game.draw`
    policy: Tensor  # [slot, run, env, device, 5 K]


class Rollout:
    """Play one episode in every env of a game and measure it.

    Args:
        policy: see `Policy`.
        game: every env plays one evaluation episode.
    """

    def __init__(self, policy: Policy, game: Game) -> None:
        self.policy, self.game = policy, game
        self.recorded = Recorded(self.play, game.device)

    @torch.no_grad()
    def play(self, draws: Draws) -> dict[str, Tensor]:
        """Play with random numbers drawn before; recorded as one graph on a GPU."""
        observation = self.game.begin(draws.game)
        measures = Measures(self.game)
        for t in range(self.game.slots):
            measures.add(self.game.step(self.policy(observation, draws.policy[t])))
            observation = self.game.observe()
        return measures.result()

    def __call__(self, seeds: Sequence[int], policy_seeds: Sequence[int] | None = None) -> dict[str, Tensor]:
        """Play one episode in every env.

        Args:
            seeds: one per run; runs with the same seed have the same channels and harvests.
            policy_seeds: one per run, for the random numbers passed to the policy; by default `seeds`.
        Returns:
            The measures of `Measures.result`, each `[run]`; on a GPU the next call overwrites them.
        """
        game = self.game
        uniform = game.draw(generators(seeds, Stream.EVALUATION))
        sources = generators(seeds if policy_seeds is None else policy_seeds, Stream.POLICY)
        shape = (game.envs, game.devices, game.action_size)
        drawn = [torch.stack([torch.rand(*shape, generator=g) for g in sources]) for _ in range(game.slots)]
        return self.recorded(Draws(uniform, torch.stack(drawn).to(game.device, game.dtype)))


def evaluate(
    policy: Policy, game: Game, seeds: Sequence[int], policy_seeds: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """Play one episode in every env of a game and measure it; see `Rollout`."""
    return Rollout(policy, game)(seeds, policy_seeds)
