"""Shared by the parts: the machine, figures with their spread, interleaved timing, updates of the learners."""

from __future__ import annotations

import datetime
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mecpaper.algorithms.mappo import MAPPO, Rollout
from mecpaper.algorithms.replay import Batch
from mecpaper.config import ALGORITHMS, Config
from mecpaper.env.game import Game
from mecpaper.training.memory import keep_freed

Side = Callable[[int], float]
"""One side of a comparison: does its work that many times and returns the seconds it took."""


BATCH = 64
"""Joint transitions in a mini-batch where learners are compared, whatever params.yaml says."""


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    root: Path
    threads: int
    repetitions: int
    seconds: float  # minimum length of a timed block
    scale: str  # of the trainings of `same_reward`
    levels: tuple[float, ...]
    budget_factor: float
    budget_minutes: float
    slots_per_learn: tuple[int, ...]
    earlier: dict[str, Any]  # what results.json has, by part


def machine(threads: int) -> dict[str, Any]:
    """Describe the machine and its load."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": names[0] if names else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "torch": torch.__version__,
        "load before": round(os.getloadavg()[0], 2),
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
    }


def _commit() -> str:
    """Short name of the commit that is measured; "unknown" without git."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def figure(name: str, unit: str, values: Sequence[float], limits: Sequence[bool] | None = None) -> dict[str, Any]:
    """Median, minimum and maximum of repeated measurements.

    Args:
        name, unit: what was measured.
        values: one per repetition.
        limits: True where the value is only a lower bound; one at or below the middle makes the median a lower bound.
    """
    limits = [False] * len(values) if limits is None else list(limits)
    middle = statistics.median_high(values)
    return {
        "name": name,
        "unit": unit,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "repetitions": len(values),
        "values": [float(f"{value:.6g}") for value in values],
        "at_least": any(limit and value <= middle for value, limit in zip(values, limits, strict=True)),
    }


def ratio(name: str, slow: Sequence[float], fast: Sequence[float], goal: float | None = None) -> dict[str, Any]:
    """The figure of slow over fast, repetition by repetition, and the goal it is held against.

    Args:
        name: what is compared.
        slow, fast: measured in turn, so that entries of the same place saw the same machine.
        goal: the minimum that was aimed at, or None.
    """
    result = figure(name, "", [a / b for a, b in zip(slow, fast, strict=True)])
    return result | {"goal": goal, "reached": None if goal is None else result["median"] >= goal}


def per_second(name: str, unit: str, seconds: Sequence[float], amount: float = 1.0) -> dict[str, Any]:
    """The figure of a rate: `amount` per measured time."""
    return figure(name, unit, [amount / value for value in seconds])


def timed(work: Callable[[], Any]) -> Side:
    """A side that calls `work` in a loop."""

    def side(calls: int) -> float:
        started = time.perf_counter()
        for _ in range(calls):
            work()
        return time.perf_counter() - started

    return side


def interleaved(sides: Mapping[str, Side], repetitions: int, seconds: float) -> dict[str, list[float]]:
    """Time all sides in turn, A B A B ..., after a warm-up that also finds the length of a block.

    Args:
        sides: name -> side.
        repetitions: timed blocks of each.
        seconds: minimum length of a block.
    Returns:
        name -> seconds per call, one entry per repetition.
    """
    calls = {}
    for name, side in sides.items():
        side(1)
        count, spent = 2, side(2)
        while spent < seconds / 4:
            count *= 4
            spent = side(count)
        calls[name] = max(1, round(seconds * count / spent))
    result: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, side in sides.items():
            result[name].append(side(calls[name]) / calls[name])
    return result


@dataclass(frozen=True)
class Work:
    """A call that makes a learner do `updates` updates: a whole period of one that replays, a round of MAPPO."""

    call: Callable[[], Any]
    updates: int


def observations(game: Game, *shape: int, generator: torch.Generator) -> Tensor:
    """Random observations within their range, `[run, *shape, agent, feature]`."""
    centre, half = game.observation_range()
    size = (game.runs, *shape, game.devices, game.observation_size)
    spread = 2.0 * torch.rand(size, generator=generator) - 1.0
    for _ in shape:
        centre, half = centre.unsqueeze(1), half.unsqueeze(1)
    return centre + half * spread


def random_batch(game: Game, batch: int) -> Batch:
    """A mini-batch of random joint transitions."""
    source = torch.Generator().manual_seed(0)
    shape = (game.runs, batch, game.devices)
    return Batch(
        observation=observations(game, batch, generator=source),
        action=2.0 * torch.rand(*shape, game.action_size, generator=source) - 1.0,
        reward=torch.randn(shape, generator=source),
        cost=torch.rand(shape, generator=source),
        next_observation=observations(game, batch, generator=source),
        weight=torch.ones(shape[:2]),
        places=torch.zeros(shape[:2], dtype=torch.long),
    )


def make_game(config: Config, runs: int = 1, envs: int = 1, scenario: str = "default", **changes: Any) -> Game:
    """A scenario's game, with constants changed."""
    return Game([config.scenario(scenario).changed(**changes)] * runs, envs)


def make_learner(config: Config, algorithm: str, game: Game, **changes: Any) -> Any:
    """A learner with its settings of params.yaml; `changes` are of the section `learning`."""
    keep_freed()  # as trainings do
    learning, own = config.learner_with(algorithm, config.changes("default"))
    learning = learning.model_copy(update=changes)
    return ALGORITHMS[algorithm].learner_class()(game, learning, [own] * game.runs, range(game.runs))


def make_work(config: Config, algorithm: str, game: Game, **changes: Any) -> Work:
    """A learner's updates on a ready batch of random transitions (MAPPO: on ready random episodes).

    Args:
        config: the configuration.
        algorithm: which learner.
        game: gives the sizes; for MAPPO its envs are the episodes of a round.
        changes: of the section `learning`.
    """
    # Nothing is replayed here, so that a small buffer will do.
    learner = make_learner(config, algorithm, game, **{"buffer": BATCH} | changes)
    if isinstance(learner, MAPPO):
        return _round_work(learner, game)
    batch, period = random_batch(game, learner.learning.batch), getattr(learner.config, "policy_delay", 1)

    def call() -> None:
        for _ in range(period):
            learner.updates += 1
            learner.update(batch)

    return Work(call, period)


def _round_work(learner: MAPPO, game: Game) -> Work:
    source = torch.Generator().manual_seed(0)
    count, epochs = game.slots * game.envs, learner.config.epochs
    observation = observations(game, game.slots, game.envs, generator=source).transpose(0, 1)
    last = observations(game, game.envs, generator=source)
    shape = (game.slots, game.runs, game.envs, game.devices)
    action = 2.0 * torch.rand(*shape, game.action_size, generator=source) - 1.0
    rollout = Rollout(observation, action, torch.randn(shape, generator=source), last)
    order = torch.stack([torch.stack([torch.randperm(count) for _ in range(epochs)]) for _ in range(game.runs)])

    def call() -> int:
        return sum(1 for _ in learner.learn_round(rollout, order))

    return Work(call, call())
