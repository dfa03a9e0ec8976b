"""The training loop of Algorithm 1 for any algorithm, with all seeds, or several scenarios, in one batched program.

A training that resumes from its checkpoint computes the same numbers as an uninterrupted one. If a number is no longer
finite, it stops and names the quantity and the update. `mecpaper.training.experiments` stores the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mecpaper.algorithms.learner import Learner, Tally
from mecpaper.algorithms.precision import product_dtype
from mecpaper.config import ConfigError, Experiment, fingerprint
from mecpaper.env.game import Game
from mecpaper.env.measures import Rollout, evaluate
from mecpaper.store.results import SUMMARY_COLUMNS
from mecpaper.training import checkpoint
from mecpaper.training.memory import keep_freed

CHECKPOINT_SECONDS = 45.0
"""Minimum time between two checkpoints; a kill costs at most this and the current round of episodes."""

CHECKPOINT_SHARE = 0.05
"""Maximum share of time for writing checkpoints; if files are slow, checkpoints become rarer."""

Progress = Callable[[int, int, str], None]
"""Called with the episodes done, the total, and a label."""


class NotFiniteError(FloatingPointError):
    """A number is no longer finite; the message says which and where."""


class StoppedError(RuntimeError):
    """A training that was asked to stop, raised by its `Progress`; its checkpoint is saved."""


def _check_torch() -> None:
    """Check what a process can set for all of torch: with other settings, the numbers under a key would be others.

    Raises:
        ConfigError: one of them is not torch's default.
    """
    settings = {
        "default dtype": (torch.get_default_dtype(), torch.float32),
        "default device": (torch.get_default_device(), torch.device("cpu")),
        "deterministic algorithms": (torch.are_deterministic_algorithms_enabled(), False),
        "inference mode": (torch.is_inference_mode_enabled(), False),
        "autocast": (torch.is_autocast_enabled("cpu"), False),
        "float32 matmul precision": (torch.get_float32_matmul_precision(), "highest"),
    }
    for name, (found, wanted) in settings.items():
        if found != wanted:
            raise ConfigError(f"torch's {name} = {found}: {wanted}, its default, is required for the stored numbers")


class Training:
    """Experiments of one algorithm, trained together: one run per experiment and seed.

    Args:
        experiments: one or several with the same `batch_key`.
        device: device to compute on.
    Raises:
        ConfigError: the experiments differ in `batch_key`, or torch was set otherwise for the whole process.
    """

    def __init__(self, experiments: Experiment | Sequence[Experiment], device: torch.device | str = "cpu") -> None:
        _check_torch()
        keep_freed()
        self.experiments = [experiments] if isinstance(experiments, Experiment) else list(experiments)
        if len({experiment.batch_key for experiment in self.experiments}) > 1:
            names = [experiment.scenario for experiment in self.experiments]
            raise ConfigError(f"scenarios = {names}: they must share shapes, readings and learning numbers")
        self.first = first = self.experiments[0]
        self.scale = first.scale
        self.owners = [experiment for experiment in self.experiments for _ in experiment.seeds]
        self.seeds = [seed for experiment in self.experiments for seed in experiment.seeds]
        games = [experiment.game for experiment in self.owners]
        own = [experiment.own for experiment in self.owners]
        self.game = Game(games, self.scale.episodes_at_once, device)
        self.curve_game = Game(games, first.evaluation.curve_episodes, device)
        self.final_game = Game(games, first.evaluation.final_episodes, device)
        make = first.entry.learner_class()
        self.learner: Learner = make(self.game, first.learning, own, self.seeds, self.scale.slots_per_update)
        self._point = Rollout(self.learner.act, self.curve_game)
        self.episode = 0
        self.seconds = 0.0
        self.curve: list[dict[str, Tensor]] = []
        self.tally = Tally()

    @property
    def key(self) -> str:
        """Fingerprint of all experiments, of the code and of the precision found, which ties a checkpoint to them."""
        products = product_dtype(self.first.learning.precision, self.game.device, self.game.dtype)
        keys = [experiment.key for experiment in self.experiments]
        return fingerprint(keys, checkpoint.code_version(), str(products))

    def run(self, path: Path | None = None, progress: Progress | None = None, episodes: int | None = None) -> None:
        """Train to the end, from the checkpoint if there is one.

        Args:
            path: checkpoint to resume from and to save to; the caller removes it once the results are stored.
            progress: see `Progress`.
            episodes: stop after this many episodes; by default those of the scale.
        Raises:
            CheckpointError: the checkpoint is damaged, or belongs to another configuration or version.
            NotFiniteError: a number is no longer finite.
        """
        if path is not None and path.exists():
            self.load(path)
        count = len(self.first.seeds)
        names = ", ".join(experiment.scenario for experiment in self.experiments)
        label = f"{self.first.algorithm}, {names}, {count} seeds"
        end = self.scale.episodes if episodes is None else min(episodes, self.scale.episodes)
        started = time.monotonic()
        due = started + CHECKPOINT_SECONDS
        before = self.seconds
        if not self.curve:
            self._measure_curve()
        while self.episode < end:
            if progress is not None:
                progress(self.episode, end, label)
            self.play_round()
            now = time.monotonic()
            self.seconds = before + now - started
            if path is not None and now > due and self.episode < end:
                self.save(path)
                saved = time.monotonic()
                due = saved + max(CHECKPOINT_SECONDS, (saved - now) / CHECKPOINT_SHARE)
        if progress is not None:
            progress(self.episode, end, label)

    def play_round(self) -> None:
        """Play and learn from one episode in every env; measure the policy if the curve has a point here.

        Raises:
            NotFiniteError: a number is no longer finite.
        """
        self.learner.play_round(self.episode / self.scale.episodes, self.tally)
        # Checked once per round, so that a GPU does not have to synchronise more often.
        broken = self.tally.not_finite()
        if broken is not None:
            name, run = broken
            raise NotFiniteError(
                f"{name} is not finite at update {self.learner.updates} or up to a round before (episode "
                f"{self.episode + 1}) of {self.owners[run].name}, seed {self.seeds[run]}; the curve so far is kept"
            )
        self.episode += self.scale.episodes_at_once
        if self.episode % self.scale.curve_every == 0:
            self._measure_curve()

    def _measure_curve(self) -> None:
        """Add a point to the learning curve: noise-free measures, and means of the diagnostics since the last point."""
        seeds = [self.first.evaluation.seed] * len(self.seeds)
        draws = [(seed + self.episode) % 2**31 for seed in self.seeds]
        point = self._point(seeds, draws) | self.tally.take_means()
        multiplier = self.learner.multiplier()
        if multiplier is not None:
            point["multiplier"] = multiplier.mean(dim=1)
        stamp = {"episode": float(self.episode), "updates": float(self.learner.updates)}
        point |= {name: torch.full((len(self.seeds),), value) for name, value in stamp.items()}
        self.curve.append({name: value.double().cpu() for name, value in point.items()})

    # -- results ---------------------------------------------------------------------------------------

    def _table(self, points: list[dict[str, Tensor]], experiment: Experiment) -> pd.DataFrame:
        head = {"algorithm": experiment.algorithm, "scenario": experiment.scenario, "scale": experiment.scale_name}
        runs = [run for run, owner in enumerate(self.owners) if owner == experiment]
        rows: list[dict[str, Any]] = [
            head | {"seed": self.seeds[run]} | {name: float(value[run]) for name, value in point.items()}
            for point in points
            for run in runs
        ]
        return pd.DataFrame(rows)

    def curves(self, experiment: Experiment | None = None) -> pd.DataFrame:
        """Return an experiment's learning curve, by default the first's, with a row per point and seed.

        Six columns identify the point; the measures and diagnostics follow in alphabetical order.
        """
        table = self._table(self.curve, experiment or self.first).astype({"episode": int, "updates": int})
        head = ["algorithm", "scenario", "scale", "seed", "episode", "updates"]
        return table[[*head, *sorted(set(table.columns) - set(head))]]

    def summaries(self) -> pd.DataFrame:
        """Measure the final policies: a row per run, with the columns `results.SUMMARY_COLUMNS`.

        "seconds" is the wall time of the batched program divided by its number of experiments.
        """
        seeds = [(self.first.evaluation.seed + 1) % 2**31] * len(self.seeds)
        point = evaluate(self.learner.act, self.final_game, seeds, self.seeds)
        point["cost_limit"] = self.game.cost_limit.mean(dim=(1, 2))
        multiplier = self.learner.multiplier()
        nothing = torch.full_like(point["reward"], float("nan"))
        point["multiplier"] = nothing if multiplier is None else multiplier.mean(dim=1)
        table = pd.concat([self._table([point], experiment) for experiment in self.experiments], ignore_index=True)
        seconds = round(self.seconds / len(self.experiments), 1)
        table = table.assign(episodes=self.episode, updates=self.learner.updates, seconds=seconds)
        return table[list(SUMMARY_COLUMNS)]

    def policy(self, experiment: Experiment | None = None) -> dict[str, Tensor]:
        """Return the actors of an experiment's first seed (by default the first experiment) in half precision, and the
        range of their observations, as `StoredPolicy.from_tensors` needs them."""
        run, actors = self.owners.index(experiment or self.first), self.learner.actors  # type: ignore[attr-defined]
        first = slice(run * actors.stacks // actors.runs, (run + 1) * actors.stacks // actors.runs)
        layers = {f"layer.{i}": w[first].detach().half().cpu() for i, w in enumerate(actors.weights)}
        centre, half = (part[run].cpu() for part in self.game.observation_range())
        return {**layers, "observation.centre": centre, "observation.half": half}

    # -- checkpoints -----------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the whole state, atomically (see `mecpaper.training.checkpoint`)."""
        counters = {**self.learner.counters(), "episode": self.episode, "seconds": self.seconds}
        counters |= {f"count.{name}": count for name, count in self.tally.counts.items()}
        tensors = {**self.learner.tensors(), **self.learner.random_states()}
        tensors |= {f"sum.{name}": value for name, value in self.tally.sums.items()}
        for i, point in enumerate(self.curve):
            tensors |= {f"curve.{i}.{name}": value for name, value in point.items()}
        checkpoint.write(path, self.key, counters, {k: v.detach().contiguous().cpu() for k, v in tensors.items()})

    def load(self, path: Path) -> None:
        """Restore the state from a checkpoint.

        Raises:
            CheckpointError: the file is damaged, or belongs to another configuration or version.
        """
        counters, stored = checkpoint.read(path, self.key)
        self.episode, self.seconds = counters["episode"], counters["seconds"]
        self.learner.load(counters, stored)
        device = self.game.device
        self.tally.sums = {k.removeprefix("sum."): v.to(device) for k, v in stored.items() if k.startswith("sum.")}
        self.tally.counts = {k.removeprefix("count."): v for k, v in counters.items() if k.startswith("count.")}
        points: dict[int, dict[str, Tensor]] = {}
        for name, value in stored.items():
            if name.startswith("curve."):
                _, index, measure = name.split(".", 2)
                points.setdefault(int(index), {})[measure] = value
        self.curve = [points[i] for i in sorted(points)]
