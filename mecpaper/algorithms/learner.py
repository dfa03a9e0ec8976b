"""The interface of an algorithm to the training loop: it plays rounds, learns from them, and can be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mecpaper.algorithms.optimiser import Optimiser
from mecpaper.algorithms.replay import annealed
from mecpaper.config import LearningConfig
from mecpaper.env import recorded
from mecpaper.env.game import Game, Slot
from mecpaper.env.streams import Stream, generators

Diagnostics = dict[str, Tensor]
"""Diagnostics of an update: name -> `[run]`."""

SATURATED = 0.99
"""An output of the tanh beyond this size counts as saturated in the diagnostics."""


def saturated_share(action: Tensor) -> Tensor:
    """Compute the share of outputs beyond `SATURATED`, `[run]`, from actions `[run, batch, agent, 5 K]`."""
    return (action.abs() > SATURATED).to(action.dtype).mean(dim=(1, 2, 3))


class Tally:
    """Sums of diagnostics since the last point of the learning curve, name -> `[run]`, and how many were added."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, diagnostics: Diagnostics, counts: dict[str, int] | None = None) -> None:
        """Count one value of each diagnostic, or sums of `counts` values."""
        for name, value in diagnostics.items():
            if name in self.sums:
                self.sums[name] += value
            else:
                self.sums[name] = value.detach().to(torch.float64, copy=True)
            self.counts[name] = self.counts.get(name, 0) + (1 if counts is None else counts[name])

    def add_slot(self, slot: Slot) -> None:
        """Count what was earned and spent while exploring."""
        energy = slot.energy.sum(dim=-1).mean(dim=(1, 2))
        self.add({"behaviour_reward": slot.reward.mean(dim=(1, 2)), "behaviour_energy": energy})

    def take_means(self) -> Diagnostics:
        """Return the means and reset the sums."""
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def not_finite(self) -> tuple[str, int] | None:
        """Return the name and the run of a diagnostic that is not finite, or None if all are."""
        # Diagnostics of learning come first: they are the cause, broken behaviour is the consequence.
        for name in sorted(self.sums, key=lambda name: name.startswith("behaviour")):
            broken = (~torch.isfinite(self.sums[name])).nonzero()
            if len(broken):
                return name, int(broken[0, 0])
        return None


class Learner(ABC):
    """An algorithm at work on all runs of a batched program.

    Args:
        game: the game it plays while training; gives sizes, ranges and C_limit.
        learning: section `learning` of params.yaml as it holds for the algorithm.
        own: the algorithm's own section, one per run; they differ in `OwnConfig.PER_RUN` at most.
        seeds: one per run.
        slots_per_update: slots between two updates.
    """

    def __init__(
        self, game: Game, learning: LearningConfig, own: Sequence[Any], seeds: Sequence[int], slots_per_update: int = 1
    ) -> None:
        self.game, self.learning, self.config = game, learning, own[0]
        self.slots_per_update = slots_per_update
        uses = (Stream.GAME, Stream.NOISE, Stream.REPLAY, Stream.SMOOTHING, Stream.CHUNKS)
        self.sources = {use: generators(seeds, use) for use in uses}
        self.saturation = torch.full((), learning.saturation_penalty, device=game.device, dtype=torch.float64)
        self.updates = 0
        self._rounds: dict[Any, recorded.Recorded] = {}

    @abstractmethod
    def act(self, observation: Tensor, uniform: Tensor) -> Tensor:
        """Choose actions without exploration noise.

        Args:
            observation: `[run, batch, agent, feature]`.
            uniform: draws of [0, 1) for policies that are random by themselves, `[run, batch, agent, 5 K]`.
        Returns:
            `[run, batch, agent, 5 K]` in [-1, 1].
        """

    def anneal(self, done: float) -> None:
        """Set learning rates and saturation penalty for a share `done` of the training (D33, D34).

        The rates are held until `rate_hold`, then fall linearly to a share `rate_last` at the end. The penalty falls
        linearly to its last value between the ends of `saturation_fall`.
        """
        learning = self.learning
        start, end = learning.saturation_fall
        share = annealed((1.0, learning.rate_last), (done - learning.rate_hold) / (1.0 - learning.rate_hold))
        for optimiser in self.optimisers():
            optimiser.set_rate(share)
        values = learning.saturation_penalty, learning.saturation_last
        self.saturation.fill_(annealed(values, (done - start) / (end - start)))

    def optimisers(self) -> Sequence[Optimiser]:
        """Return the optimisers whose rates `anneal` sets."""
        return ()

    @abstractmethod
    def play_round(self, done: float, tally: Tally) -> None:
        """Play one episode in every env and learn on the way.

        Args:
            done: share of the training that is done.
            tally: takes the diagnostics.
        """

    def perform(self, phase: Any, play: Callable[[Any, Tally], None], inputs: Any, tally: Tally) -> None:
        """Play a round; on a GPU as a recorded graph, one per phase.

        Args:
            phase: determines which operations `play` makes; hashable.
            play: changes the tensors of the state in place.
            inputs: named tuple of everything that differs between rounds, such as random draws.
            tally: collects the diagnostics.
        """
        if not recorded.records(self.game.device):
            play(inputs, tally)
            return

        def work(inputs: Any) -> tuple[Diagnostics, dict[str, int]]:
            own = Tally()
            play(inputs, own)
            return own.sums, own.counts

        if phase not in self._rounds:
            self._rounds[phase] = recorded.Recorded(work, self.game.device)
        tally.add(*self._rounds[phase](inputs))

    def multiplier(self) -> Tensor | None:
        """Return lambda of every agent, `[run, agent]`; None where there is none."""
        return None

    def counters(self) -> dict[str, int]:
        """Return the plain numbers of the state."""
        return {"updates": self.updates}

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the state by name, to be written to in place."""
        return {}

    def load(self, counters: dict[str, int], stored: dict[str, Tensor]) -> None:
        """Take up a state: counters, then tensors and random generators."""
        self.updates = counters["updates"]
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                tensor.copy_(stored[name])
        for use, sources in self.sources.items():
            for run, source in enumerate(sources):
                source.set_state(stored[f"source.{use.name.lower()}.{run}"])

    def random_states(self) -> dict[str, Tensor]:
        """Return the states of the random generators by name."""
        return {
            f"source.{use.name.lower()}.{run}": source.get_state()
            for use, sources in self.sources.items()
            for run, source in enumerate(sources)
        }

    def draw(self, use: Stream, *shape: int, normal: bool = False) -> Tensor:
        """Draw numbers of [0, 1), or standard normal ones, from each run's own generator: `[run, *shape]`."""
        return self.draw_times(1, use, *shape, normal=normal)[:, 0]

    def draw_times(self, times: int, use: Stream, *shape: int, normal: bool = False) -> Tensor:
        """Draw as `draw` does so many times: `[run, times, *shape]`."""
        sample = torch.randn if normal else torch.rand
        drawn = torch.empty(self.game.runs, times, *shape)
        for run, source in enumerate(self.sources[use]):
            for time in range(times):
                sample(*shape, generator=source, out=drawn[run, time])
        return drawn.to(self.game.device, self.game.dtype)

    def noise(self) -> Tensor:
        """Draw standard normal noise that drifts over an episode, `[slot, run, env, agent, 5 K]`, or stays (one slot)
        (D35)."""
        game, correlation = self.game, self.learning.noise_correlation
        shape = (game.slots if correlation < 1.0 else 1, game.envs, game.devices, game.action_size)
        noise = self.draw(Stream.NOISE, *shape, normal=True).transpose(0, 1).contiguous()
        fresh = (1.0 - correlation**2) ** 0.5
        for t in range(1, len(noise)):
            noise[t] = correlation * noise[t - 1] + fresh * noise[t]
        return noise
