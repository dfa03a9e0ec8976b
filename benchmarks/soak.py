"""Memory of a long training: 100,000 slots at N = 50 after the replay buffer is full.

One run of cpo_maddpg, one episode at once, with the networks and the buffer of params.yaml and an update every 100
slots, so that most of the time is play. A checkpoint is written every 5,000 slots. Resident memory and open files are
sampled every 1,000 slots, from the first checkpoint of a full buffer to the end. The growth is the median of the last
tenth of the samples minus that of the first; more than 16 MiB, or one more open file, is a failure.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Options
from mecpaper.config import Config, parse, resolve
from mecpaper.training.loop import Training

DEVICES, SLOTS, BOUND = 50, 100_000, 16.0
"""Devices, slots after the buffer is full, and the maximum growth in MiB."""

SAMPLE, SAVE, LEARN = 1_000, 5_000, 100
"""Slots from one sample, checkpoint and update to the next."""


class GrowthError(RuntimeError):
    """Memory or open files of a training keep growing."""


def resident() -> float:
    """Memory of this process that is in RAM, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def open_files() -> int:
    """Open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def settings(config: Config, devices: int, slots: int) -> Config:
    """params.yaml with one run that fills its buffer, writes a checkpoint and then plays as many slots."""
    data = config.model_dump()
    data["scenarios"], data["experiments"], data["policies"] = {"default": {}}, {}, []
    data["game"] |= {"devices": devices}
    every = SAVE // config.game.slots
    fill = -(-config.learning.buffer // SAVE) + 1
    scale = data["scales"][data["scale"]]
    scale |= {"seeds": [1], "episodes": every * (fill + slots // SAVE), "episodes_at_once": 1}
    scale |= {"slots_per_update": LEARN, "curve_every": every}
    return parse(Config, data)


def soak(config: Config, devices: int, slots: int) -> list[tuple[int, float, int]]:
    """Train, and sample.

    Args:
        config: params.yaml.
        devices: N.
        slots: to be played after the buffer is full, a multiple of `SAVE`.
    Returns:
        slots since the buffer was full, resident memory in MiB and open files, for each sample.
    """
    config = settings(config, devices, slots)
    training = Training(resolve(config, "cpo_maddpg", "default"))
    first = config.run.episodes * config.game.slots - slots
    samples = []

    def watch(done: int, total: int, label: str) -> None:
        played = done * config.game.slots
        if played >= first and played % SAMPLE == 0:
            samples.append((played - first, resident(), open_files()))
        if played % SAVE == 0:
            training.save(path)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        training.run(progress=watch)
    return samples


def growth(samples: list[tuple[int, float, int]]) -> float:
    """Median memory of the last tenth of the samples less that of the first, MiB.

    Raises GrowthError where that is more than `BOUND`, or where files were left open.
    """
    tenth = max(1, len(samples) // 10)
    memory = [value for _, value, _ in samples]
    grown = statistics.median(memory[-tenth:]) - statistics.median(memory[:tenth])
    more = samples[-1][2] - samples[0][2]
    if grown > BOUND or more > 0:
        raise GrowthError(f"memory grew by {grown:.1f} MiB (allowed are {BOUND:g}), open files by {more}")
    return grown


def measure(config: Config, options: Options) -> dict[str, Any]:
    """Memory and open files along the way, and the slope.

    Raises GrowthError as `growth` does.
    """
    started = time.monotonic()
    samples = soak(config, DEVICES, SLOTS)
    minutes = (time.monotonic() - started) / 60.0
    grown = growth(samples)
    played, memory, files = np.array(samples, dtype=float).T
    slope = 1e4 * float(np.polyfit(played, memory, 1)[0])
    values = [["slots after the buffer was full, devices", f"{int(played[-1]):,}, {DEVICES}"]]
    for share in (0.1, 0.5, 1.0):
        values.append([f"resident memory at {share:.0%}", f"{memory[round(share * (len(memory) - 1))]:.1f} MiB"])
    values += [
        ["minimum and maximum", f"{memory.min():.1f} to {memory.max():.1f} MiB"],
        ["slope", f"{slope:+.3f} MiB per 10,000 slots"],
        ["growth, last tenth less first", f"{grown:+.1f} MiB (allowed are {BOUND:g})"],
        ["open files, first and last", f"{int(files[0])}, {int(files[-1])}"],
        ["time, filling the buffer as well", f"{minutes:.1f} min"],
    ]
    return {"figures": [], "ratios": [], "values": values}
