"""Training on a GPU: agreement with the CPU, the time of a round, and one whole training.

A round is an episode of 50 slots of the default game, in as many envs as scale study has, with an update per 2 slots:
play, store, sample and learn, replayed as one recorded graph. Runs are seeds and scenarios that share a `batch_key`, in
one program. The same round during the warm-up makes no updates; from it follows the time of a slot, and from the
difference the time of an update. The random numbers of a round are drawn on the CPU, one run after another, before its
graph starts; where the CPU is shared this time varies, and the split into slots and updates is rough. A curve point is
a noise-free episode in 4 envs. Products have the precision that params.yaml asks for, with `auto` bfloat16 where the
GPU has it.

The golden settings are trained on the GPU in single precision, and the table gives the maximum relative distance of
all numbers from those of the CPU.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common import Options, figure
from mecpaper.config import ALGORITHMS, Config, Experiment, resolve
from mecpaper.training.loop import Training
from tests import golden

SCENARIOS = ("default", "battery_9", "battery_10", "battery_11", "harvest_05", "harvest_15", "attacker_moderate",
             "attacker_strong")  # fmt: skip
"""Scenarios with one `batch_key`."""

CASES = [(name, runs) for name in ("cpo_maddpg", "maddpg") for runs in (5, 10, 40, 120)]

UNMEASURED = 2
"""First rounds of each kind: one as usual, one recorded."""


def seconds(work: Callable[..., Any], *arguments: Any) -> float:
    """Time one call, including all work it started on the GPU."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work(*arguments)
    torch.cuda.synchronize()
    return time.perf_counter() - start


def experiments(config: Config, algorithm: str, runs: int) -> list[Experiment]:
    """Resolve experiments with `runs` runs in total, at least 5 seeds each, for one program."""
    count = next(count for count in (8, 2, 1) if runs % count == 0 and runs // count >= 5)
    seeds = list(range(1, runs // count + 1))
    return [resolve(config, algorithm, scenario, seeds) for scenario in SCENARIOS[:count]]


def distance(algorithm: str) -> float:
    """Train the golden settings on the GPU; return the maximum relative distance from the stored numbers."""
    stored = golden.read()["numbers"][f"{algorithm}/default"]
    found = golden.measure(golden.settings(), f"{algorithm}/default", device="cuda")
    distances = []
    for name, values in stored.items():
        if not np.isnan(values).all():
            size = np.nanmax(np.abs(values), initial=1e-6)
            distances.append(np.nanmax(np.abs(np.subtract(found[name], values)) / size))
    return float(np.max(distances))


def measure_rounds(config: Config, algorithm: str, runs: int, repetitions: int) -> tuple[dict[str, Any], list[str]]:
    """Time the rounds of one program: the figure of a round, and a row of its parts."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    training = Training(experiments(config, algorithm, runs), "cuda")
    learner: Any = training.learner
    slots, buffer = training.game.slots, learner.learning.buffer
    updates = slots // training.scale.slots_per_update

    def timed(done: float) -> list[float]:
        times = [seconds(learner.play_round, done, training.tally) for _ in range(UNMEASURED + repetitions)]
        recording.append(times[1])
        return times[UNMEASURED:]

    recording: list[float] = []
    warmup = timed(0.0)
    while learner.replay.size < buffer:
        learner.play_round(0.0, training.tally)
    rounds = timed(0.5)
    points = [seconds(training._measure_curve) for _ in range(UNMEASURED + repetitions)][UNMEASURED:]
    phase = next(iter(learner._rounds))
    draws = [seconds(learner.draw_round, phase, updates, 0.5) for _ in range(repetitions)]
    play, whole, point, draw = (1e3 * statistics.median(times) for times in (warmup, rounds, points, draws))
    parts = f"slot {play / slots:.2f} ms, update {(whole - play) / updates:.2f} ms, drawing {draw:.0f} ms a round, "
    parts += f"curve point {point:.0f} ms, recording {sum(recording):.1f} s, "
    parts += f"{torch.cuda.max_memory_reserved() / 1e9:.1f} GB"
    name = f"{algorithm}, {runs} runs"
    return figure(f"{name}: a round", "ms", [1e3 * value for value in rounds]), [name, parts]


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Distances, rounds, and a training of CPO-MADDPG at the scale `study` with 10 seeds."""
    if not torch.cuda.is_available():
        sys.exit("gpu: no CUDA device on this machine; nothing is measured")
    torch.backends.cuda.matmul.allow_tf32 = False
    config = config.model_copy(update={"scale": "study"})
    figures = []
    values = [["device", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"]]
    for name in (name for name, entry in ALGORITHMS.items() if entry.learns):
        values.append([f"{name}: distance from the CPU", f"{distance(name):.1e}"])
    for algorithm, runs in CASES:
        entry, parts = measure_rounds(config, algorithm, runs, options.repetitions)
        figures.append(entry)
        values.append(parts)
    torch.cuda.reset_peak_memory_stats()
    training = Training(resolve(config, "cpo_maddpg", "default", list(range(1, 11))), "cuda")
    spent = seconds(training.run)
    reward = training.summaries()["reward"]
    result = f"{spent:.0f} s, reward {reward.mean():.3f} ({reward.min():.3f} to {reward.max():.3f})"
    values.append(["cpo_maddpg/default, scale study, 10 seeds, whole training", result])
    return {"figures": figures, "ratios": [], "values": values}
