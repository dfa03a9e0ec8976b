"""Estimated cost of ten thousand experiments, a full multiverse over the readings, from measured costs.

Measured: time and bytes of the stored experiments, a full checkpoint, tasks per second through a Dask scheduler with
two workers on this machine (each task carries an experiment), and the time to recognise a stored experiment. The rest
is arithmetic for workers with one core of this machine's speed. Checkpoints are written at most every 45 s and take at
most 5 % of the time: if many workers share slow storage, checkpoints become rarer and the work does not stall.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Options, figure
from mecpaper.config import Config, resolve
from mecpaper.config.tables import read_table
from mecpaper.store.results import MARK, missing
from mecpaper.training.loop import CHECKPOINT_SECONDS, CHECKPOINT_SHARE, Training

EXPERIMENTS = 10_000
WORKERS = (1, 16, 256)
TASKS = 1_000
"""Empty tasks sent through the scheduler for one measurement."""

SHARED_FILES = 1e9
"""Bytes per second that a shared file system of modest size is assumed to take."""


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Costs with their spread, and the arithmetic as plain values."""
    table = read_table(options.root / "data" / "runs" / "summary.csv")
    seconds = table.groupby(["algorithm", "scenario"])["seconds"].first().tolist()
    folders = [path.parent for path in (options.root / "data" / "runs").glob(f"*/*/{MARK}")]
    sizes = [sum(path.stat().st_size for path in folder.iterdir()) for folder in folders]
    names = config.experiments["cpo_maddpg"]
    checks = [
        _timed(lambda: missing([resolve(config, "cpo_maddpg", name) for name in names], options.root)) / len(names)
        for _ in range(options.repetitions)
    ]
    bytes_written, writing = _checkpoint(config, options.repetitions)
    rates = _scheduler(config, options.repetitions)
    one, rate = statistics.mean(seconds), statistics.median(rates)
    values = [
        [f"{EXPERIMENTS:,} experiments on {count} workers", _duration(EXPERIMENTS * one / count)] for count in WORKERS
    ]
    values += [
        [f"checkpoints of {count} workers", f"{count * bytes_written / CHECKPOINT_SECONDS / 1e6:,.0f} MB/s at most"]
        for count in WORKERS
    ]
    values += [
        ["workers that a scheduler of this speed keeps busy", f"{rate * one:,.0f}"],
        [
            f"workers at which checkpoints fill {SHARED_FILES / 1e9:g} GB/s (assumed) and become rarer",
            f"{SHARED_FILES * CHECKPOINT_SECONDS / bytes_written:,.0f}",
        ],
        ["maximum share of the time for checkpoints", f"{CHECKPOINT_SHARE:g}"],
        [f"results of {EXPERIMENTS:,} experiments", f"{EXPERIMENTS * statistics.mean(sizes) / 1e9:.1f} GB"],
        [f"seeing that {EXPERIMENTS:,} experiments are finished", _duration(EXPERIMENTS * statistics.median(checks))],
    ]
    return {
        "figures": [
            figure("a stored experiment (one core, all seeds)", "s", seconds),
            figure("its results", "MB", [size / 1e6 for size in sizes]),
            figure("a full checkpoint", "MB", [bytes_written / 1e6]),
            figure("writing it", "s", writing),
            figure("tasks through the scheduler", "1/s", rates),
            figure("seeing that an experiment is finished", "ms", [1e3 * value for value in checks]),
        ],
        "ratios": [],
        "values": values,
    }


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _checkpoint(config: Config, repetitions: int) -> tuple[int, list[float]]:
    """Bytes of a checkpoint with a full replay buffer, and the seconds it takes to write one."""
    training = Training(resolve(config, "cpo_maddpg", "default"))
    training.learner.replay.size = training.learner.learning.buffer
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        writing = [_timed(lambda: training.save(path)) for _ in range(repetitions)]
        return path.stat().st_size, writing


def _scheduler(config: Config, repetitions: int) -> list[float]:
    """Tasks per second, each with an experiment as argument."""
    from distributed import Client, LocalCluster, wait

    experiment, rates = resolve(config, "cpo_maddpg", "default"), []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for _ in range(repetitions):
            started = time.perf_counter()
            tasks = [client.submit(len, [experiment, i], pure=False) for i in range(TASKS)]
            wait(tasks)
            rates.append(TASKS / (time.perf_counter() - started))
    return rates


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
