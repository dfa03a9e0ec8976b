"""Whether reduced precision learns the same.

CPO-MADDPG and MADDPG are trained at the default setting from the same seeds, with all products in single precision and
with those of all layers but the last in bfloat16. Compared are the rewards of the final policies on the same episodes,
seed by seed. They are taken as equivalent if the 90 % Student's interval of their mean difference is within the margin,
which is two one-sided tests at 5 % each. A wide interval is no difference: it asks for more seeds.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any

import torch

from benchmarks.common import Options, figure
from mecpaper.config import Config, resolve
from mecpaper.report.statistics import interval
from mecpaper.training.loop import Training

ALGORITHMS = ("cpo_maddpg", "maddpg")
PRECISIONS = ("float32", "bfloat16")
MARGIN = 0.005
LEAST_SEEDS = 10


def train(config: Config, algorithm: str, precision: str, seeds: list[int]) -> tuple[list[float], float]:
    """Train all seeds in one program on one thread; return their final rewards, and the seconds it took."""
    torch.set_num_threads(1)
    learning = config.learning.model_copy(update={"precision": precision})
    training = Training(resolve(config.model_copy(update={"learning": learning}), algorithm, "default", seeds))
    training.run()
    return training.summaries()["reward"].tolist(), training.seconds


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Final rewards in both precisions, and the verdict on their difference."""
    config = config.model_copy(update={"scale": options.scale})
    seeds = list(range(1, max(LEAST_SEEDS, options.repetitions) + 1))
    cases = list(product(ALGORITHMS, PRECISIONS))
    workers, context = min(len(cases), len(os.sched_getaffinity(0))), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        futures = {case: pool.submit(train, config, *case, seeds) for case in cases}
        found = {case: future.result() for case, future in futures.items()}
    figures, values = [], [["scale, seeds", f"{options.scale}, {len(seeds)}"]]
    for algorithm in ALGORITHMS:
        (single, _), (reduced, _) = (found[algorithm, precision] for precision in PRECISIONS)
        for precision in PRECISIONS:
            rewards, seconds = found[algorithm, precision]
            figures.append(figure(f"{algorithm}, {precision}: final reward", "", rewards))
            values.append([f"{algorithm}, {precision}: training", f"{seconds:.0f} s"])
        mean, low, high = interval([b - a for a, b in zip(single, reduced, strict=True)], confidence=0.9)
        verdict = "equivalent" if low > -MARGIN and high < MARGIN else "not shown to be equivalent"
        text = f"{mean:+.4f} ({low:+.4f} to {high:+.4f}): {verdict} within {MARGIN}"
        values.append([f"{algorithm}: bfloat16 less float32, 90 % interval", text])
    return {"figures": figures, "ratios": [], "values": values}
