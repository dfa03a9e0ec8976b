"""What ten thousand cells would cost: the arithmetic of a full multiverse over the readings, from measured costs.

Measured here: the time and bytes of the committed cells, a full checkpoint, tasks per second through a Dask scheduler
with two workers on this machine (each task carries the whole configuration, as a cell does), and how long it takes to
see that a finished cell is finished. The rest is arithmetic, for workers of one core like this one's. A checkpoint is
written at most every 45 s and never takes more than 5 % of the time: where many workers share slow files, they become
rarer instead of stalling the work.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import Options, figure
from mecpaper.config import Config
from mecpaper.training.experiments import missing
from mecpaper.training.loop import CHECKPOINT_SECONDS, CHECKPOINT_SHARE, Training

CELLS = 10_000
WORKERS = (1, 16, 256)
TASKS = 1_000
"""Empty tasks sent through the scheduler for one measurement."""

SHARED_FILES = 1e9
"""Bytes per second that a shared file system of modest size is assumed to take."""


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Costs with their spread, and the arithmetic as plain values."""
    table = pd.read_csv(options.root / "data" / "runs" / "summary.csv")
    seconds = table.groupby(["algorithm", "scenario"])["seconds"].first().tolist()
    folders = [path.parent for path in (options.root / "data" / "runs").glob("*/*/cell.json")]
    sizes = [sum(path.stat().st_size for path in folder.iterdir()) for folder in folders]
    names = config.cells["cpo_maddpg"]
    checks = [
        _timed(lambda: missing(config, "cpo_maddpg", names, options.root)) / len(names)
        for _ in range(options.repetitions)
    ]
    bytes_written, writing = _checkpoint(config, options.repetitions)
    rates = _scheduler(config, options.repetitions)
    cell, rate = statistics.mean(seconds), statistics.median(rates)
    values = [[f"{CELLS:,} cells on {count} workers", _duration(CELLS * cell / count)] for count in WORKERS]
    values += [
        [f"checkpoints of {count} workers", f"{count * bytes_written / CHECKPOINT_SECONDS / 1e6:,.0f} MB/s at most"]
        for count in WORKERS
    ]
    values += [
        ["workers that a scheduler of this speed keeps busy", f"{rate * cell:,.0f}"],
        [
            f"workers at which checkpoints fill {SHARED_FILES / 1e9:g} GB/s (assumed) and become rarer",
            f"{SHARED_FILES * CHECKPOINT_SECONDS / bytes_written:,.0f}",
        ],
        ["greatest share of the time for checkpoints", f"{CHECKPOINT_SHARE:g}"],
        [f"results of {CELLS:,} cells", f"{CELLS * statistics.mean(sizes) / 1e9:.1f} GB"],
        [f"seeing that {CELLS:,} cells are finished", _duration(CELLS * statistics.median(checks))],
    ]
    return {
        "figures": [
            figure("a committed cell (one core, all seeds)", "s", seconds),
            figure("its results", "MB", [size / 1e6 for size in sizes]),
            figure("a full checkpoint", "MB", [bytes_written / 1e6]),
            figure("writing it", "s", writing),
            figure("tasks through the scheduler", "1/s", rates),
            figure("seeing that a cell is finished", "ms", [1e3 * value for value in checks]),
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
    training = Training(config, "cpo_maddpg", "default")
    training.replay.size = training.learning.buffer
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        writing = [_timed(lambda: training.save(path)) for _ in range(repetitions)]
        return path.stat().st_size, writing


def _scheduler(config: Config, repetitions: int) -> list[float]:
    """Tasks per second, each with a configuration of its own as argument."""
    from distributed import Client, LocalCluster, wait

    data = config.model_dump()
    rates = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for _ in range(repetitions):
            started = time.perf_counter()
            tasks = [client.submit(len, data | {"number": i}, pure=False) for i in range(TASKS)]
            wait(tasks)
            rates.append(TASKS / (time.perf_counter() - started))
    return rates


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
