"""Whether reduced precision learns the same.

CPO-MADDPG and MADDPG are trained at the default setting from the same seeds, with all products in single precision and
with those of all layers but the last in bfloat16. Compared are the rewards of the final policies on the same episodes,
seed by seed. They are taken as equivalent if the 90 % Student's interval of their mean difference is within the margin,
which is two one-sided tests at 5 % each. A wide interval is no difference: it asks for more seeds. Seeds of an earlier
run of the same experiment are kept, and only others are trained.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any

import torch

from benchmarks.common import Options, figure
from mecpaper.config import Config, Experiment, resolve
from mecpaper.report.statistics import interval
from mecpaper.training.loop import Training

ALGORITHMS = ("cpo_maddpg", "maddpg")
PRECISIONS = ("float32", "bfloat16")
MARGIN = 0.005
LEAST_SEEDS = 10
TOGETHER = 30
"""Most seeds in one program, which fit into 4 GiB."""


def experiment_of(config: Config, case: str, seeds: list[int]) -> Experiment:
    """The default setting of a case, such as "maddpg, float32", whatever precision params.yaml has for its learner."""
    algorithm, precision = case.split(", ")
    section = getattr(config, algorithm)
    own = {key: value for key, value in section.learning.items() if key != "precision"}
    changed = {
        "learning": config.learning.model_copy(update={"precision": precision}),
        algorithm: section.model_copy(update={"learning": own}),
    }
    return resolve(config.model_copy(update=changed), algorithm, "default", seeds)


def train(config: Config, case: str, seeds: list[int]) -> tuple[list[float], float]:
    """Train seeds in one program on one thread; return their final rewards, and the seconds that each took of it."""
    torch.set_num_threads(1)
    training = Training(experiment_of(config, case, seeds))
    training.run()
    return training.summaries()["reward"].tolist(), training.seconds / len(seeds)


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Final rewards in both precisions, and the verdict on their difference."""
    config = config.model_copy(update={"scale": options.scale})
    count = max(LEAST_SEEDS, options.repetitions)
    cases = [f"{algorithm}, {precision}" for algorithm, precision in product(ALGORITHMS, PRECISIONS)]
    keys = {case: [f"{case}: experiment", experiment_of(config, case, [1]).key[:12]] for case in cases}
    part = options.earlier.get("precision", {"values": [], "figures": []})
    earlier = {entry["name"]: entry["values"] for entry in part["figures"]}
    rewards: dict[str, list[float]] = {case: [] for case in cases}
    times: dict[str, list[float]] = {case: [] for case in cases}
    for case in (case for case in cases if keys[case] in part["values"]):
        rewards[case] += earlier[f"{case}: final reward"]
        times[case] += earlier[f"{case}: training, a seed's share"]
    workers, context = min(len(cases), len(os.sched_getaffinity(0))), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        jobs = []
        for case in cases:
            seeds = list(range(len(rewards[case]) + 1, count + 1))
            for first in range(0, len(seeds), TOGETHER):
                jobs.append((case, pool.submit(train, config, case, seeds[first : first + TOGETHER])))
        for case, job in jobs:
            found, seconds = job.result()
            rewards[case] += found
            times[case].append(seconds)
    figures, values = [], [["scale", options.scale], *keys.values()]
    for case in cases:
        figures.append(figure(f"{case}: final reward", "", rewards[case]))
        figures.append(figure(f"{case}: training, a seed's share", "s", times[case]))
    for algorithm in ALGORITHMS:
        single, reduced = (rewards[f"{algorithm}, {precision}"] for precision in PRECISIONS)
        mean, low, high = interval([b - a for a, b in zip(single, reduced, strict=True)], confidence=0.9)
        verdict = "equivalent" if low > -MARGIN and high < MARGIN else "not shown to be equivalent"
        text = f"{mean:+.4f} ({low:+.4f} to {high:+.4f}), {len(single)} seeds: {verdict} within {MARGIN}"
        values.append([f"{algorithm}: bfloat16 less float32, 90 % interval", text])
    return {"figures": figures, "ratios": [], "values": values}
