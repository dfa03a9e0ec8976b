"""Memory of a training: what it will take, since the system kills what takes too much, and keeping what is freed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from mecpaper.algorithms.off_policy import OffPolicy
from mecpaper.config import ConfigError, Experiment, GameConfig
from mecpaper.config.schema import EvaluationConfig
from mecpaper.env.game import Game

SYSTEM, CGROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
"""Where Linux tells what is free, and what a container may use."""

LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Files with the limit and the use, of both versions of control groups."""

PROCESS = 760_000_000 if torch.version.cuda else 300_000_000
"""Bytes of a process that has loaded torch; a build for CUDA takes more, also without a GPU."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt: what is free at the end of the heap, or a block, of more bytes is given back."""

SINGLE, DOUBLE = 4, 8
"""Bytes of a number."""


def keep_freed() -> None:
    """Let this process keep the memory of freed tensors for the next ones.

    The C library of Linux gives large blocks back to the system, which clears them page by page when the next tensor
    asks for them: a fifth of the time of an update with ten runs. Elsewhere nothing is done, and where the C library
    accepts no such threshold nothing changes.
    """
    library: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, "mallopt"):  # musl has none
        for parameter in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            library.mallopt(parameter, 2**30)


def parts(program: Sequence[Experiment]) -> dict[str, int]:
    """Estimate the bytes that a program takes, from below: what the shapes of its largest tensors add up to.

    Args:
        program: experiments that are trained together.
    Returns:
        Bytes by the key of params.yaml that they grow with.
    """
    first = program[0]
    learning, game = first.learning, Game([first.game])
    runs = sum(len(experiment.seeds) for experiment in program)
    agents, seen, acted, draws = runs * game.devices, game.observation_size, game.action_size, _draws(first.game)
    layers = SINGLE * (seen + sum(learning.hidden) + acted)
    replays = issubclass(first.entry.learner_class(), OffPolicy)
    # Who does not replay learns from all slots of a round at once.
    round_, played = draws + layers * (1 if replays else game.slots), draws + layers + 2 * SINGLE * game.slots * acted
    # A checkpoint copies what the buffer holds, which is all of it in a long training.
    copies = 2 if learning.buffer <= first.scale.episodes * game.slots else 1
    weights = sum(a * b for a, b in pairwise((seen, *learning.hidden, acted))) if first.entry.learns else 0
    return {
        "learning.buffer": agents * learning.buffer * copies * SINGLE * (2 * seen + acted + 2) * replays,
        f"scales.{first.scale_name}.episodes_at_once": agents * first.scale.episodes_at_once * round_,
        "evaluation.curve_episodes": agents * first.evaluation.curve_episodes * played,
        "evaluation.final_episodes": agents * first.evaluation.final_episodes * played,
        # Weights, targets, gradients and two moments.
        "learning.hidden": agents * weights * SINGLE * 5,
    }


def _draws(game: GameConfig) -> int:
    """Bytes of the draws of a device's episode, in double precision before they are stacked."""
    return (game.slots + 1) * (3 * game.chunks + 1) * (DOUBLE + SINGLE)


def require_play(game: GameConfig, evaluation: EvaluationConfig) -> None:
    """Check that the episodes on which final policies are measured can be played.

    Raises:
        ConfigError: they do not fit in memory; the line says how many do.
    """
    need, left = game.devices * _draws(game), free()
    if need * evaluation.final_episodes > left:
        raise ConfigError(
            f"evaluation.final_episodes = {evaluation.final_episodes}: at most {int(left / need)}; the draws of an "
            f"episode of {game.devices} devices and {game.slots} slots take {need / 1e9:,.1f} GB of memory, and "
            f"{left / 1e9:,.1f} GB are free"
        )


def free() -> float:
    """Read how many bytes this process may still take; infinite if the system does not say."""
    found = [float("inf")]
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError, StopIteration):
        lines = SYSTEM.read_text(encoding="utf-8").splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    for limit, used in LIMITS:
        with suppress(OSError, ValueError):
            found.append(int((CGROUPS / limit).read_text()) - int((CGROUPS / used).read_text()))
    return min(found)


def processes_that_fit(programs: Iterable[Sequence[Experiment]], wanted: int) -> int:
    """Return how many programs can be trained side by side, at most `wanted`.

    Raises:
        ConfigError: not even one; the line says what takes most, and how much of it fits.
    """
    left = free()
    largest = max([PROCESS, *(_require(program, PROCESS, left) for program in programs)])
    return int(min(wanted, max(1.0, left / largest)))


def require(program: Sequence[Experiment]) -> None:
    """Check that a program can be trained in this process, which has loaded torch already.

    Raises:
        ConfigError: as for `processes_that_fit`.
    """
    _require(program, 0, free())


def _require(program: Sequence[Experiment], held: int, left: float) -> int:
    need = parts(program)
    total = held + sum(need.values())
    if total > left:
        raise ConfigError(_too_large(program[0], need, total, left))
    return total


def _too_large(experiment: Experiment, need: dict[str, int], total: int, left: float) -> str:
    key = max(need, key=lambda name: need[name])
    section, _, name = key.rpartition(".")
    place = {"learning": experiment.learning, "evaluation": experiment.evaluation}.get(section, experiment.scale)
    value = getattr(place, name)
    room = (left - (total - need[key])) / need[key]
    fits = "narrower layers" if isinstance(value, list) else f"at most {int(value * room)}"
    if room <= 0.0:
        fits = "fewer devices, chunks or seeds, since other tensors do not fit either"
    return (
        f"{experiment.name}: {key} = {value}: {fits}; this training takes {total / 1e9:,.1f} GB of memory, and "
        f"{left / 1e9:,.1f} GB are free"
    )
